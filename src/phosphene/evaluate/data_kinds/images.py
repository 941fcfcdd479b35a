"""Images, and flat squares of binary values shown as images."""

from typing import Any

from PIL import Image
from torch import Tensor

from phosphene.core.event import Event
from phosphene.data.dataset import Dataset
from phosphene.evaluate.data_kind import DataKind, data_kind
from phosphene.evaluate.features import ClassifierFeatures
from phosphene.evaluate.pictures import grid, pixels, shape_of_image


@data_kind
class Images(DataKind):
    """Images of any number of channels, and flat squares of binary values."""

    name, place = "images", 30.0

    def holds(self, event: Event, data: Dataset | None) -> bool:
        """Whether an example has a height and a width."""
        return shape_of_image(event) is not None

    def features(self, data: Dataset) -> str | None:
        """A classifier that knows these images, else random convolutions where they fit."""
        if data.classifier and data.event.shape == ClassifierFeatures.shape:
            return ClassifierFeatures.name
        event = data.event
        fit = event.has_image_shape and event.discrete and min(event.shape[1:]) >= 4
        return "randconv" if fit else super().features(data)

    def picture(self, x: Tensor, event: Event, columns: int = 8, **layout: Any) -> Image.Image:
        """A grid."""
        return grid(pixels(x, event), columns, **layout)
