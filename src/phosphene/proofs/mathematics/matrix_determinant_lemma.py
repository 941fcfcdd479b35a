"""The determinant after a change of rank 1, and of rank k (Sylvester, 1851; Harville, 1997)."""

from collections.abc import Callable

import torch
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.learning.mathematics.determinant_lemma import determinant_after_update
from phosphene.proofs.proof import Proof, Wrong, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "det(A + u v^T) = (1 + v^T A^-1 u) det A, and for d x k matrices det(A + U V^T) = "
    "det(I_k + V^T A^-1 U) det A."
)
_SIZE = 6

Lemma = Callable[[Tensor, Tensor, Tensor], Tensor]


def prove(seed: int = 0, *, formula: Lemma = determinant_after_update) -> Proof:
    """Compare with the determinant of the changed matrix, for ranks 1 to 6.

    Args:
        seed: Of the matrices.
        formula: The determinant from A, U and V.

    Example:
        >>> prove().holds
        True
    """
    g = generator(seed)
    a = torch.randn(100, _SIZE, _SIZE, generator=g, dtype=torch.float64)
    a = a + 4 * torch.eye(_SIZE, dtype=torch.float64)
    u, v = torch.randn(2, 100, _SIZE, generator=g, dtype=torch.float64)
    rows = [
        below(
            "rank 1, 100 matrices: relative gap, worst",
            _gap(formula(a, u, v), torch.linalg.det(a + u[..., None] * v[..., None, :])),
            1e-10,
        )
    ]
    gaps = []
    for k in range(1, _SIZE + 1):
        wide = torch.randn(2, 100, _SIZE, k, generator=g, dtype=torch.float64)
        found = formula(a, wide[0], wide[1])
        gaps.append(_gap(found, torch.linalg.det(a + wide[0] @ wide[1].mT)))
    # Where 1 + v^T A^-1 u = 0 the changed matrix is singular.
    singular = u / -(v * torch.linalg.solve(a, u)).sum(-1, keepdim=True)
    left = formula(a, singular, v) / torch.linalg.det(a)
    eye = torch.eye(3, dtype=torch.float64)
    rows += [
        below(f"rank 1 to {_SIZE}: relative gap, worst", max(gaps), 1e-10),
        below("v^T A^-1 u = -1: determinant over det A, worst", left.abs().max(), 1e-10),
        equal("det(I + 2 e_1 e_1^T)", formula(eye, 2 * eye[0], eye[0]), 3, 1e-12),
    ]
    figure = {"x": torch.arange(1.0, _SIZE + 1), "gap by rank": torch.tensor(gaps).double()}
    return Proof(
        "matrix-determinant-lemma", "The matrix determinant lemma", _STATEMENT, rows, figure
    )


def _gap(a: Tensor, b: Tensor) -> float:
    return float(((a - b).abs() / b.abs().clamp(min=1)).max())


def _without_the_inverse(a: Tensor, u: Tensor, v: Tensor) -> Tensor:
    eye = torch.eye(a.shape[-1], dtype=a.dtype).expand_as(a)
    found: Tensor = determinant_after_update(eye, u, v) * torch.linalg.det(a)
    return found


WRONG = Wrong(
    "det(A + u v^T) = (1 + v^T u) det A: A^-1 is lost, right for A = I only",
    {"formula": _without_the_inverse},
)
