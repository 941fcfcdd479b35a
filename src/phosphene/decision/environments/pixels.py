"""Preprocessing of pictures: gray, scaled down, several frames stacked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from phosphene.core.errors import ConfigError
from phosphene.core.event import Event

__all__ = ["NoPictureError", "Pixels", "as_picture", "same_size"]


class NoPictureError(ConfigError):
    """An environment that draws no pictures."""


@dataclass(frozen=True)
class Pixels:
    """What is done to each picture (channels, height, width) before an agent sees it.

    As for Atari games by Mnih et al. (2015): ``?gray=true&size=84&stack=4&skip=4``.

    Args:
        gray: Replace red, green and blue by their luma (ITU-R BT.601).
        size: Height and width that it is scaled to, by the mean over areas.
        stack: How many of the latest pictures are shown together, the oldest first; before there
            are as many, the first is repeated.
    """

    gray: bool = False
    size: tuple[int, int] | None = None
    stack: int = 1

    def __bool__(self) -> bool:
        return self != Pixels()

    @classmethod
    def of(cls, gray: bool, size: str | None, stack: int) -> "Pixels":
        """From options; the size as ``84`` or ``64x96``.

        Example:
            >>> Pixels.of(True, "64x96", 4)
            Pixels(gray=True, size=(64, 96), stack=4)
        """
        if stack < 1:
            raise ConfigError(f"stack must be 1 or more, got {stack}")
        if size is None:
            return cls(gray, None, stack)
        parts = size.split("x")
        if len(parts) > 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
            raise ConfigError(f"size must be pixels, as 84 or 64x96 (height x width), got {size!r}")
        return cls(gray, (int(parts[0]), int(parts[-1])), stack)

    def event(self, event: Event, name: str) -> Event:
        """What pictures of ``event`` become.

        Raises:
            ConfigError: They are not pictures of 256 levels, or have no color to lose.
        """
        if not self:
            return event
        if not event.has_image_shape:
            raise ConfigError(f"gray, size and stack are for pictures, and {name} shows {event}")
        channels, height, width = event.shape
        if self.gray and channels not in (1, 3):
            raise ConfigError(f"gray=true needs 3 channels, and {name} shows {event}")
        if (self.gray or self.size) and event.levels != 256:
            raise ConfigError(f"gray and size need 256 levels, and {name} shows {event}")
        size = self.size or (height, width)
        return Event.image((1 if self.gray else channels) * self.stack, size, event.levels or 256)

    def __call__(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """One picture, gray and scaled; stacking is up to who holds those before it."""
        if self.gray and len(picture) == 3:
            red, green, blue = picture.astype(np.float32)
            picture = np.rint(0.299 * red + 0.587 * green + 0.114 * blue).astype(np.uint8)[None]
        if self.size is not None and picture.shape[1:] != self.size:
            picture = np.stack([_scaled(channel, self.size) for channel in picture])
        return picture


def _scaled(channel: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[Any]:
    image = Image.fromarray(np.ascontiguousarray(channel))
    return np.asarray(image.resize(size[::-1], Image.Resampling.BOX))


def as_picture(drawn: Any) -> NDArray[np.uint8] | None:
    """What an environment drew as (height, width, 3), codes 0..255; None where it is not a picture.

    Of several pictures it is the last. Gray ones become three equal channels, an alpha channel is
    left out. Fractions are taken for shares of the full intensity where none is above 1.

    Example:
        >>> as_picture(np.full((2, 2), 0.5)).tolist()[0][0]
        [128, 128, 128]
    """
    if isinstance(drawn, list | tuple) and drawn and np.ndim(drawn[-1]) in (2, 3):
        drawn = drawn[-1]
    try:
        picture = np.asarray(drawn)
    except ValueError:  # a ragged list
        return None
    if picture.dtype.kind not in "buif" or picture.ndim not in (2, 3) or not picture.size:
        return None
    if picture.ndim == 2:
        picture = picture[:, :, None]
    if picture.shape[2] not in (1, 3, 4):
        return None
    if picture.dtype.kind == "f":
        picture = np.nan_to_num(picture, nan=0.0)
        picture = np.rint(picture * 255 if picture.max() <= 1 else picture)
    elif picture.dtype.kind == "b":
        picture = picture * np.uint8(255)
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    if picture.shape[2] == 1:
        picture = np.repeat(picture, 3, axis=2)
    return np.ascontiguousarray(picture[:, :, :3])


def same_size(frames: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Pictures of several sizes in the middle of one that holds them all: (n, height, width, 3).

    Example:
        >>> same_size([np.zeros((2, 4, 3), np.uint8), np.zeros((4, 2, 3), np.uint8)]).shape
        (2, 4, 4, 3)
    """
    height, width = (max(frame.shape[axis] for frame in frames) for axis in (0, 1))
    out = np.zeros((len(frames), height, width, 3), np.uint8)
    for whole, frame in zip(out, frames, strict=True):
        h, w = frame.shape[:2]
        top, left = (height - h) // 2, (width - w) // 2
        whole[top : top + h, left : left + w] = frame
    return out
