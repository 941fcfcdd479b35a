"""An affine map is a linear one and a translation, and one matrix in homogeneous coordinates.

(Moebius, 1827.)
"""

from collections.abc import Callable

import torch
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.learning.mathematics.affine import apply_affine, compose, homogeneous
from phosphene.proofs.proof import Proof, Wrong, above, below

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "x -> A x + t is affine, not linear unless t = 0. As the matrix [A t; 0 1] of (x, 1) it is "
    "linear, and maps compose by products: (A2, t2) after (A1, t1) = (A2 A1, A2 t1 + t2)."
)
Map = tuple[Tensor, Tensor]


def prove(seed: int = 0, *, formula: Callable[[Map, Map], Map] = compose) -> Proof:
    """Compose 100 pairs of maps of space as pairs, as 4 x 4 matrices, and point by point.

    Args:
        seed: Of maps and points.
        formula: The composition of two maps, the later one first.

    Example:
        >>> prove().holds
        True
    """
    g = generator(seed)
    pairs, points_gap, inverse_gap, affine_gap, linear_gap = [], [], [], [], []
    for k in range(100):
        a1, a2 = torch.randn(2, 3, 3, generator=g, dtype=torch.float64)
        t1, t2 = torch.randn(2, 3, generator=g, dtype=torch.float64)
        x = torch.randn(20, 3, generator=g, dtype=torch.float64)
        first, second = homogeneous(a1, t1), homogeneous(a2, t2)
        both = homogeneous(*formula((a2, t2), (a1, t1)))
        pairs.append((both - second @ first).abs().max())
        stepwise = (x @ a1.T + t1) @ a2.T + t2
        points_gap.append((apply_affine(both, x) - stepwise).abs().max())
        turn = torch.linalg.qr(a1).Q
        back = formula((turn.T, -turn.T @ t1), (turn, t1))
        inverse_gap.append((homogeneous(*back) - torch.eye(4).double()).abs().max())
        s = k / 99
        middle = apply_affine(first, s * x[:1] + (1 - s) * x[1:2])
        ends = apply_affine(first, x[:2])
        affine_gap.append((middle - (s * ends[0] + (1 - s) * ends[1])).abs().max())
        doubled = apply_affine(first, 2 * x[:1]) - 2 * apply_affine(first, x[:1])
        linear_gap.append(doubled.abs().max())
    rows = [
        below(
            "(A2 A1, A2 t1 + t2) against the product of 4 x 4 matrices, worst gap",
            torch.stack(pairs).max(),
            1e-12,
        ),
        below(
            "against one map after the other, 20 points each, worst gap",
            torch.stack(points_gap).max(),
            1e-12,
        ),
        below(
            "a rigid motion and (A^T, -A^T t): against the identity, worst gap",
            torch.stack(inverse_gap).max(),
            1e-12,
        ),
        below(
            "f(s x + (1 - s) y) against s f(x) + (1 - s) f(y), worst gap",
            torch.stack(affine_gap).max(),
            1e-12,
        ),
        above(
            "|f(2 x) - 2 f(x)|, 0 for a linear map, least of 100",
            torch.stack(linear_gap).min(),
            1e-3,
        ),
    ]
    figure = {"x": torch.arange(100).double(), "|f(2 x) - 2 f(x)|": torch.stack(linear_gap)}
    return Proof("affine-map", "Affine maps", _STATEMENT, rows, figure)


WRONG = Wrong(
    "(A2, t2) after (A1, t1) = (A2 A1, t1 + t2): the second map does not move the first "
    "translation",
    {"formula": lambda second, first: (second[0] @ first[0], first[1] + second[1])},
)
