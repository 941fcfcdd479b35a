"""The user's own images for a model; images that do not fit are refused."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from phosphene.core.errors import DataError
from phosphene.core.event import Event
from phosphene.core.paths import expanded
from phosphene.data.adapters.images import endings, plain, reason
from phosphene.data.adapters.room import Room, opened
from phosphene.data.limits import admit, allowed, regular, within_memory

__all__ = ["read_conditions"]


@within_memory
def read_conditions(
    path: str | Path, event: Event, whose: str = "the model is conditioned on"
) -> Tensor:
    """The picture of a file, or the pictures of a folder by name, as codes (n, *event.shape).

    Nothing is resized or turned gray: an image that is not what the model was trained on would
    be answered, and wrongly. A gray picture stands for a color one of equal channels, and the
    other way around. Codes of fewer than 256 levels are floor(value * levels / 256), as adapters
    have them and as pictures of them are drawn.

    Args:
        path: An image file, or a folder of them.
        event: What the model is conditioned on, or what else the images are for.
        whose: Which images these are, as errors say it: "the model makes".

    Raises:
        DataError: A file does not exist, is no image, or has another size or other channels.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("RGB", (8, 6), "white").save(f"{folder}/a.png")
        ...     read_conditions(folder, Event.image(1, (6, 8), levels=4)).unique().tolist()
        [3]
    """
    path = expanded(path)
    if not (event.has_image_shape and event.shape[0] in (1, 3) and (event.levels or 257) <= 256):
        raise DataError(f"{str(path)!r} is no use here: {whose} examples of {event}, not images")
    files = _files(path)
    admit(str(path), 2 * len(files) * event.dimensions, f"{len(files)} images", "give fewer")
    return torch.stack([_read(file, event, whose) for file in files])


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        known = endings()
        found = sorted(
            p
            for p in path.iterdir()
            if p.suffix.lower() in known and p.is_file() and not p.name.startswith(".")
        )
        if not found:
            raise DataError(f"folder {str(path)!r} holds no images, such as .png, .jpg or .tif")
        return found
    if not path.exists():
        raise DataError(f"there is no image file or folder {str(path)!r}")
    regular(path)
    return [path]


def _read(file: Path, event: Event, whose: str) -> Tensor:
    channels, height, width = event.shape
    try:
        with opened(file, Room(allowed())) as image:
            image.load()
            values = np.asarray(plain(image).convert("RGB"), dtype=np.uint8)
    except Exception as error:  # Pillow's readers raise anything on damaged files
        raise DataError(f"{str(file)!r} cannot be read: {reason(error)}") from error
    if values.shape[:2] != (height, width):
        raise DataError(
            f"{str(file)!r} is {values.shape[0]}x{values.shape[1]} pixels (height first), and "
            f"{whose} images of {height}x{width}"
        )
    if channels == 1 and bool((values != values[..., :1]).any()):
        raise DataError(f"{str(file)!r} is in color, and {whose} gray images")
    levels = event.levels or 256
    if 0 < values.max() < levels < 256:
        raise DataError(
            f"{str(file)!r} holds values 0..{values.max()} of 255: the model's {levels} levels are "
            f"spread over 0..255, {255 // (levels - 1)} apart"
        )
    codes = (values[..., :channels].astype(np.uint16) * levels >> 8).astype(np.uint8)
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(codes, 2, 0)))
