"""A convolution as a matrix: banded (Toeplitz) for lines, of blocks for images, and im2col.

After Dumoulin and Visin (2016).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from phosphene.learning.backprop.windows import Geometry, output_size, windows

__all__ = ["circulant", "im2col", "matrix_of", "toeplitz"]


def toeplitz(kernel: Tensor, size: int, *, stride: int = 1, padding: int = 0) -> Tensor:
    """The matrix T with T x = the correlation of x with a kernel: T[i, i s + a - p] = k[a].

    With stride 1 every diagonal holds one value, so that T is a Toeplitz matrix of k's width as its
    band. Its transpose is the transposed convolution.

    Args:
        kernel: (taps,).
        size: Length of x.
        stride: s.
        padding: p, zeros on either side.

    Returns:
        (places, size).

    Example:
        >>> toeplitz(torch.tensor([1.0, 2.0]), 4)
        tensor([[1., 2., 0., 0.],
                [0., 1., 2., 0.],
                [0., 0., 1., 2.]])
    """
    places = output_size(size, len(kernel), stride, padding)
    matrix = kernel.new_zeros(places, size + 2 * padding)
    for i in range(places):
        matrix[i, i * stride : i * stride + len(kernel)] = kernel
    return matrix[:, padding : padding + size]


def circulant(kernel: Tensor) -> Tensor:
    """The matrix of the circular convolution with k: C[i, j] = k[(i - j) mod n].

    Each row is the one above it, moved by one. A matrix commutes with the cyclic shift if, and only
    if, it is circulant: its first column is then the kernel.

    Args:
        kernel: (n,).

    Example:
        >>> circulant(torch.tensor([1.0, 2.0, 3.0]))
        tensor([[1., 3., 2.],
                [2., 1., 3.],
                [3., 2., 1.]])
    """
    n = torch.arange(len(kernel))
    return kernel[(n[:, None] - n) % len(kernel)]


def im2col(x: Tensor, geometry: Geometry) -> Tensor:
    """Each window as a column: a convolution is then one product, W (filters, c taps) times this.

    Args:
        x: (n, c, h, w).
        geometry: How windows lie.

    Returns:
        (n, c kernel rows kernel columns, places), in the order of ``torch.nn.functional.unfold``.

    Example:
        >>> im2col(torch.arange(9.0).reshape(1, 1, 3, 3), Geometry((2, 2)))[0]
        tensor([[0., 1., 3., 4.],
                [1., 2., 4., 5.],
                [3., 4., 6., 7.],
                [4., 5., 7., 8.]])
    """
    return windows(x, geometry).permute(0, 5, 3, 4, 1, 2).flatten(4).flatten(1, 3)


def matrix_of(operation: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> Tensor:
    """The matrix of a linear operation: column j is what it makes of the j-th unit image.

    Args:
        operation: Takes images (n, *shape) and gives images (n, ...), each row by itself.
        shape: Of one image.

    Returns:
        (values of an output, values of an input), in float64.

    Example:
        >>> matrix_of(lambda x: x.flip(1), (2,))
        tensor([[0., 1.],
                [1., 0.]], dtype=torch.float64)
    """
    units = torch.eye(torch.Size(shape).numel(), dtype=torch.float64)
    return operation(units.reshape(-1, *shape)).flatten(1).T
