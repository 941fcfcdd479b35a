"""Images decoded in several threads within one limit of memory."""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from PIL import Image

from phosphene.data.limits import regular, shown

__all__ = ["SIXTEEN_BITS", "TRANSPARENT", "Room", "Source", "TooLargeError", "cost", "opened"]

Source = Path | bytes

SIXTEEN_BITS = {"I", "I;16", "I;16B", "I;16L", "I;16N"}
"""Modes whose values Pillow would clip at 255."""

TRANSPARENT = {"LA", "La", "RGBA", "RGBa", "PA"}
"""Modes that must be laid on a ground."""

_TILE_WIDTH, _TILE_LENGTH = 322, 323  # tags of TIFF


class TooLargeError(Exception):
    """An image that takes more memory than there is for it.

    Args:
        size: What it would take, in bytes.
        what: What it is.
    """

    def __init__(self, size: int, what: str) -> None:
        super().__init__(f"{what} would take {shown(size)} of memory")
        self.size = size


class Room:
    """Memory that images share while they are decoded at the same time.

    A quarter of it is for what is read on opening them, before it is known what they take; the
    rest is held by those that decode, and others wait.

    Args:
        size: All of it, in bytes.
        threads: How many open images at the same time.
    """

    def __init__(self, size: int, threads: int = 1) -> None:
        self.unseen = size // (4 * threads)
        self.size = self._free = size - size // 4
        self._changed = threading.Condition()

    def check(self, size: int, what: str) -> None:
        """Raise if one image would take more than there is when no other does."""
        if size > self.size:
            raise TooLargeError(size, what)

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Wait until there is so much, and have it for a while."""
        with self._changed:
            self._changed.wait_for(lambda: self._free >= size)
            self._free -= size
        try:
            yield
        finally:
            with self._changed:
                self._free += size
                self._changed.notify_all()


@contextmanager
def opened(source: Source, room: Room, *, pixels: bool = True) -> Iterator[Image.Image]:
    """An image whose header was read, with the memory that it takes to decode it.

    Args:
        source: A file, or what it holds.
        room: Where the memory comes from.
        pixels: Whether it will be decoded, and not only its header looked at.

    Raises:
        DataError: The source is a folder, a pipe or a device.
        TooLargeError: It takes more memory than there is.
    """
    size = 0 if isinstance(source, bytes) else regular(source)
    room.check(size, f"a file of {shown(size)}")
    alone = size > room.unseen
    with (
        room.hold(room.size) if alone else nullcontext(),
        Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image,
    ):
        if image.format == "EPS":  # Pillow would run a program on it
            raise ValueError("PostScript is not run")
        # Pillow gives a palette once it has decoded what is painted with it.
        needed = cost(image) if pixels or image.mode == "P" else 0
        room.check(needed + size * alone, "{}x{} pixels".format(*image.size))
        with nullcontext() if alone else room.hold(needed):
            yield image


def cost(image: Image.Image) -> int:
    """Bytes that it takes at most to decode an image to 8 bits a channel, by its header.

    Pillow holds 1 or 4 bytes for a pixel, and as many again for each step on the way.

    Example:
        >>> cost(Image.new("RGB", (10, 10)))
        1200
    """
    width, height = image.size
    many = image.mode in SIXTEEN_BITS | TRANSPARENT | {"F"} or "transparency" in image.info
    size = width * height * (36 if many else 24 if image.format == "WEBP" else 12)
    if image.format in ("JPEG", "MPO"):  # its coefficients may be held at full size
        size += 2 * width * height * len(image.getbands())
    tags = getattr(image, "tag_v2", {})
    tile = tags.get(_TILE_WIDTH, 0) * tags.get(_TILE_LENGTH, 0)
    return size + 16 * tile if tile > width * height else size
