"""Distances between two sets of feature vectors: Frechet, kernel, sliced Wasserstein."""

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError
from phosphene.core.rng import generator
from phosphene.evaluate.moments import Moments

__all__ = ["frechet_distance", "kernel_distance", "sliced_wasserstein", "wasserstein_1d"]


def _sqrt_trace(a: Tensor, b: Tensor) -> Tensor:
    """Trace of (ab)^{1/2} for positive semidefinite matrices.

    With a = L L^T, the matrix ab has the eigenvalues of the symmetric L^T b L.
    """
    root, failed = torch.linalg.cholesky_ex(a)
    if failed:  # singular: fewer examples than dimensions, or constant features
        values, vectors = torch.linalg.eigh(a)
        root = vectors * values.clamp(min=0).sqrt()
    values = torch.linalg.eigvalsh(root.T @ b @ root)
    trace: Tensor = values.clamp(min=0).sqrt().sum()
    return trace


def frechet_distance(x: Moments | Tensor, y: Moments | Tensor) -> float:
    r"""Squared Frechet distance between Gaussians fitted to two sets of features.

    .. math:: |\mu_x - \mu_y|^2 + \mathrm{tr}(\Sigma_x + \Sigma_y - 2 (\Sigma_x \Sigma_y)^{1/2})

    (Dowson and Landau, 1982; Heusel et al., 2017, for one network's features.) It is biased upwards
    at finite samples: compare it with its floor at the same counts only.

    Args:
        x: Features (n, d) or their moments.
        y: Features (m, d) or their moments.

    Example:
        >>> x = torch.randn(100, 3, generator=generator(0))
        >>> round(frechet_distance(x, x + 2), 6)
        12.0
    """
    x = x if isinstance(x, Moments) else Moments.of(x)
    y = y if isinstance(y, Moments) else Moments.of(y)
    a, b = x.covariance, y.covariance
    squared = (x.mean - y.mean).square().sum()
    return float(squared + a.trace() + b.trace() - 2 * _sqrt_trace(a, b))


def _kernel_sum(x: Tensor, y: Tensor) -> Tensor:
    """Sum over all pairs of (x·y / d + 1)^3, in few passes over the n x m products."""
    k = torch.addmm(x.new_ones(1), x, y.T, alpha=1 / x.shape[1]).flatten()
    return torch.dot(k.square(), k)


def _unbiased_mmd(x: Tensor, y: Tensor) -> Tensor:
    def within(v: Tensor) -> Tensor:
        diagonal = (v.square().sum(1) / v.shape[1] + 1).pow(3).sum()
        return (_kernel_sum(v, v) - diagonal) / (len(v) * (len(v) - 1))

    return within(x) + within(y) - 2 * _kernel_sum(x, y) / (len(x) * len(y))


def kernel_distance(
    x: Tensor, y: Tensor, *, blocks: int = 10, seed: int = 0
) -> tuple[float, float]:
    r"""Unbiased squared maximum mean discrepancy with the kernel (x·y / d + 1)^3.

    The mean over disjoint random blocks and its standard error, which is honest because blocks
    share no example (Binkowski et al., 2018; Gretton et al., 2012). It is 0 on average for equal
    distributions, and may be negative.

    Args:
        x: Features (n, d).
        y: Features (m, d).
        blocks: How many parts each set is cut into.
        seed: Draws the parts.

    Returns:
        The distance and its standard error (0 for one block).

    Raises:
        ConfigError: A block would hold fewer than 2 examples.
    """
    if min(len(x), len(y)) < 2 * blocks:
        raise ConfigError(f"{blocks} blocks need {2 * blocks} examples, got {min(len(x), len(y))}")
    order_x = torch.randperm(len(x), generator=generator(seed, 0))
    order_y = torch.randperm(len(y), generator=generator(seed, 1))
    parts = zip(
        x.double()[order_x].tensor_split(blocks),
        y.double()[order_y].tensor_split(blocks),
        strict=True,
    )
    values = torch.stack([_unbiased_mmd(a, b) for a, b in parts])
    error = float(values.std() / blocks**0.5) if blocks > 1 else 0.0
    return float(values.mean()), error


def wasserstein_1d(x: Tensor, y: Tensor, p: float = 2.0) -> Tensor:
    """The p-th power of the Wasserstein-p distance between columns, (k,); any two counts.

    Both quantile functions are constant between the breakpoints i/n and j/m, so their integral is
    a finite sum, and exact.

    Args:
        x: Values (n, k).
        y: Values (m, k).
        p: The order.
    """
    n, m = len(x), len(y)
    x, y = x.sort(0).values, y.sort(0).values
    if n == m:
        return (x - y).abs().pow(p).mean(0)
    # Breakpoints in units of 1 / (nm), as whole numbers, so that none is missed by rounding.
    ends = torch.cat([torch.arange(1, n + 1) * m, torch.arange(1, m + 1) * n]).unique()
    widths = torch.diff(ends, prepend=ends.new_zeros(1)).double() / (n * m)
    gap = (x[(ends - 1) // m] - y[(ends - 1) // n]).abs().pow(p)
    return (widths[:, None] * gap).sum(0)


def sliced_wasserstein(
    x: Tensor, y: Tensor, *, projections: int = 256, seed: int = 0
) -> tuple[float, float]:
    r"""Sliced Wasserstein-2 distance (Rabin et al., 2011), in the features' units.

    .. math:: \left( E_{\theta \sim S^{d-1}} W_2^2(\theta^\top x, \theta^\top y) \right)^{1/2}

    Args:
        x: Features (n, d).
        y: Features (m, d).
        projections: How many directions.
        seed: Draws the directions.

    Returns:
        The distance and its standard error over directions.
    """
    directions = torch.randn(
        x.shape[1], projections, generator=generator(seed), dtype=torch.float64
    )
    directions = directions / directions.norm(dim=0)
    squared = wasserstein_1d(x.double() @ directions, y.double() @ directions)
    distance = float(squared.mean().sqrt())
    error = float(squared.std() / projections**0.5)
    return distance, error / (2 * distance) if distance > 0 else 0.0
