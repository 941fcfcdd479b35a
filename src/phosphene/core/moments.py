"""Mean, spread and range of reals, and the two maps between data and what networks see."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

__all__ = ["Moments", "outgrows", "restore", "standardize"]

_BLOCK = 2**20
_RATIO = 4096.0


@dataclass(frozen=True, kw_only=True)
class Moments:
    """What the scale of each dimension is, over all examples and in float64.

    Args:
        n: How many examples.
        mean: Mean (*shape), float64.
        std: Standard deviation (*shape), with n in the denominator.
        low: Smallest value (*shape).
        high: Largest value (*shape).
        names: What the dimensions are called, where they have names.

    Example:
        >>> m = Moments.of(torch.tensor([[0.0, 5.0], [2.0, 5.0]]), names=("a", "b"))
        >>> m.mean.tolist(), m.std.tolist(), m.constant
        ([1.0, 5.0], [1.0, 0.0], [1])
    """

    n: int
    mean: Tensor
    std: Tensor
    low: Tensor
    high: Tensor
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, x: Tensor, names: Sequence[str] = ()) -> "Moments":
        """Of examples (n, *shape), in two passes over blocks of them.

        The second pass takes the squares of what is left of the mean, so that nothing cancels.
        """
        n, step = len(x), max(1, _BLOCK // max(1, x[:1].numel()))
        parts = [part.double() for part in x.split(step)] if n <= step else None
        blocks = (lambda: parts) if parts else (lambda: (p.double() for p in x.split(step)))
        first = x[0].double()
        total, low, high = torch.zeros_like(first), first, first
        for part in blocks():
            total = total + (part - first).sum(0)
            low, high = torch.minimum(low, part.amin(0)), torch.maximum(high, part.amax(0))
        mean = first + total / n
        squares = torch.zeros_like(first)
        for part in blocks():
            squares = squares + (part - mean).square().sum(0)
        std = (squares / n).sqrt()
        return cls(n=n, mean=mean, std=std, low=low, high=high, names=tuple(names))

    @property
    def constant(self) -> list[int]:
        """The dimensions (flattened) that never vary, but for rounding."""
        size = torch.maximum(self.low.abs(), self.high.abs())
        flat = (self.high - self.low <= 1e-12 * size).flatten()
        return flat.nonzero()[:, 0].tolist()

    @property
    def units(self) -> Tensor:
        """The standard deviations; a dimension that never varies gets the widest one, or 1."""
        varies = torch.ones_like(self.std, dtype=torch.bool)
        varies.view(-1)[self.constant] = False
        widest = torch.where(varies, self.std, 0.0).max()
        return torch.where(varies, self.std, widest if float(widest) > 0.0 else 1.0)

    @property
    def pooled(self) -> "Moments":
        """Of all dimensions taken as one, (1,): for models that treat every position alike."""
        mean = self.mean.mean()
        variance = (self.std.square() + (self.mean - mean).square()).mean()
        return replace(
            self,
            n=self.n * self.mean.numel(),
            mean=mean.view(1),
            std=variance.sqrt().view(1),
            low=self.low.min().view(1),
            high=self.high.max().view(1),
            names=(),
        )

    def name(self, dimension: int) -> str:
        """What a dimension is called in a sentence.

        Example:
            >>> Moments.of(torch.zeros(2, 3), names=("a", "b", "c")).name(1)
            "column 1 ('b')"
        """
        named = f" ({self.names[dimension]!r})" if dimension < len(self.names) else ""
        return f"column {dimension}{named}"


def outgrows(size: Tensor, spread: Tensor) -> Tensor:
    """Where values of this size lie so far from 0 that float32 rounds off 1/8192 of their spread.

    Seconds since 1970 within an hour are an example: float32 holds every 128th.
    """
    return size > _RATIO * spread


def standardize(x: Tensor, shift: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """(x - shift) / scale, subtracted in the wider type of the two, as a network's type.

    The shift is kept in float64, so that data far from 0 that come in float64 keep their
    resolution.

    Example:
        >>> shift = torch.tensor(1_700_000_000.0, dtype=torch.float64)
        >>> standardize(shift + torch.tensor([-1.0, 1.0]), shift, torch.tensor(2.0), torch.float32)
        tensor([-0.5000,  0.5000])
    """
    return ((x - shift) / scale).to(dtype)


def restore(y: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """y scale + shift, the inverse of :func:`standardize`.

    In y's type; in float64 where that type would round off what the data tell apart.
    """
    x = y * scale + shift
    if x.dtype == y.dtype or bool(outgrows(shift.abs(), scale.abs()).any()):
        return x
    return x.to(y.dtype)
