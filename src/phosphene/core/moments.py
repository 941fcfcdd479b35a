"""Mean, standard deviation and range of real data, and the maps that standardize and restore it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import torch
from torch import Tensor

__all__ = ["Moments", "outgrows", "restore", "standardize"]

_BLOCK = 2**20
_RATIO = 4096.0


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Mean, standard deviation and range of each dimension over all examples, in float64.

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
        """Of examples (n, *shape), a block after another; squares are taken about the mean."""
        step = max(1, _BLOCK // max(1, x[:1].numel()))
        return replace(cls.merged(map(_of_block, x.split(step))), names=tuple(names))

    @classmethod
    def merged(cls, parts: Iterable["Moments"]) -> "Moments":
        """Of all examples of several sets together (Chan, Golub and LeVeque, 1983)."""
        return reduce(_merge, parts)

    @property
    def constant(self) -> list[int]:
        """The dimensions (flattened) that never vary, but for rounding."""
        size = torch.maximum(self.low.abs(), self.high.abs())
        flat = (self.high - self.low <= 1e-15 * size).flatten()
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

    @property
    def by_channel(self) -> "Moments":
        """Of each channel of images, (c, 1, 1): its positions taken as one.

        Example:
            >>> x = torch.arange(4.0).view(1, 2, 1, 2) * torch.ones(3, 1, 1, 1)
            >>> Moments.of(x).by_channel.mean.flatten().tolist()
            [0.5, 2.5]
        """
        own = [
            Moments(n=self.n, mean=m, std=s, low=a, high=b).pooled
            for m, s, a, b in zip(self.mean, self.std, self.low, self.high, strict=True)
        ]
        shape = (len(own), *(1,) * (self.mean.ndim - 1))
        return Moments(
            n=own[0].n,
            mean=torch.cat([m.mean for m in own]).view(shape),
            std=torch.cat([m.std for m in own]).view(shape),
            low=torch.cat([m.low for m in own]).view(shape),
            high=torch.cat([m.high for m in own]).view(shape),
        )

    def name(self, dimension: int) -> str:
        """What a dimension is called in a sentence.

        Example:
            >>> Moments.of(torch.zeros(2, 3), names=("a", "b", "c")).name(1)
            "column 1 ('b')"
        """
        named = f" ({self.names[dimension]!r})" if dimension < len(self.names) else ""
        return f"column {dimension}{named}"


def _of_block(x: Tensor) -> Moments:
    y = x.double()
    mean = y.mean(0)
    std = (y - mean).square().mean(0).sqrt()
    return Moments(n=len(y), mean=mean, std=std, low=y.amin(0), high=y.amax(0))


def _merge(a: Moments, b: Moments) -> Moments:
    n = a.n + b.n
    apart = b.mean - a.mean
    mean = a.mean + apart * (b.n / n)
    squares = a.n * a.std.square() + b.n * b.std.square() + apart.square() * (a.n * b.n / n)
    low, high = torch.minimum(a.low, b.low), torch.maximum(a.high, b.high)
    return Moments(n=n, mean=mean, std=(squares / n).sqrt(), low=low, high=high)


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
        >>> shift = torch.tensor([1_700_000_000.0], dtype=torch.float64)
        >>> x = shift + torch.tensor([[-1.0], [1.0]])
        >>> standardize(x, shift, torch.tensor([2.0]), torch.float32).flatten()
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
