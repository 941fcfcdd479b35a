"""Distances between two sets of feature vectors: Frechet, kernel, sliced Wasserstein."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError
from phosphene.core.rng import generator
from phosphene.evaluate.moments import Moments

__all__ = [
    "frechet_distance",
    "kernel_distance",
    "paired_difference",
    "sliced_wasserstein",
    "wasserstein_1d",
]

_ROWS = 128
"""Rows of a block of kernel values, which then stay in a core's cache."""


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


def _kernel_sums(x: Tensor, y: Sequence[Tensor]) -> Tensor:
    """Sum of (a·b / d + 1)^3 over all a in x and b in each of the groups y, (g,)."""
    every = torch.cat(list(y))
    columns = x.new_zeros(len(every))
    for rows in x.split(_ROWS):
        k = torch.addmm(x.new_ones(1), rows, every.T, alpha=1 / x.shape[1])
        columns += k.square().mul_(k).sum(0)
    return torch.stack([part.sum() for part in columns.split([len(part) for part in y])])


def _diagonal_sum(x: Tensor) -> Tensor:
    return (x.square().sum(1) / x.shape[1] + 1).pow(3).sum()


@dataclass(frozen=True)
class _KernelSums:
    """Sums of the kernel over pairs of groups; the sum of a set is that of its groups.

    Args:
        xx: Sums between groups of x (g, g), pairs of an example with itself left out.
        yy: The same for y.
        xy: Sums between groups of x and of y (g, g).
        n: Sizes of the groups of x (g,).
        m: Sizes of the groups of y (g,).
    """

    xx: Tensor
    yy: Tensor
    xy: Tensor
    n: Tensor
    m: Tensor

    @classmethod
    def of(cls, x: Sequence[Tensor], y: Sequence[Tensor]) -> "_KernelSums":
        def within(groups: Sequence[Tensor]) -> Tensor:
            sums = torch.stack([_kernel_sums(a, groups) for a in groups])
            return sums - torch.stack([_diagonal_sum(a) for a in groups]).diag()

        between = torch.stack([_kernel_sums(a, y) for a in x])
        sizes = [torch.tensor([float(len(a)) for a in v], dtype=torch.float64) for v in (x, y)]
        return cls(within(x), within(y), between, sizes[0], sizes[1])

    def mmd(self, keep: Tensor) -> Tensor:
        """The unbiased squared discrepancy of the groups kept (g,), ones and zeros."""
        n, m = (self.n * keep).sum(), (self.m * keep).sum()
        within_x = keep @ self.xx @ keep / (n * (n - 1))
        within_y = keep @ self.yy @ keep / (m * (m - 1))
        return within_x + within_y - 2 * (keep @ self.xy @ keep) / (n * m)


def kernel_distance(
    x: Tensor, y: Tensor, *, groups: int = 10, seed: int = 0
) -> tuple[float, float]:
    r"""Unbiased squared maximum mean discrepancy with the kernel (x·y / d + 1)^3.

    (Binkowski et al., 2018; Gretton et al., 2012.) It is 0 on average for equal distributions, and
    may be negative. All pairs count; the standard error is a jackknife that leaves out one of the
    random groups at a time, and errs on the large side (Efron and Stein, 1981).

    Args:
        x: Features (n, d).
        y: Features (m, d).
        groups: How many groups the jackknife has.
        seed: Draws the groups.

    Returns:
        The distance and its standard error.

    Raises:
        ConfigError: A group would hold fewer than 2 examples, or there are fewer than 2 groups.
    """
    if groups < 2 or min(len(x), len(y)) < 2 * groups:
        raise ConfigError(
            f"groups must be 2 or more with 2 examples each, got {groups} groups of "
            f"{min(len(x), len(y))} examples"
        )
    order_x = torch.randperm(len(x), generator=generator(seed, 0))
    order_y = torch.randperm(len(y), generator=generator(seed, 1))
    sums = _KernelSums.of(
        x.double()[order_x].tensor_split(groups), y.double()[order_y].tensor_split(groups)
    )
    every = torch.ones(groups, dtype=torch.float64)
    without = torch.stack([sums.mmd(every - row) for row in torch.eye(groups).double()])
    spread = (without - without.mean()).square().sum()
    return float(sums.mmd(every)), float((spread * (groups - 1) / groups).sqrt())


def paired_difference(x: Tensor, y: Tensor, real: Tensor) -> tuple[float, float]:
    """Kernel distance of x to real features, less that of y, and its standard error.

    Row i of x and of y come from the same noise. The error is found by leaving out tenths of the
    pairs, which keeps what the two distances have in common out of it.

    Args:
        x: Features (n, d).
        y: Features (n, d).
        real: Features (m, d) of data.

    Example:
        >>> x = torch.randn(50, 3)
        >>> paired_difference(x, x, torch.randn(50, 3))
        (0.0, 0.0)
    """
    groups = torch.randperm(len(x), generator=generator(9)).tensor_split(10)

    def difference(keep: Tensor) -> float:
        return kernel_distance(x[keep], real)[0] - kernel_distance(y[keep], real)[0]

    parts = [torch.cat([*groups[:i], *groups[i + 1 :]]) for i in range(10)]
    without = torch.tensor([difference(keep) for keep in parts], dtype=torch.float64)
    spread = (without - without.mean()).square().sum()
    return difference(torch.arange(len(x))), float((0.9 * spread).sqrt())


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
