"""Quantizers: the nearest vector of a codebook, and a finite grid of scalars."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.errors import ConfigError

__all__ = ["Codebook", "FiniteScalars", "Quantized", "perplexity"]


class Quantized(NamedTuple):
    """What a quantizer makes of vectors (..., d).

    Args:
        z: The quantized vectors (..., d); the gradient passes straight through to the input.
        codes: Indices (...,), int64.
        codebook: Squared distance that moves the codebook (...,), 0 where it is not learned so.
        commitment: Squared distance that moves the encoder (...,).
    """

    z: Tensor
    codes: Tensor
    codebook: Tensor
    commitment: Tensor


def perplexity(index: Tensor, size: int) -> Tensor:
    """exp(entropy) of how often each of ``size`` codes is used: between 1 and size.

    Example:
        >>> perplexity(torch.tensor([0, 1, 2, 3]), 8)
        tensor(4.)
    """
    p = torch.bincount(index.flatten(), minlength=size).to(torch.get_default_dtype())
    p = p / p.sum()
    return torch.exp(-torch.xlogy(p, p).sum())


class Codebook(nn.Module):
    """K vectors of size d; z is replaced by the nearest (van den Oord, Vinyals, Kavukcuoglu, 2017).

        k = argmin_j |z - e_j|^2,    z_q = z + stop(e_k - z)

    Learned by gradient, the codebook loss is |stop(z) - e_k|^2. Learned by exponential moving
    averages (``ema`` above or equal 0), it is Lloyd's step with memory:
    N_k <- g N_k + (1 - g) n_k, m_k <- g m_k + (1 - g) sum z, e_k = m_k / N_k. With g = 0 that is
    one step of k-means.

    Args:
        size: K.
        dim: d.
        ema: The decay g; None for a codebook that is learned by gradient.

    Example:
        >>> book = Codebook(2, 1, ema=None)
        >>> book.vectors.data = torch.tensor([[-1.0], [1.0]])
        >>> book(torch.tensor([[0.3], [-4.0]])).codes
        tensor([1, 0])
    """

    vectors: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, size: int, dim: int, *, ema: float | None = 0.99) -> None:
        super().__init__()
        if size < 2:
            raise ConfigError(f"a codebook needs at least 2 codes, got {size}")
        if dim < 1:
            raise ConfigError(f"code_dim must be 1 or more, got {dim}")
        if ema is not None and not 0.0 <= ema < 1.0:
            raise ConfigError(f"the codebook's ema must lie in [0, 1), got {ema:g}")
        self.size, self.dim, self.ema = size, dim, ema
        vectors = torch.randn(size, dim) / math.sqrt(dim)
        if ema is None:
            self.vectors = nn.Parameter(vectors)
        else:
            self.register_buffer("vectors", vectors)
            self.register_buffer("sums", vectors.clone())
        self.register_buffer("counts", torch.ones(size))

    def nearest(self, z: Tensor) -> Tensor:
        """Codes (...,) of vectors (..., d)."""
        e = self.vectors
        return (e.square().sum(1) - 2.0 * z @ e.T).argmin(-1)

    def lookup(self, index: Tensor) -> Tensor:
        """Vectors (..., d) of codes (...,)."""
        return F.embedding(index, self.vectors)

    def forward(self, z: Tensor) -> Quantized:
        """Quantize vectors (..., d)."""
        with torch.no_grad():
            index = self.nearest(z)
        e = self.lookup(index)
        commitment = (z - e.detach()).square().sum(-1)
        codebook = (z.detach() - e).square().sum(-1)
        codebook = codebook if self.ema is None else torch.zeros_like(codebook)
        # Written so that the values are those of the codebook, bit for bit.
        return Quantized(_straight_through(z, e.detach()), index, codebook, commitment)

    @torch.no_grad()
    def start(self, z: Tensor, order: Tensor) -> None:
        """Put the codes on examples: the vectors z (m, d) that come first in ``order`` (m,)."""
        chosen = z[order.argsort()[: self.size]]
        if len(chosen) < self.size:
            chosen = chosen.repeat(-(-self.size // len(chosen)), 1)[: self.size]
        self.vectors.copy_(chosen)
        if self.ema is not None:
            self.sums.copy_(self.vectors)
        self.counts.fill_(1.0)

    @torch.no_grad()
    def statistics(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """How many of the vectors z (m, d) fall to each code (K,), and their sums (K, d)."""
        index = self.nearest(z)
        counts = torch.bincount(index, minlength=self.size).to(z.dtype)
        return counts, torch.zeros_like(self.vectors).index_add_(0, index, z)

    @torch.no_grad()
    def follow(self, counts: Tensor, sums: Tensor) -> None:
        """Move the averages, and with them the codes that have been used at all.

        Args:
            counts: As of :meth:`statistics`, a mean over ranks.
            sums: The same.
        """
        decay = 0.99 if self.ema is None else self.ema
        self.counts.mul_(decay).add_(counts, alpha=1.0 - decay)
        if self.ema is not None:
            self.sums.mul_(decay).add_(sums, alpha=1.0 - decay)
            used = self.counts > 1e-5
            means = self.sums / self.counts.clamp(min=1e-5)[:, None]
            self.vectors.copy_(torch.where(used[:, None], means, self.vectors))

    @torch.no_grad()
    def restart(self, candidates: Tensor, least: float) -> Tensor:
        """Move codes that are hardly used to examples; returns how many were moved.

        Args:
            candidates: A vector for each code (K, d), the same on every rank.
            least: A code is dead when its averaged count is below this part of the mean count.
        """
        dead = self.counts < least * self.counts.mean()
        self.vectors.copy_(torch.where(dead[:, None], candidates, self.vectors))
        self.counts.copy_(torch.where(dead, self.counts.mean(), self.counts))
        if self.ema is not None:
            self.sums.copy_(
                torch.where(dead[:, None], candidates * self.counts[:, None], self.sums)
            )
        return dead.sum()


class FiniteScalars(nn.Module):
    """Finite scalar quantization: each of d numbers is bounded and rounded (Mentzer et al., 2023).

    Number i takes one of ``levels[i]`` values; the codes are the prod_i levels[i] points of the
    grid. There is no codebook to learn, and none to collapse.

    Args:
        levels: Number of values of each dimension, such as (8, 5, 5).

    Example:
        >>> grid = FiniteScalars((3, 3))
        >>> grid.size, grid(torch.tensor([[9.0, -9.0], [0.0, 0.0]])).z
        (9, tensor([[ 1., -1.],
                [ 0.,  0.]]))
    """

    levels: Tensor
    places: Tensor

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        if not levels or min(levels) < 2:
            raise ConfigError(f"scalar levels must be 2 or more each, got {tuple(levels)}")
        self.size, self.dim = math.prod(levels), len(levels)
        self.register_buffer("levels", torch.tensor(levels), persistent=False)
        places = [math.prod(levels[i + 1 :]) for i in range(len(levels))]
        self.register_buffer("places", torch.tensor(places), persistent=False)

    def _digits(self, z: Tensor) -> Tensor:
        """Bounded numbers in (-1/2, levels - 1/2), before they are rounded."""
        half = (self.levels - 1) / 2
        return torch.tanh(z) * (half + 0.5 - 1e-3) + half

    def lookup(self, index: Tensor) -> Tensor:
        """Points of the grid in [-1, 1] (..., d) of codes (...,)."""
        digits = index.unsqueeze(-1) // self.places % self.levels
        return (digits.to(torch.get_default_dtype()) * 2 / (self.levels - 1) - 1).to(
            torch.get_default_dtype()
        )

    def nearest(self, z: Tensor) -> Tensor:
        """Codes (...,) of unbounded numbers (..., d)."""
        return (self._digits(z).round().long() * self.places).sum(-1)

    def forward(self, z: Tensor) -> Quantized:
        """Quantize numbers (..., d)."""
        digits = self._digits(z)
        scale = 2.0 / (self.levels - 1)
        rounded = digits.detach().round()
        index = (rounded.long() * self.places).sum(-1)
        points = (rounded * scale - 1.0).to(z.dtype)
        z_q = _straight_through(digits * scale - 1.0, points)
        zero = torch.zeros_like(z[..., 0])
        return Quantized(z_q, index, zero, zero)


class _StraightThrough(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(z: Tensor, quantized: Tensor) -> Tensor:
        return quantized.clone()

    @staticmethod
    def setup_context(ctx: object, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """Nothing is needed later."""

    @staticmethod
    def backward(ctx: object, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0], None

    @staticmethod
    def jvp(ctx: object, *tangents: Tensor) -> Tensor:
        return tangents[0].clone()


def _straight_through(z: Tensor, quantized: Tensor) -> Tensor:
    """The quantized values, with the gradient of z (Bengio, Leonard and Courville, 2013)."""
    out: Tensor = _StraightThrough.apply(z, quantized)
    return out
