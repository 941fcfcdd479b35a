"""Data of which the best estimate is known at every level, and so the score."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from phosphene.generative.diffusion.level import Level

__all__ = ["Mixture", "normal_estimate", "score"]


def score(D: Tensor, x: Tensor, level: Level[Any]) -> Tensor:
    """(alpha D - x) / sigma^2: the gradient of log q(x_t | x_0) where D is x_0.

    And that of log p(x_t) where D is E[x_0 | x_t], its mean over x_0 given x_t (Tweedie's formula;
    Vincent, 2011).

    Args:
        D: Data, or their estimates (n, ...).
        x: x_t, of the same shape.
        level: Where x_t lies.

    Example:
        >>> score(torch.ones(1), torch.tensor([0.4]), Level(0.5, 0.8, 0.5))
        tensor([1.6000])
    """
    made: Tensor = (level.alpha * D - x) / level.sigma**2
    return made


def normal_estimate(mean: float, variance: float) -> Callable[[Tensor, Level[Any]], Tensor]:
    """E[x_0 | x_t] of data from N(mean, variance): linear in x_t.

    Example:
        >>> normal_estimate(0.0, 1.0)(torch.ones(1), Level(0.5, 0.8, 0.6))
        tensor([0.8000])
    """

    def estimate(x: Tensor, level: Level[Any]) -> Tensor:
        gain = level.alpha * variance / (level.alpha**2 * variance + level.sigma**2)
        made: Tensor = mean + gain * (x - level.alpha * mean)
        return made

    return estimate


class Mixture:
    """sum_k w_k N(m_k, s_k^2 I); x_t is a mixture of N(alpha m_k, (alpha^2 s_k^2 + sigma^2) I).

    Args:
        means: m (k, d).
        stds: s (k,).
        weights: w (k,), summing to 1; equal by default.

    Example:
        >>> two = Mixture(torch.tensor([[-1.0], [1.0]]), torch.tensor([0.1, 0.1]))
        >>> two.estimate(torch.zeros(1, 1), Level(0.5, 0.8, 0.6))
        tensor([[0.]])
    """

    def __init__(self, means: Tensor, stds: Tensor, weights: Tensor | None = None) -> None:
        self.means, self.stds = means, stds
        self.weights = torch.ones_like(stds) / len(stds) if weights is None else weights

    def part(self, chosen: Tensor) -> "Mixture":
        """The mixture of some of the components alone, by their numbers."""
        weights = self.weights[chosen]
        return Mixture(self.means[chosen], self.stds[chosen], weights / weights.sum())

    def log_joint(self, x: Tensor, alpha: Any = 1.0, sigma: Any = 0.0) -> Tensor:
        """log w_k N(x; alpha m_k, alpha^2 s_k^2 + sigma^2) (n, k).

        Args:
            x: (n, d).
            alpha: A float, or (n,).
            sigma: A float, or (n,).
        """
        alpha, sigma = _beside(alpha), _beside(sigma)
        v = (alpha * self.stds) ** 2 + sigma**2
        square = x.square().sum(1, keepdim=True)
        const = self.weights.log() - alpha**2 * self.means.square().sum(1) / (2 * v)
        const = const - x.shape[1] / 2 * (2 * math.pi * v).log()
        # |x - alpha m|^2 as three terms, so that the sum over d is a matrix product.
        if v.ndim == 1:  # one level for all: the square is a column more
            parts = torch.cat((alpha * self.means / v[:, None], -0.5 / v[:, None]), 1)
            return torch.addmm(const, torch.cat((x, square), 1), parts.T)
        made: Tensor = const + (alpha * (x @ self.means.T) - 0.5 * square) / v
        return made

    def log_prob(self, x: Tensor, alpha: Any = 1.0, sigma: Any = 0.0) -> Tensor:
        """The log-density (n,) of x_t; of the data by default."""
        return self.log_joint(x, alpha, sigma).logsumexp(1)

    def estimate(self, x: Tensor, level: Level[Any]) -> Tensor:
        """E[x_0 | x_t] (n, d), at one level or at one of each (n,) or (n, 1)."""
        alpha, sigma = _beside(level.alpha), _beside(level.sigma)
        share = self.log_joint(x, alpha, sigma).softmax(1)
        gain: Tensor = alpha * self.stds**2 / ((alpha * self.stds) ** 2 + sigma**2)
        # sum_k share (m + gain (x - alpha m)), the sum over k a matrix product.
        kept = 1 - alpha * gain
        if gain.ndim == 1:
            made: Tensor = share @ (kept[:, None] * self.means) + (share @ gain)[:, None] * x
        else:
            made = (share * kept) @ self.means + (share * gain).sum(1, keepdim=True) * x
        return made

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw (n, d)."""
        k = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        z = torch.randn(n, self.means.shape[1], generator=generator, dtype=self.means.dtype)
        return self.means[k] + self.stds[k, None] * z


def _beside(number: Any) -> Any:
    """A float, or (n, 1)."""
    return number.reshape(-1, 1) if isinstance(number, Tensor) else number
