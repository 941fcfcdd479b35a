"""Places on the way from data to noise: x_t = alpha x_0 + sigma eps."""

import math
from typing import Generic, NamedTuple, TypeVar

from torch import Tensor

__all__ = ["CLEAN", "Level", "log_snr", "rows"]

N = TypeVar("N", float, Tensor)


class Level(NamedTuple, Generic[N]):
    """Where a noised example lies: x_t = alpha x_0 + sigma eps, eps standard normal.

    The numbers are floats, of one level of a sampler, or tensors (n,), of the examples of a batch.

    Args:
        time: What the network is told, from 0 (data) to 1 (noise).
        alpha: Of the data.
        sigma: Of the noise.
        d_alpha: The slope of alpha over time; 0 where time has steps.
        d_sigma: The slope of sigma.

    Example:
        >>> Level(0.5, 0.8, 0.6).alpha
        0.8
    """

    time: N
    alpha: N
    sigma: N
    d_alpha: N = 0.0  # type: ignore[assignment]
    d_sigma: N = 0.0  # type: ignore[assignment]


CLEAN: Level[float] = Level(0.0, 1.0, 0.0)
"""The data themselves."""


def log_snr(level: Level[float]) -> float:
    """log(alpha / sigma)^2, infinite at either end.

    Example:
        >>> log_snr(Level(0.5, 0.6, 0.6)), log_snr(CLEAN)
        (0.0, inf)
    """
    if level.sigma == 0:
        return math.inf
    return -math.inf if level.alpha == 0 else 2 * math.log(level.alpha / level.sigma)


def rows(level: Level[Tensor], ndim: int) -> Level[Tensor]:
    """The numbers (n,) of a batch as (n, 1, ..., 1), to stand beside tensors of ``ndim`` axes.

    Example:
        >>> import torch
        >>> rows(Level(*torch.ones(5, 3)), 4).alpha.shape
        torch.Size([3, 1, 1, 1])
    """
    shape = (-1,) + (1,) * (ndim - 1)
    return Level(*(n.view(shape) for n in level))
