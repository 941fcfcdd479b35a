"""Data of which the best estimate is known: normal, a mixture of normals, a finite set."""

import math

import torch
from torch import Tensor

from phosphene.generative.diffusion.level import Level


def normal_estimate(mean: float, variance: float):
    """E[x_0 | x_t] of N(mean, variance) data."""

    def estimate(x: Tensor, level: Level) -> Tensor:
        gain = level.alpha * variance / (level.alpha**2 * variance + level.sigma**2)
        return mean + gain * (x - level.alpha * mean)

    return estimate


class Mixture:
    """sum_k w_k N(m_k, s_k^2 I) in d dimensions."""

    def __init__(self, means: Tensor, stds: Tensor, weights: Tensor | None = None) -> None:
        self.means, self.stds = means, stds
        self.weights = torch.ones(len(means)) / len(means) if weights is None else weights

    def log_joint(self, x: Tensor, alpha: float = 1.0, sigma: float = 0.0) -> Tensor:
        """log w_k N(x; alpha m_k, alpha^2 s_k^2 + sigma^2) (n, k)."""
        v = (alpha * self.stds) ** 2 + sigma**2
        d = x.shape[1]
        square = (x[:, None] - alpha * self.means).square().sum(-1)
        return self.weights.log() - square / (2 * v) - d / 2 * (2 * math.pi * v).log()

    def log_prob(self, x: Tensor) -> Tensor:
        return self.log_joint(x).logsumexp(1)

    def estimate(self, x: Tensor, level: Level) -> Tensor:
        """E[x_0 | x_t]."""
        alpha, sigma = (
            n if isinstance(n, float) else n.view(-1, 1) for n in (level.alpha, level.sigma)
        )
        v = (alpha * self.stds) ** 2 + sigma**2
        square = x[:, None] - (alpha[..., None] if torch.is_tensor(alpha) else alpha) * self.means
        logs = self.weights.log() - square.square().sum(-1) / (2 * v) - x.shape[1] / 2 * v.log()
        share = logs.softmax(1)[..., None]
        gain = (alpha * self.stds**2 / v)[..., None]
        return (share * (self.means + gain * square)).sum(1)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        k = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        z = torch.randn(n, self.means.shape[1], generator=generator, dtype=self.means.dtype)
        return self.means[k] + self.stds[k, None] * z
