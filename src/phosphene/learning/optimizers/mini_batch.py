"""Mini-batches: an unbiased gradient for a part of the work, and how it varies."""

from itertools import combinations
from math import comb

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError
from phosphene.core.rng import generator

__all__ = ["all_batches", "batch_gradients", "mini_batches", "variance_of_batches"]

_MOST = 1_000_000


def mini_batches(n: int, size: int, *, seed: int = 0, epoch: int = 0) -> list[Tensor]:
    """Indices of the batches of an epoch: every example once, in an order of its own.

    The order is a function of the seed and the epoch; the last batch may be smaller.

    Example:
        >>> batches = mini_batches(5, 2)
        >>> [len(b) for b in batches], sorted(torch.cat(batches).tolist())
        ([2, 2, 1], [0, 1, 2, 3, 4])
    """
    _check(n, size)
    return list(torch.randperm(n, generator=generator(seed, epoch)).split(size))


def all_batches(n: int, size: int) -> Tensor:
    """Every batch of different examples that there is: indices (n choose size, size).

    Raises:
        ConfigError: There are more than a million.

    Example:
        >>> all_batches(3, 2).tolist()
        [[0, 1], [0, 2], [1, 2]]
    """
    _check(n, size)
    if comb(n, size) > _MOST:
        raise ConfigError(f"there are {comb(n, size):,} batches of {size} of {n}, of at most 1e6")
    return torch.tensor(list(combinations(range(n), size)))


def batch_gradients(gradients: Tensor, batches: Tensor) -> Tensor:
    """The mean gradient of each batch.

    Args:
        gradients: Of each example (n, d).
        batches: Indices (b, m).

    Returns:
        (b, d). Over all batches of m their mean is the full gradient.
    """
    return gradients[batches].mean(1)


def variance_of_batches(gradients: Tensor, m: int, *, replacement: bool = False) -> float:
    """The variance of a mini-batch's gradient, summed over dimensions.

    Drawn with replacement, S / m, S the variance of one example's gradient; without,
    S / m (n - m) / (n - 1), which is 0 for a batch of all.

    Args:
        gradients: Of each example (n, d).
        m: Examples in a batch.
        replacement: Whether one may be drawn twice.

    Example:
        >>> g = torch.tensor([[-1.0], [1.0]])
        >>> variance_of_batches(g, 1), variance_of_batches(g, 2)
        (1.0, 0.0)
    """
    n = len(gradients)
    if not replacement:
        _check(n, m)
    one = float(gradients.var(0, correction=0).sum())
    return one / m if replacement or n == 1 else one / m * (n - m) / (n - 1)


def _check(n: int, size: int) -> None:
    if not 1 <= size <= n:
        raise ConfigError(f"a batch must have 1 to {n} examples, got {size}")
