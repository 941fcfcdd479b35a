"""Three points that are not on one line have one plane, by a cross product (Gibbs, 1881)."""

from collections.abc import Callable

import torch
from torch import Tensor

from phosphene.core.errors import DataError
from phosphene.core.rng import generator
from phosphene.learning.mathematics.plane import plane_distance, plane_through
from phosphene.proofs.proof import Proof, Wrong, above, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "n = (b - a) x (c - a) and k = -n . a give the plane n . p + k = 0 through a, b and c. k = 0 "
    "only if the plane passes through the origin; points on one line have no single plane."
)

Plane = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def prove(seed: int = 0, *, formula: Plane = plane_through) -> Proof:
    """Put the points back into the equation, and others of the same plane.

    Args:
        seed: Of the points.
        formula: The unit normal and the offset from three points.

    Example:
        >>> prove().holds
        True
    """
    g = generator(seed)
    residuals, others, lengths, away = [], [], [], []
    for a, b, c in torch.randn(200, 3, 3, generator=g, dtype=torch.float64):
        n, k = formula(a, b, c)
        residuals.append(plane_distance(torch.stack((a, b, c)), n, k))
        u, v = torch.rand(2, 5, 1, generator=g, dtype=torch.float64) * 6 - 3
        others.append(plane_distance(a + u * (b - a) + v * (c - a), n, k))
        lengths.append(torch.linalg.vector_norm(n))
        away.append((plane_distance(a + 2.5 * n, n, k) - 2.5).abs())
    x, y, z = torch.eye(3, dtype=torch.float64)
    zero = torch.zeros(3, dtype=torch.float64)
    flat = formula(zero, x, y)
    rows = [
        below(
            "n . p + k at the points of 200 triangles, worst",
            torch.stack(residuals).abs().max(),
            1e-12,
        ),
        below("at five other points of each plane, worst", torch.stack(others).abs().max(), 1e-12),
        below("| |n| - 1 |, worst", (torch.stack(lengths) - 1).abs().max(), 1e-12),
        below("distance of a + 2.5 n, against 2.5, worst", torch.stack(away).max(), 1e-12),
        equal(
            "k of the plane through (1,0,0), (0,1,0), (0,0,1): -1 / sqrt 3",
            formula(x, y, z)[1],
            -(3**-0.5),
            1e-12,
        ),
        equal("k of a plane through the origin", flat[1], 0, 1e-12),
        equal("its normal, along z", flat[0] @ z, 1, 1e-12),
        above("points on one line that are refused, of 50", _refused(seed), 49.5),
    ]
    figure = {"x": torch.arange(200).double(), "residual": torch.stack(residuals).abs().amax(1)}
    return Proof("plane-from-points", "The plane through three points", _STATEMENT, rows, figure)


def _refused(seed: int) -> int:
    """How many triples on one line, and single points, the library refuses."""
    count = 0
    for k, (a, along) in enumerate(
        torch.randn(50, 2, 3, generator=generator(seed, 1), dtype=torch.float64)
    ):
        try:
            plane_through(a, a + along, a + (k % 3) * along)
        except DataError:
            count += 1
    return count


def _positions(a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    n = torch.linalg.cross(a, b)
    n = n / torch.linalg.vector_norm(n).clamp(min=1e-12)
    return n, torch.zeros_like(n[0])


WRONG = Wrong(
    "n = a x b and n . p = 0, as the notes print it: right through the origin only",
    {"formula": _positions},
)
