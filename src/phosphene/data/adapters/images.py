"""From image files of any kind and size to codes of one event."""

import functools
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from phosphene.core.errors import ConfigError, DataError, listed
from phosphene.core.event import Event
from phosphene.data.adapters.kept import kept
from phosphene.data.adapters.room import (
    SIXTEEN_BITS,
    TRANSPARENT,
    Room,
    Source,
    TooLargeError,
    opened,
)
from phosphene.data.dataset import Dataset, Split
from phosphene.data.limits import admit, allowed

__all__ = [
    "Images",
    "channels_of",
    "common_channels",
    "decode",
    "endings",
    "images_of",
    "parse_size",
    "plain",
    "reason",
]

_NO_PIXELS = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
"""Formats that Pillow knows by name, and decodes by another program or not at all."""

T = TypeVar("T")

_MODES = {1: "L", 3: "RGB"}
_ADVICE = "add ?limit=N to read fewer, or a smaller size"


@functools.cache
def endings() -> frozenset[str]:
    """Endings of the names of image files: of all formats that Pillow reads.

    Example:
        >>> endings() >= {".png", ".jfif", ".tga", ".tif"}, ".txt" in endings()
        (True, False)
    """
    known = Image.registered_extensions()  # imports all of Pillow's readers
    return frozenset(e for e, f in known.items() if f in Image.OPEN and f not in _NO_PIXELS)


def parse_size(text: str | int) -> tuple[int, int]:
    """Height and width from ``64`` or ``48x64``.

    Example:
        >>> parse_size("48x64"), parse_size(32)
        ((48, 64), (32, 32))
    """
    match = re.fullmatch(r"(\d{1,4})(?:x(\d{1,4}))?", str(text))
    height, width = (int(v) for v in (match[1], match[2] or match[1])) if match else (0, 0)
    if not (1 <= height <= 4096 and 1 <= width <= 4096):
        raise ConfigError(f"size must be pixels such as 64 or 48x64 (height first), got {text!r}")
    return height, width


def channels_of(source: Source, room: Room) -> int:
    """1 for gray and 3 for color, from the header alone; transparency does not count."""
    with opened(source, room, pixels=False) as image:
        if image.mode == "P":
            palette = np.asarray(image.getpalette() or [0]).reshape(-1, 3)
            return 1 if (palette == palette[:, :1]).all() else 3
        return 1 if image.mode in {"1", "L", "LA", "La", "F"} | SIXTEEN_BITS else 3


