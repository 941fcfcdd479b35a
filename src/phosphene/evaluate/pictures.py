"""Pictures: grids of examples, and what examples look like.

Images are shown as codes on their own scale: 0 is black and the highest level is white, enlarged by
whole factors without smoothing.
"""

import base64
import math
from io import BytesIO
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from phosphene.core.event import Event
from phosphene.data.sound import signal_of

__all__ = [
    "data_uri",
    "grid",
    "picture_of_pairs",
    "pixels",
    "resized",
    "series_of",
    "shape_of_image",
]

_GAP = (140, 140, 140)


def shape_of_image(event: Event) -> tuple[int, int, int] | None:
    """Channels, height and width in which examples can be shown; None where they cannot.

    Flat discrete events whose size is a square are shown as squares, in raster order.

    Example:
        >>> shape_of_image(Event.binary(64)), shape_of_image(Event.real(2))
        ((1, 8, 8), None)
    """
    if event.has_image_shape:
        return event.shape[0], event.shape[1], event.shape[2]
    side = math.isqrt(event.dimensions)
    square = side > 2 and side * side == event.dimensions and event == Event.binary(*event.shape)
    return (1, side, side) if square else None


def pixels(x: Tensor, event: Event) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Examples or means (n, *shape) as 8-bit RGB (n, height, width, 3).

    Codes are scaled by the number of levels; reals by the range of the batch.
    """
    shape = shape_of_image(event)
    assert shape is not None, f"{event} is not an image"
    values = x.detach().cpu().double().reshape(len(x), *shape)
    if event.levels is not None:
        values = values / (event.levels - 1)
    else:
        low, high = values.min(), values.max()
        values = (values - low) / (high - low).clamp(min=1e-12)
    if shape[0] != 3:
        values = values.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    scaled = (values.clamp(0, 1) * 255).round().to(torch.uint8)
    array: np.ndarray[Any, np.dtype[np.uint8]] = scaled.permute(0, 2, 3, 1).contiguous().numpy()
    return array


def grid(
    images: np.ndarray[Any, np.dtype[np.uint8]],
    columns: int = 8,
    *,
    scale: int | None = None,
    gap: int = 3,
    group: int = 0,
) -> Image.Image:
    """Lay images out in rows, enlarged by a whole factor, with gaps of a neutral gray.

    Args:
        images: 8-bit RGB (n, height, width, 3).
        columns: Images in a row.
        scale: Pixels drawn for one; None for tiles of about 84 pixels.
        gap: Pixels between images.
        group: Put a wider gap after every ``group`` columns, for pairs and triples.

    Returns:
        An RGB image; tiles that are missing in the last row are left empty.

    Example:
        >>> grid(np.zeros((6, 8, 8, 3), np.uint8), columns=3, scale=2, gap=1).size
        (52, 35)
    """
    n, height, width, _ = images.shape
    scale = scale or max(1, round(84 / max(height, width)))
    large = images.repeat(scale, axis=1).repeat(scale, axis=2)
    columns = min(columns, n)
    rows = -(-n // columns)
    across = [
        k * (width * scale + gap) + (3 * gap * (k // group) if group else 0) for k in range(columns)
    ]
    size = (across[-1] + width * scale + 2 * gap, rows * (height * scale + gap) + gap)
    sheet = Image.new("RGB", size, _GAP)
    for k, tile in enumerate(large):
        row, column = divmod(k, columns)
        position = (gap + across[column], gap + row * (height * scale + gap))
        sheet.paste(Image.fromarray(tile), position)
    return sheet


def resized(
    images: np.ndarray[Any, np.dtype[np.uint8]], size: tuple[int, int]
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Images (n, height, width, 3) on tiles of another size, by repeating rows and columns.

    Example:
        >>> resized(np.zeros((2, 4, 4, 3), np.uint8), (8, 6)).shape
        (2, 8, 6, 3)
    """
    rows = np.arange(size[0]) * images.shape[1] // size[0]
    columns = np.arange(size[1]) * images.shape[2] // size[1]
    return images[:, rows][:, :, columns]


def picture_of_pairs(
    image: Tensor, image_event: Event, x: Tensor, event: Event, columns: int = 4
) -> Image.Image:
    """A picture of examples, each to the right of the image that it belongs to."""
    shown = pixels(x, event)
    left = resized(pixels(image, image_event), (shown.shape[1], shown.shape[2]))
    pairs = np.stack([left, shown], axis=1).reshape(-1, *shown.shape[1:])
    return grid(pairs, 2 * columns, group=2)


def series_of(x: Tensor, event: Event) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """Examples as lines (n, T): the signal of sound, the values of real sequences; else None.

    Example:
        >>> series_of(torch.zeros(2, 9), Event.real(9)).shape
        (2, 9)
    """
    if event.levels is not None:
        heard = event == Event.audio(event.dimensions, event.levels)
        return signal_of(x, event.levels) if heard else None
    if len(event.shape) == 1 and event.shape[0] > 2:
        values: np.ndarray[Any, np.dtype[np.float64]] = x.detach().cpu().double().numpy()
        return values
    return None


def data_uri(image: Image.Image | bytes, kind: str = "png") -> str:
    """An image as a PNG inside a URI, so that a page needs no other file.

    Args:
        image: A picture, or the bytes of a file.
        kind: Of the file whose bytes they are.
    """
    if isinstance(image, Image.Image):
        buffer = BytesIO()
        bands = np.asarray(image.convert("RGB"))
        if (bands == bands[..., :1]).all():
            image = image.convert("L")  # the same picture in a third of the bytes
        image.save(buffer, "PNG", optimize=True)
        image = buffer.getvalue()
    return f"data:image/{kind};base64," + base64.b64encode(image).decode()
