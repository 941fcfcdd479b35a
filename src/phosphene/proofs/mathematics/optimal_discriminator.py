"""The best discriminator is p / (p + q), and is worth 2 JSD - log 4."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.learning.mathematics.optimal_discriminator import (
    discriminator_curvature,
    discriminator_value,
    jensen_shannon,
    optimal_discriminator,
)
from phosphene.proofs.proof import Proof, Wrong, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "max_D sum_x p log D + q log(1 - D) is reached at D* = p / (p + q) alone, where the second "
    "derivative -p / D^2 - q / (1 - D)^2 is negative, and is worth 2 JSD(p, q) - log 4, at least "
    "-log 4 and that only for p = q (Goodfellow et al., 2014)."
)


def prove(
    seed: int = 0, *, formula: Callable[[Tensor, Tensor], Tensor] = optimal_discriminator
) -> Proof:
    """Compare with a search over a grid of D at every x, and with the divergence.

    Args:
        seed: Of the tables p and q.
        formula: D* from p and q.

    Example:
        >>> prove().holds
        True
    """
    p, q = torch.rand(2, 100, 20, generator=generator(seed), dtype=torch.float64)
    p, q = p / p.sum(1, keepdim=True), q / q.sum(1, keepdim=True)
    cells = 10_000
    grid = (torch.arange(cells, dtype=torch.float64) + 0.5) / cells
    a, b = p[:10].reshape(-1, 1), q[:10].reshape(-1, 1)
    best = grid[discriminator_value(grid, a, b).argmax(1)]
    d = formula(p, q)
    value = discriminator_value(d, p, q).sum(1)
    slope = p / d - q / (1 - d)
    other = (d + 0.1 * torch.rand(d.shape, generator=generator(seed, 1)) - 0.05).clamp(0.001, 0.999)
    rows = [
        below(
            "against the best of 10,000 values of D at 200 points",
            _gap(formula(a, b)[:, 0], best),
            0.5 / cells,
            1e-12,
        ),
        below("largest slope of the value at D*", slope.abs().max(), 1e-10),
        below("largest second derivative there", discriminator_curvature(d, p, q).max(), 0.0),
        below(
            "most that another D gains",
            (discriminator_value(other, p, q).sum(1) - value).max(),
            0.0,
        ),
        below(
            "V(D*) against 2 JSD - log 4",
            _gap(value, 2 * jensen_shannon(p, q) - math.log(4)),
            1e-12,
        ),
        equal(
            "V(D*) for p = q",
            discriminator_value(formula(p, p), p, p).sum(1)[0],
            -math.log(4),
            1e-12,
        ),
    ]
    line = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)
    some = torch.tensor([0.2, 0.5, 0.8]).double()
    figure = {"x": line} | {
        f"value at p = {float(s):g}, q = {1 - float(s):g}": discriminator_value(line, s, 1 - s)
        for s in some
    }
    return Proof("optimal-discriminator", "The best discriminator", _STATEMENT, rows, figure)


def _gap(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())


WRONG = Wrong(
    "D* = q / (p + q): data and model in each other's place",
    {"formula": lambda p, q: q / (p + q)},
)
