"""From image files of any kind and size to codes of one event."""

import io
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from phosphene.core.errors import ConfigError, DataError, listed
from phosphene.core.event import Event
from phosphene.data.dataset import Dataset, Split

__all__ = [
    "SUFFIXES",
    "Images",
    "channels_of",
    "common_channels",
    "decode",
    "images_of",
    "parse_size",
    "plain",
    "reason",
]

SUFFIXES = {
    *(".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm"),
    *(".tif", ".tiff", ".webp"),
}
"""Endings of the names of image files."""

Source = Path | bytes
T = TypeVar("T")

_SIXTEEN_BITS = {"I", "I;16", "I;16B", "I;16L"}
_MODES = {1: "L", 3: "RGB"}


def parse_size(text: str | int) -> tuple[int, int]:
    """Height and width from ``64`` or ``48x64``.

    Example:
        >>> parse_size("48x64"), parse_size(32)
        ((48, 64), (32, 32))
    """
    match = re.fullmatch(r"(\d+)(?:x(\d+))?", str(text))
    height, width = (int(v) for v in (match[1], match[2] or match[1])) if match else (0, 0)
    if not (1 <= height <= 4096 and 1 <= width <= 4096):
        raise ConfigError(f"size must be pixels such as 64 or 48x64 (height first), got {text!r}")
    return height, width


def _open(source: Source) -> Image.Image:
    return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)


def channels_of(source: Source) -> int:
    """1 for grey and 3 for color, from the header alone; transparency does not count."""
    with _open(source) as image:
        if image.mode == "P":
            palette = np.asarray(image.getpalette() or [0]).reshape(-1, 3)
            return 1 if (palette == palette[:, :1]).all() else 3
        return 1 if image.mode in {"1", "L", "LA", "La", "F"} | _SIXTEEN_BITS else 3


def _on_white(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def decode(source: Source, size: tuple[int, int], channels: int) -> NDArray[np.uint8]:
    """Decode an image to codes (channels, height, width).

    It is turned upright by its EXIF orientation, laid on white where it is transparent, resized
    with antialiasing until it just covers the size, and cropped around its center.
    """
    with _open(source) as image:
        # A large JPEG is decoded at a fraction of its size, at least twice what is wanted.
        image.draft(None, (2 * max(size), 2 * max(size)))
        image.load()
        upright = plain(image)
    upright = upright.convert(_MODES[channels])
    if upright.size != (size[1], size[0]):
        upright = ImageOps.fit(upright, (size[1], size[0]), Image.Resampling.LANCZOS)
    codes = np.asarray(upright, dtype=np.uint8)
    return codes[None] if channels == 1 else np.ascontiguousarray(np.moveaxis(codes, 2, 0))


def plain(image: Image.Image) -> Image.Image:
    """An image turned upright, of at most 8 bits, and without transparency."""
    upright = ImageOps.exif_transpose(image)
    if upright.mode in _SIXTEEN_BITS:  # Pillow would clip 16 bits at 255
        grey = np.asarray(upright).astype(np.float64) / 257
        upright = Image.fromarray(np.rint(grey.clip(0, 255)).astype(np.uint8))
    if upright.mode in {"LA", "La", "RGBA", "RGBa", "PA"} or "transparency" in upright.info:
        upright = _on_white(upright)
    return upright


@dataclass
class Images:
    """Decoded images, which of the sources they are, and what could not be read.

    Args:
        x: Codes (n, channels, height, width).
        levels: How many values a code may take.
        kept: Positions of the readable sources (n,).
        notes: A sentence about those that were skipped.
    """

    x: torch.Tensor
    levels: int
    kept: NDArray[np.int64]
    notes: tuple[str, ...]

    def dataset(
        self, name: str, split: Split, y: NDArray[np.int64] | None, classes: tuple[str, ...]
    ) -> Dataset:
        """The data set, with the labels of the sources that were kept."""
        return Dataset(
            name=name,
            split=split,
            event=Event("image", tuple(self.x.shape[1:]), self.levels),
            x=self.x,
            y=None if y is None else torch.from_numpy(y[self.kept]),
            classes=classes,
            notes=self.notes,
        )


def images_of(
    source: str,
    files: Sequence[Source],
    names: Sequence[str],
    size: tuple[int, int],
    channels: int,
    levels: int = 256,
) -> Images:
    """Decode files in a pool of threads; those that are corrupt are skipped, counted and named.

    With fewer than 256 levels, the codes are floor(code * levels / 256): 2 levels are black and
    white, 32 are the 5 bits of Kingma and Dhariwal (2018).

    Raises:
        ConfigError: There are not 2 to 256 levels.
        DataError: None of the files can be read.
    """
    if not 2 <= levels <= 256:
        raise ConfigError(f"levels must be from 2 to 256, got {levels}")
    results = _in_threads(lambda file: decode(file, size, channels), files)
    good = [i for i, result in enumerate(results) if not isinstance(result, str)]
    bad = [f"{names[i]} ({result})" for i, result in enumerate(results) if isinstance(result, str)]
    if files and not good:
        raise DataError(f"none of the {len(files)} images of {source!r} can be read: {bad[0]}")
    x = np.stack([results[i] for i in good]) if good else np.empty((0, channels, *size), np.uint8)
    count = f"{len(bad)} of {len(files)} images that cannot be read"
    notes = (f"skipped {count}: {listed(bad, 10)}",) if bad else ()
    x = x if levels == 256 else (x.astype(np.uint16) * levels >> 8).astype(np.uint8)
    return Images(torch.from_numpy(x), levels, np.array(good, dtype=np.int64), notes)


def common_channels(source: str, files: Sequence[Source], wanted: int | None) -> int:
    """The channels that all files share, or those that the user asked for.

    Raises:
        ConfigError: The user asked for something else than 1 or 3.
        DataError: The files mix grey and color, and the user did not say which is wanted.
    """
    if wanted is not None:
        if wanted not in _MODES:
            raise ConfigError(f"channels must be 1 (grey) or 3 (color), got {wanted}")
        return wanted
    seen = Counter(c for c in _in_threads(channels_of, files) if not isinstance(c, str))
    if len(seen) > 1:
        raise DataError(
            f"{source!r} mixes {seen[1]} grey and {seen[3]} color images; "
            "add ?channels=1 or ?channels=3 to convert them"
        )
    return next(iter(seen), 3)


def _in_threads(function: Callable[[Source], T], files: Sequence[Source]) -> list[T | str]:
    """The function of each file, or a few words about why there is none."""

    def attempt(file: Source) -> T | str:
        try:
            return function(file)
        except Exception as error:  # Pillow's readers raise anything on damaged files
            return reason(error)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(attempt, files))


def reason(error: Exception) -> str:
    """Why an image cannot be read, in a few words."""
    text = str(error)
    if "cannot identify" in text:
        return "not an image"
    if "truncated" in text.lower() or isinstance(error, EOFError):
        return "truncated"
    return (text or type(error).__name__).splitlines()[0][:80]