def _on_white(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def decode(
    source: Source, size: tuple[int, int], channels: int, room: Room | None = None
) -> NDArray[np.uint8]:
    """Decode an image to codes (channels, height, width).

    It is turned upright by its EXIF orientation, laid on white where it is transparent, resized
    with antialiasing until it just covers the size, and cropped around its center.

    Args:
        source: A file, or what it holds.
        size: Height and width.
        channels: 1 or 3.
        room: The memory that it takes; all that data may take unless said.
    """
    with opened(source, room or Room(allowed())) as image:
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
    if upright.mode in SIXTEEN_BITS | {"F"}:  # Pillow would clip them at 255
        gray = np.asarray(upright).astype(np.float64) * _scale(image)
        upright = Image.fromarray(np.rint(gray.clip(0, 255)).astype(np.uint8))
    if upright.mode in TRANSPARENT or "transparency" in upright.info:
        upright = _on_white(upright)
    return upright


def _scale(image: Image.Image) -> float:
    """What makes gray levels 0..255 of values of 16 bits, or of reals in 0..1 or 0..255.

    Raises:
        DataError: The values have no range that is known.
    """
    if image.mode == "I" and image.format not in ("PNG", "PPM"):  # theirs are of 16 bits
        raise DataError("whole numbers of 32 bits, whose range is not known; save 8 or 16 bits")
    if image.mode != "F":
        return 1 / 257
    low, high = cast(tuple[float, float], image.getextrema())
    if not (math.isfinite(low) and math.isfinite(high) and 0 <= low <= high <= 255):
        raise DataError(f"reals from {low:g} to {high:g}, where gray levels are in 0..1 or 0..255")
    return 255.0 if high <= 1 else 1.0


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
        DataError: None of the files can be read, or they take more memory than data may.
    """
    if not 2 <= levels <= 256:
        raise ConfigError(f"levels must be from 2 to 256, got {levels}")
    return kept(
        files,
        ("pixels", *names, size, channels, levels),
        lambda: _images(source, files, names, size, channels, levels),
        lambda images: images.x,
    )


def _images(
    source: str,
    files: Sequence[Source],
    names: Sequence[str],
    size: tuple[int, int],
    channels: int,
    levels: int,
) -> Images:
    codes = math.prod((len(files), channels, *size))
    admit(source, codes, f"{len(files)} images of {channels}x{size[0]}x{size[1]}", _ADVICE)
    x: NDArray[np.uint8] = np.empty((len(files), channels, *size), np.uint8)

    def fill(i: int, room: Room) -> None:
        pixels = decode(files[i], size, channels, room)
        x[i] = pixels if levels == 256 else pixels.astype(np.uint16) * levels >> 8

    results = _in_threads(source, fill, len(files), codes)
    good = [i for i, result in enumerate(results) if not isinstance(result, str)]
    bad = [f"{names[i]} ({result})" for i, result in enumerate(results) if isinstance(result, str)]
    if files and not good:
        raise DataError(f"none of the {len(files)} images of {source!r} can be read: {bad[0]}")
    for place, i in enumerate(good[: len(good) * bool(bad)]):  # close the gaps in place
        x[place] = x[i]
    count = f"{len(bad)} of {len(files)} images that cannot be read"
    notes = (f"skipped {count}: {listed(bad, 10)}",) if bad else ()
    return Images(torch.from_numpy(x[: len(good)]), levels, np.array(good, np.int64), notes)


def common_channels(source: str, files: Sequence[Source], wanted: int | None) -> int:
    """The channels that all files share, or those that the user asked for.

    Raises:
        ConfigError: The user asked for something else than 1 or 3.
        DataError: The files mix gray and color, and the user did not say which is wanted.
    """
    if wanted is not None:
        if wanted not in _MODES:
            raise ConfigError(f"channels must be 1 (grey) or 3 (color), got {wanted}")
        return wanted
    found = kept(
        files,
        ("channels",),
        lambda: _in_threads(source, lambda i, room: channels_of(files[i], room), len(files)),
        lambda found: None,
    )
    seen = Counter(c for c in found if not isinstance(c, str))
    if len(seen) > 1:
        raise DataError(
            f"{source!r} mixes {seen[1]} grey and {seen[3]} color images; "
            "add ?channels=1 or ?channels=3 to convert them"
        )
    return next(iter(seen), 3)


def _in_threads(
    source: str, function: Callable[[int, Room], T], n: int, held: int = 0
) -> list[T | str]:
    """The function of 0..n-1, or a few words about why there is none.

    All threads together take what memory ``held`` leaves. What is too large for all that data may
    take is unreadable; if it is too large for what is left, so is the whole.
    """
    threads = min(8, os.cpu_count() or 1)
    room, whole = Room(allowed() - held, threads), Room(allowed(), threads)

    def attempt(i: int) -> T | str:
        try:
            return function(i, room)
        except TooLargeError as error:
            if error.size <= whole.size:
                both = held + error.size * 4 // 3 + 1  # which is more than there is
                admit(source, both, f"{n} images while the largest are decoded", _ADVICE)
            return f"too large: {reason(error)}"
        except Exception as error:  # Pillow's readers raise anything on damaged files
            return reason(error)

    with ThreadPoolExecutor(threads) as pool:
        try:
            return list(pool.map(attempt, range(n)))
        except DataError:
            pool.shutdown(cancel_futures=True)
            raise


def reason(error: Exception) -> str:
    """Why an image cannot be read, in a few words."""
    text = str(error)
    if "cannot identify" in text:
        return "not an image"
    if "truncated" in text.lower() or isinstance(error, EOFError):
        return "truncated"
    if isinstance(error, DataError):  # "'PATH' cannot be read: it is a pipe, not a file"
        text = text.rpartition(": ")[2]
    return (text or type(error).__name__).splitlines()[0][:80]
