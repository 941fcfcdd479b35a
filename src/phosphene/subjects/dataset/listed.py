"""The data sets that come with the library, as a table for the documents."""

from collections.abc import Sequence

from phosphene.data.table import names

__all__ = ["listed"]


def listed() -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Every embedded or computed data set: the head of the table, and its rows."""
    rows = [
        (f"`{r.name}`", r.title, r.event, " / ".join(f"{n:,}" for n in r.examples), r.licence)
        for r in names()
    ]
    return ("data", "what it is", "one example", "train / validation / test", "licence"), rows
