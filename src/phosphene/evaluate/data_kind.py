"""Kinds of data: how examples are shown, which features compare them, and simple baselines.

One file a kind in ``data_kinds/``; shared code asks :func:`kind_of` and has no branch on what it is
told. Other packages add kinds by an entry point of the group ``phosphene.data_kinds``.
"""

from typing import Any

from PIL import Image
from torch import Tensor

from phosphene.core.errors import EventError
from phosphene.core.event import Event
from phosphene.data.dataset import Dataset
from phosphene.evaluate.registry import Registry
from phosphene.evaluate.score import Score

__all__ = ["DATA_KINDS", "DataKind", "data_kind", "kind_of", "picture"]


class DataKind:
    """Numbers of which nothing else is known; each kind overrides what it knows better."""

    name = ""
    place: float = 0.0
    """Where it is asked, the smallest first; the first kind that holds the data is theirs."""
    events: frozenset[str] = frozenset()
    """The kinds of events that it may hold; none for any."""
    ordered = True
    """Whether codes near one another mean things near one another, so that errors have a size."""
    most_rows = 1024
    """The most examples that a model is given at once where it holds a probability of each code."""

    def holds(self, event: Event, data: Dataset | None) -> bool:
        """Whether it is the kind of an event, or of a data set of that event."""
        return not self.events or self.events.issuperset({event.kind})

    def features(self, data: Dataset) -> str | None:
        """The features that sets of examples are compared on; None where none says anything."""
        return "pca" if data.event.dimensions > 64 else "raw"

    def baselines(self, test: Dataset, train: Dataset) -> dict[str, Score]:
        """What simple models of the kind reach."""
        return {}

    def per_symbol(self, bits: Score, test: Dataset) -> dict[str, Score]:
        """Bits per dimension in the units that the kind's field is used to."""
        return {}

    def picture(self, x: Tensor, event: Event, columns: int = 8, **layout: Any) -> Image.Image:
        """A picture of examples.

        Raises:
            EventError: They cannot be drawn.
        """
        raise EventError(
            f"examples of {event} cannot be drawn: only images, points in the plane, and series"
        )


DATA_KINDS: Registry[DataKind] = Registry(
    "kind of data", files=("evaluate/data_kinds/*.py",), group="phosphene.data_kinds"
)


def data_kind(cls: type[DataKind]) -> type[DataKind]:
    """Register a kind of data."""
    DATA_KINDS.add(cls())
    return cls


def kind_of(event: Event, data: Dataset | None = None) -> DataKind:
    """The kind of an event, or of a data set.

    Example:
        >>> kind_of(Event.audio(8)).name, kind_of(Event.real(2)).name, kind_of(Event.binary(9)).name
        ('sound', 'plane', 'images')
    """
    return next(kind for kind in DATA_KINDS if kind.holds(event, data))


def picture(x: Tensor, event: Event, columns: int = 8, **layout: Any) -> Image.Image:
    """A picture of examples of any event: a grid of images, a scatter of points, lines.

    Raises:
        EventError: Examples of this event cannot be drawn.
    """
    return kind_of(event).picture(x, event, columns, **layout)
