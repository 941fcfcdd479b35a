"""Points in the plane, and whatever no other kind holds."""

from io import BytesIO
from typing import Any

from PIL import Image
from torch import Tensor

from phosphene.core.event import Event
from phosphene.data.dataset import Dataset
from phosphene.evaluate.data_kind import DataKind, data_kind
from phosphene.evaluate.plots import png, scatter


@data_kind
class Plane(DataKind):
    """Points in the plane."""

    name, place = "plane", 60.0

    def holds(self, event: Event, data: Dataset | None) -> bool:
        """Whether an example is two reals."""
        return event == Event.real(2)

    def picture(self, x: Tensor, event: Event, columns: int = 8, **layout: Any) -> Image.Image:
        """A scatter."""
        return Image.open(BytesIO(png(scatter({"": x}, **layout)))).convert("RGB")


@data_kind
class Other(DataKind):
    """Numbers of any shape."""

    name, place = "other", 1000.0
