"""Nearest-neighbor scores: precision, recall, density, coverage, memorization, diversity."""

from dataclasses import dataclass

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError

__all__ = ["Manifolds", "diversity", "manifolds", "memorization_ratio", "nearest_distance"]

_BLOCK = 64
"""Rows of a block of distances: 64 x a few thousand float64 stay in a core's cache."""


def _squared(x: Tensor, y: Tensor, y2: Tensor) -> Tensor:
    """Squared distances (n, m) by one product of matrices."""
    return torch.addmm(y2, x, y.T, alpha=-2).add_(x.square().sum(1, keepdim=True))


def _common(*sets: Tensor) -> list[Tensor]:
    """The sets in float64: products of float32 lose the small distances to cancellation."""
    return [x.double() for x in sets]


def _radii(x: Tensor, k: int) -> Tensor:
    """Squared distance of each row (n, d) to its k-th neighbor, itself left out."""
    x2 = x.square().sum(1)
    parts = []
    for rows in x.split(_BLOCK):
        # A partial sort of k + 1 values; kthvalue would copy and partition each whole row.
        nearest = _squared(rows, x, x2).topk(k + 1, dim=1, largest=False, sorted=False)
        parts.append(nearest.values.amax(1))
    return torch.cat(parts)


@dataclass(frozen=True)
class Manifolds:
    """Precision, recall, density and coverage, by balls that reach each example's k-th neighbor.

    Args:
        precision: Per sample, whether it lies in the ball of some real example.
        recall: Per real example, whether it lies in the ball of some sample.
        density: Per sample, in how many real balls it lies, over k.
        coverage: Per real example, whether its ball holds a sample.
    """

    precision: Tensor
    recall: Tensor
    density: Tensor
    coverage: Tensor


def manifolds(real: Tensor, fake: Tensor, *, k: int = 5) -> Manifolds:
    """Precision and recall, density and coverage, per example; their means are the metrics.

    (Kynkaanniemi et al., 2019; Naeem et al., 2020.) The n x m distances are made block by block,
    so memory stays at 64 rows.

    Args:
        real: Features (n, d) of real examples.
        fake: Features (m, d) of samples.
        k: The neighbor that a ball reaches.

    Raises:
        ConfigError: A set has no more than k examples.
    """
    if min(len(real), len(fake)) <= k:
        raise ConfigError(f"k={k} neighbors need more than {k} examples in each set")
    real, fake = _common(real, fake)
    center = real.mean(0)
    real, fake = real - center, fake - center  # shorter vectors, smaller rounding errors
    radii_real, radii_fake = _radii(real, k), _radii(fake, k)
    fake2 = fake.square().sum(1)
    counts = torch.zeros(len(fake), dtype=torch.float64)
    recall, coverage = [], []
    for rows, radii in zip(real.split(_BLOCK), radii_real.split(_BLOCK), strict=True):
        squared = _squared(rows, fake, fake2)
        inside = (squared < radii[:, None]).view(torch.uint8)
        counts += inside.sum(0, dtype=torch.int32)
        coverage.append(squared.amin(1) < radii)
        recall.append(squared.sub_(radii_fake).amin(1) < 0)
    return Manifolds(
        (counts > 0).double(), torch.cat(recall).double(), counts / k, torch.cat(coverage).double()
    )


def nearest_distance(x: Tensor, reference: Tensor) -> Tensor:
    """Euclidean distance of each row (n, d) to the nearest reference (m, d)."""
    x, reference = _common(x, reference)
    squared = reference.square().sum(1)
    parts = [_squared(rows, reference, squared).amin(1) for rows in x.split(_BLOCK)]
    return torch.cat(parts).clamp_(min=0).sqrt()


def memorization_ratio(samples: Tensor, held_out: Tensor, train: Tensor) -> tuple[float, float]:
    """Mean distance of samples to the training set, over that of held-out examples.

    1 where samples are as new as held-out data, near 0 where they are copies (after Meehan et al.,
    2020). Blurred samples are near everything, so read it beside precision and recall.

    Returns:
        The ratio and its standard error (delta method).
    """
    a, b = nearest_distance(samples, train), nearest_distance(held_out, train)
    ratio = a.mean() / b.mean().clamp(min=1e-300)
    error = ((a.var() / len(a) + ratio**2 * b.var() / len(b)) / b.mean().square()).sqrt()
    return float(ratio), float(error)


def diversity(samples: Tensor, real: Tensor) -> float:
    """Mean squared distance between samples, over that between real examples: total variances."""
    return float(samples.double().var(0).sum() / real.double().var(0).sum().clamp(min=1e-300))
