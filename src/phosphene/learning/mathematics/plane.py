"""The plane through three points: n . p + k = 0 with n = (b - a) x (c - a) and k = -n . a.

The cross product is that of Gibbs (1881).
"""

import torch
from torch import Tensor

from phosphene.core.errors import DataError

__all__ = ["plane_distance", "plane_through"]


def plane_through(a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """The unit normal n and the offset k of the plane n . p + k = 0 through three points.

    The cross product of two *edges* is normal to the plane. That of two position vectors is only if
    the plane passes through the origin, and then k = 0.

    Args:
        a: A point (3,).
        b: Another (3,).
        c: A third (3,); seen from the tip of n, the three run counterclockwise.

    Raises:
        DataError: The points lie on one line, up to rounding, and any plane through it would do.

    Example:
        >>> x, y, z = torch.eye(3)
        >>> plane_through(x, y, z)
        (tensor([0.5774, 0.5774, 0.5774]), tensor(-0.5774))
    """
    first, second = b - a, c - a
    n = torch.linalg.cross(first, second)
    area = torch.linalg.vector_norm(n)
    long = torch.linalg.vector_norm(first) * torch.linalg.vector_norm(second)
    if not float(area) > 8 * torch.finfo(n.dtype).eps * float(long):
        raise DataError("the three points lie on one line: they belong to many planes")
    n = n / area
    return n, -(n @ a)


def plane_distance(points: Tensor, normal: Tensor, offset: Tensor) -> Tensor:
    """n . p + k: the signed distances (...) of points (..., 3) from a plane with a unit normal.

    Example:
        >>> up = torch.tensor([0.0, 0.0, 1.0])
        >>> plane_distance(torch.tensor([[5.0, 5.0, 3.0]]), up, torch.tensor(-1.0))
        tensor([2.])
    """
    return points @ normal + offset
