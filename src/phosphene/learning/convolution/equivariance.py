"""Shifts and what commutes with them: every linear shift-equivariant map is a convolution.

After Cohen and Welling (2016).
"""

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["circular_convolution", "equivariance_error", "kernel_of", "shift"]

Map = Callable[[Tensor], Tensor]


def shift(x: Tensor, by: tuple[int, ...]) -> Tensor:
    """Move cyclically: (S x)(i) = x(i - by).

    Args:
        x: (..., h, w), or fewer axes.
        by: Along the last axes.

    Example:
        >>> shift(torch.tensor([1, 2, 3]), (1,))
        tensor([3, 1, 2])
    """
    return x.roll(by, tuple(range(-len(by), 0)))


def circular_convolution(x: Tensor, kernel: Tensor) -> Tensor:
    """(k * x)(i) = sum over a of k(a) x(i - a), indices modulo the size of x.

    Args:
        x: (..., h, w).
        kernel: (h', w'), at most as large as x.

    Example:
        >>> circular_convolution(torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[5.0, 7.0]]))
        tensor([[5., 7., 0.]])
    """
    found = torch.zeros_like(x)
    for a in range(kernel.shape[0]):
        for b in range(kernel.shape[1]):
            found = found + kernel[a, b] * shift(x, (a, b))
    return found


def kernel_of(operation: Map, shape: tuple[int, int]) -> Tensor:
    """T(delta): what a map makes of the image that is 1 at the origin and 0 elsewhere.

    If T is linear and commutes with shifts, T is the circular convolution with it: every x is a sum
    of shifted deltas, x = sum over i of x(i) S_i delta, hence T x = sum of x(i) S_i T(delta).

    Args:
        operation: T.
        shape: Height and width of images.

    Example:
        >>> kernel_of(lambda x: 3 * x, (1, 3))
        tensor([[3., 0., 0.]], dtype=torch.float64)
    """
    delta = torch.zeros(shape, dtype=torch.float64)
    delta[0, 0] = 1
    return operation(delta)


def equivariance_error(operation: Map, x: Tensor, by: tuple[int, int]) -> float:
    """The largest |T(S x) - S(T x)|: 0 where T commutes with the shift S on x.

    Args:
        operation: T, which keeps the size of images.
        x: (h, w).
        by: The shift.

    Example:
        >>> equivariance_error(lambda x: x**2, torch.randn(4, 4), (1, 2))
        0.0
    """
    return float((operation(shift(x, by)) - shift(operation(x), by)).abs().max())
