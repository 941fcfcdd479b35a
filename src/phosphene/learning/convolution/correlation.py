"""Convolution in the strict sense, and how it differs from correlation.

After Dumoulin and Visin (2016).
"""

from torch import Tensor

from phosphene.learning.backprop.convolution import correlate
from phosphene.learning.backprop.windows import Geometry

__all__ = ["convolve", "turned"]


def turned(kernel: Tensor) -> Tensor:
    """The kernel turned by 180 degrees: k'(a, b) = k(-a, -b).

    Args:
        kernel: (..., kernel rows, kernel columns).

    Example:
        >>> import torch
        >>> turned(torch.tensor([[1, 2], [3, 4]]))
        tensor([[4, 3],
                [2, 1]])
    """
    return kernel.flip((-2, -1))


def convolve(image: Tensor, kernel: Tensor, *, full: bool = True) -> Tensor:
    """(k * I)(i, j) = sum over a, b of k(a, b) I(i - a, j - b), for one image and one kernel.

    It commutes and is associative, which correlation, the sum of k(a, b) I(i + a, j + b), is not;
    the one with k is the other with k turned by 180 degrees.

    Args:
        image: (h, w); 0 outside.
        kernel: (kernel rows, kernel columns).
        full: All places where something of the kernel lies on the image; otherwise only those where
            all of it does.

    Returns:
        (h + kernel rows - 1, w + kernel columns - 1), or (h - kernel rows + 1, ...).

    Example:
        >>> import torch
        >>> convolve(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 10.0]]))
        tensor([[ 1., 12., 20.]])
    """
    kh, kw = kernel.shape
    geometry = Geometry((kh, kw), padding=(kh - 1, kw - 1) if full else (0, 0))
    return correlate(image[None, None], turned(kernel)[None, None], geometry)[0, 0]
