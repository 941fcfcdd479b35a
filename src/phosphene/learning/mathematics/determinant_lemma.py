"""The matrix determinant lemma: det(A + U V^T) = det(I_k + V^T A^-1 U) det A.

(Harville, 1997; Sylvester, 1851, for A = I.) With k = 1: det(A + u v^T) = (1 + v^T A^-1 u) det A. A
change of rank k costs a k x k determinant; planar and Sylvester flows live on it.
"""

import torch
from torch import Tensor

from phosphene.core.errors import DataError

__all__ = ["determinant_after_update"]


def determinant_after_update(a: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """det(A + U V^T).

    Args:
        a: (..., d, d), invertible.
        u: (..., d) or (..., d, k).
        v: Of the same shape.

    Raises:
        DataError: U and V have not the same shape, or not d rows.

    Example:
        >>> u, v = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 1.0])
        >>> determinant_after_update(torch.eye(2), u, v)
        tensor(6.)
    """
    if u.ndim == a.ndim - 1:
        u, v = u[..., None], v[..., None]
    if u.shape != v.shape or u.shape[-2] != a.shape[-1]:
        raise DataError(
            f"an update of {tuple(a.shape)} needs U and V of shape (..., {a.shape[-1]}, k), got "
            f"{tuple(u.shape)} and {tuple(v.shape)}"
        )
    small = v.mT @ torch.linalg.solve(a, u)
    eye = torch.eye(small.shape[-1], dtype=a.dtype, device=a.device)
    found: Tensor = torch.linalg.det(eye + small) * torch.linalg.det(a)
    return found
