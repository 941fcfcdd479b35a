"""Affine maps: a linear map and a translation, x -> A x + t, as one matrix.

In homogeneous coordinates (x, 1) an affine map is linear, and composing is multiplying (Moebius,
1827):

    [A t] [x]   [A x + t]        [A2 t2] [A1 t1]   [A2 A1   A2 t1 + t2]
    [0 1] [1] = [   1   ]        [0  1 ] [0  1 ] = [  0          1    ]
"""

import torch
from torch import Tensor

from phosphene.core.errors import DataError

__all__ = ["apply_affine", "compose", "homogeneous"]


def homogeneous(linear: Tensor, translation: Tensor) -> Tensor:
    """The matrix (..., d + 1, d + 1) of x -> A x + t.

    Args:
        linear: A (..., d, d).
        translation: t (..., d), added after A.

    Raises:
        DataError: The shapes do not fit.

    Example:
        >>> homogeneous(2 * torch.eye(2), torch.tensor([5.0, 6.0]))
        tensor([[2., 0., 5.],
                [0., 2., 6.],
                [0., 0., 1.]])
    """
    if linear.shape[:-1] != translation.shape or linear.shape[-1:] != linear.shape[-2:-1]:
        raise DataError(
            f"an affine map needs A (..., d, d) and t (..., d), got {tuple(linear.shape)} and "
            f"{tuple(translation.shape)}"
        )
    top = torch.cat((linear, translation[..., None]), -1)
    bottom = torch.zeros_like(top[..., :1, :])
    bottom[..., -1] = 1
    return torch.cat((top, bottom), -2)


def apply_affine(matrix: Tensor, points: Tensor) -> Tensor:
    """A x + t of points (n, d), by a matrix (d + 1, d + 1)."""
    return points @ matrix[:-1, :-1].T + matrix[:-1, -1]


def compose(second: tuple[Tensor, Tensor], first: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """First one map, then another: (A2 A1, A2 t1 + t2).

    Args:
        second: A2 (d, d) and t2 (d,).
        first: A1 (d, d) and t1 (d,).

    Example:
        >>> turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]]), torch.zeros(2)
        >>> step = torch.eye(2), torch.tensor([1.0, 0.0])
        >>> compose(turn, step)[1], compose(step, turn)[1]
        (tensor([0., 1.]), tensor([1., 0.]))
    """
    return second[0] @ first[0], second[0] @ first[1] + second[1]
