"""Settings that make each system small enough for the laws; a row that is not here uses none.

A new row is covered without an entry: give it one when its defaults are slow, or when it has a
choice (a decoder, a network) whose every branch should obey the laws.
"""

from phosphene.core.event import Event

__all__ = ["MORE_EVENTS", "PARTLY_LABELED", "SHOWN", "settings"]

SHOWN = ("decoder", "network", "variance", "posterior")
"""Settings that appear in a test's name."""

PARTLY_LABELED: frozenset[str] = frozenset()
"""Systems whose training data may lack labels (-1)."""

MORE_EVENTS: dict[tuple[str, str], tuple[Event, ...]] = {}
"""More events for a row and kind, beside those of every row."""

_SETTINGS: dict[str, tuple[dict[str, object], ...]] = {
    "vae": ({"latent_dim": 2, "hidden": (16,)},),
}


def settings(name: str, event: Event) -> tuple[dict[str, object], ...]:
    """The variants of a row for an event."""
    return _SETTINGS.get(name, ({},))
