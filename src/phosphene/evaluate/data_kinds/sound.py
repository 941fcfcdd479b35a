"""Sound, and real numbers in a line."""

from io import BytesIO
from typing import Any

from PIL import Image
from torch import Tensor

from phosphene.core.event import Event
from phosphene.data.dataset import Dataset
from phosphene.evaluate.baselines import of_sound
from phosphene.evaluate.data_kind import DataKind, data_kind
from phosphene.evaluate.pictures import series_of
from phosphene.evaluate.plots import png, waves
from phosphene.evaluate.score import Score


class _Lines(DataKind):
    def picture(self, x: Tensor, event: Event, columns: int = 8, **layout: Any) -> Image.Image:
        """Lines below one another."""
        lines = series_of(x, event)
        assert lines is not None
        return Image.open(BytesIO(png(waves(lines, columns=min(columns, 4))))).convert("RGB")


@data_kind
class Sound(_Lines):
    """Windows of sound in mu-law codes."""

    name, place = "sound", 40.0
    events = frozenset({"audio"})
    most_rows = 128

    def features(self, data: Dataset) -> str | None:
        """None where it is heard: distances between flat vectors say nothing about waves."""
        return None if data.sample_rate else super().features(data)

    def baselines(self, test: Dataset, train: Dataset) -> dict[str, Score]:
        """Linear prediction, and samples that are independent."""
        return of_sound(test, train)

    def per_symbol(self, bits: Score, test: Dataset) -> dict[str, Score]:
        """Bits a sample."""
        return {"bits_per_sample": bits}


@data_kind
class Series(_Lines):
    """Real numbers in a line."""

    name, place = "series", 50.0

    def holds(self, event: Event, data: Dataset | None) -> bool:
        """Whether an example is a line of more than two reals."""
        return not event.discrete and len(event.shape) == 1 and event.shape[0] > 2
