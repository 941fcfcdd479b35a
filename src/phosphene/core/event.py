"""What one example is: its shape and the values it may take."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from phosphene.core.config import tagged
from phosphene.core.errors import EventError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Event", "Kind"]

Kind = Literal["binary", "image", "real", "tokens", "audio"]


@tagged
@dataclass(frozen=True)
class Event:
    """One example: its kind, shape and number of levels.

    A discrete event (``levels`` is a number) holds codes 0..levels-1 at every model boundary, in
    any dtype; a real event (``levels`` is None) holds floats on the real line. Images are
    (channels, height, width); audio is mono (samples,) in mu-law codes.

    Args:
        kind: ``binary``, ``image``, ``real``, ``tokens`` or ``audio``.
        shape: The shape of one example, without the batch dimension.
        levels: How many values a code may take; None for real events.

    Example:
        >>> Event.image(3, 32).dimensions
        3072
        >>> Event.binary(64)
        Event(kind='binary', shape=(64,), levels=2)
        >>> Event.image(1, (24, 32), levels=2).shape
        (1, 24, 32)
    """

    kind: Kind
    shape: tuple[int, ...]
    levels: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        if any(n < 1 for n in self.shape):
            raise EventError(f"event shape {self.shape} has a size below 1")
        if (self.levels is None) != (self.kind == "real"):
            raise EventError(f"a {self.kind} event cannot have levels={self.levels}")
        if self.levels is not None and self.levels < 2:
            raise EventError(f"an event needs at least 2 levels, got {self.levels}")
        if self.kind == "image" and len(self.shape) != 3:
            raise EventError(f"an image event is (channels, height, width), got {self.shape}")

    @classmethod
    def binary(cls, *shape: int) -> "Event":
        """Codes 0 and 1."""
        return cls("binary", shape, 2)

    @classmethod
    def image(cls, channels: int, size: int | tuple[int, int], levels: int = 256) -> "Event":
        """Codes 0..levels-1 of shape (channels, height, width)."""
        height, width = (size, size) if isinstance(size, int) else size
        return cls("image", (channels, height, width), levels)

    @classmethod
    def real(cls, *shape: int) -> "Event":
        """Floats on the real line."""
        return cls("real", shape)

    @classmethod
    def tokens(cls, length: int, vocabulary: int) -> "Event":
        """Codes 0..vocabulary-1 in a sequence."""
        return cls("tokens", (length,), vocabulary)

    @classmethod
    def audio(cls, samples: int, levels: int = 256) -> "Event":
        """Mu-law codes of a mono signal."""
        return cls("audio", (samples,), levels)

    @classmethod
    def parse(cls, text: str) -> "Event":
        """The event that is written so.

        Example:
            >>> Event.parse("image 1x28x28, 2 levels") == Event.image(1, 28, levels=2)
            True
            >>> Event.parse(str(Event.real(2)))
            Event(kind='real', shape=(2,), levels=None)
        """
        size, _, levels = text.partition(", ")
        kind, _, shape = size.partition(" ")
        sides = tuple(map(int, shape.split("x")))
        return cls(cast(Kind, kind), sides, int(levels.split()[0]) if levels else None)

    @property
    def dimensions(self) -> int:
        """The number of scalars D in one example."""
        return math.prod(self.shape)

    @property
    def discrete(self) -> bool:
        """Whether the event holds codes rather than real numbers."""
        return self.levels is not None

    @property
    def has_image_shape(self) -> bool:
        """Whether one example is (channels, height, width), whatever its kind and values.

        Example:
            >>> Event.image(1, 8).has_image_shape, Event.real(3, 8, 8).has_image_shape
            (True, True)
            >>> Event.binary(64).is_image
            Traceback (most recent call last):
            ...
            AttributeError: Event.is_image is now Event.has_image_shape; or ask kind == "image"
        """
        return len(self.shape) == 3

    if not TYPE_CHECKING:  # a type checker refuses unknown names by itself

        def __getattr__(self, name: str) -> object:
            if name == "is_image":
                raise AttributeError(
                    'Event.is_image is now Event.has_image_shape; or ask kind == "image"'
                )
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def bits(self) -> float:
        """Bits per dimension of the uniform distribution over codes, log2(levels)."""
        if self.levels is None:
            raise EventError("a real event has no number of levels")
        return math.log2(self.levels)

    def check(self, x: "Tensor") -> "Tensor":
        """Return x unchanged if it is a batch of this event; raise EventError otherwise."""
        import torch

        from phosphene.core.derivatives import batched

        if self.check_shape(x).numel() == 0 or batched(x):
            return x
        if x.is_floating_point() and not bool(torch.isfinite(x).all()):
            raise EventError("the batch holds NaN or infinite values")
        if self.levels is not None:
            low, high = float(x.min()), float(x.max())
            if low < 0 or high > self.levels - 1:
                raise EventError(
                    f"codes must lie in 0..{self.levels - 1}, got values from {low:g} to {high:g}"
                )
            if x.is_floating_point() and not bool((x == x.round()).all()):
                raise EventError(
                    "a discrete event holds whole codes, got fractions; "
                    "scaled floats exist only inside networks"
                )
        return x

    def check_shape(self, x: "Tensor") -> "Tensor":
        """Return x unchanged if it has a batch's shape, whatever it holds: latents, scaled codes.

        Example:
            >>> import torch
            >>> Event.real(2).check_shape(torch.zeros(5, 3))
            Traceback (most recent call last):
            phosphene.core.errors.EventError: expected a batch of shape (n, 2), got (5, 3)
        """
        if x.ndim == 0 or tuple(x.shape[1:]) != self.shape:
            raise EventError(
                f"expected a batch of shape (n, {', '.join(map(str, self.shape))}), "
                f"got {tuple(x.shape)}"
            )
        return x

    def __str__(self) -> str:
        size = "x".join(map(str, self.shape))
        return f"{self.kind} {size}" + (f", {self.levels} levels" if self.levels else "")
