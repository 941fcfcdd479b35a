"""Several samples of z for each example: importance weights, their mean, their noise."""

import math

import torch
from torch import Tensor

from phosphene.nn.noise import Uniform

__all__ = ["log_mean_exp", "log_ratio", "normal_like", "per_particle"]


def log_ratio(z: Tensor, eps: Tensor, logvar: Tensor) -> Tensor:
    """log N(z; 0, I) - log q(z|x) where z = mu + s eps: (k, n, d) to (k, n)."""
    return 0.5 * (eps.square() - z.square() + logvar).sum(-1)


def log_mean_exp(x: Tensor) -> Tensor:
    """log (1/K) sum_k exp x_k over the first dimension."""
    return torch.logsumexp(x, 0) - math.log(len(x))


def normal_like(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Standard normal numbers of a tensor's shape, type and device."""
    return torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)


def per_particle(uniform: Uniform, particles: int) -> Uniform:
    """Noise for rows in the order (particle, example), from noise for examples."""
    return lambda shape: uniform((particles, *shape)).transpose(0, 1).flatten(0, 1)
