"""A convolution is a product with a Toeplitz matrix, or of its windows with its kernel.

After Dumoulin and Visin (2016).
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.learning.backprop.windows import Geometry
from phosphene.learning.convolution.matrices import im2col, matrix_of, toeplitz
from phosphene.proofs.proof import Proof, Wrong, below, equal

__all__ = ["WRONG", "prove"]

WRONG = Wrong(
    "T[i, i s - a + p] = k[a]: the band is written from right to left, so that T convolves",
    {"formula": lambda kernel, size, **told: toeplitz(kernel.flip(0), size, **told)},
)


def prove(seed: int = 0, *, formula: Callable[..., Tensor] = toeplitz) -> Proof:
    """Compare matrices with operations, their transposes with torch's transposed convolution.

    Args:
        seed: Of inputs and kernels.
        formula: The matrix of the correlation of lines with a kernel.

    Example:
        >>> prove().holds
        True
    """
    g = generator(seed, 156)
    kernel, x = (torch.randn(n, generator=g, dtype=torch.float64) for n in (3, 9))
    forward, backward, band = 0.0, 0.0, 0.0
    for stride in (1, 2):
        for padding in (0, 1, 2):
            matrix = formula(kernel, 9, stride=stride, padding=padding)
            told: Any = {"stride": stride, "padding": padding}
            y = F.conv1d(x[None, None], kernel[None, None], **told)[0, 0]
            forward = max(forward, _gap(matrix @ x, y))
            extra = (9 + 2 * padding - 3) % stride
            back = F.conv_transpose1d(
                y[None, None], kernel[None, None], output_padding=extra, **told
            )
            backward = max(backward, _gap(matrix.T @ y, back[0, 0]))
            if stride == 1:
                diagonals = (matrix[1:, 1:] - matrix[:-1, :-1]).abs().max()
                band = max(band, float(diagonals))
    images = torch.randn(2, 3, 6, 5, generator=g, dtype=torch.float64)
    weight = torch.randn(4, 3, 3, 2, generator=g, dtype=torch.float64)
    geometry = Geometry((3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2))
    placed: Any = {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2)}
    expected = F.conv2d(images, weight, **placed)
    product = (weight.flatten(1) @ im2col(images, geometry)).view_as(expected)
    whole = matrix_of(lambda u: F.conv2d(u, weight, **placed), (3, 6, 5))
    rows = [
        below("T x against torch's conv1d, strides 1, 2, paddings 0-2", forward, 1e-12),
        below("T^T y against torch's conv_transpose1d", backward, 1e-12),
        equal("stride 1: how much a diagonal of T varies", band, 0, 0),
        below("W im2col(x) against torch's conv2d", _gap(product, expected), 1e-12),
        below("im2col against torch's unfold",
              _gap(im2col(images, geometry), F.unfold(images, (3, 2), (1, 2), (1, 0), (2, 1))),
              1e-12),
        below("the matrix of all unit images times x against conv2d",
              _gap(whole @ images[0].flatten(), expected[0].flatten()), 1e-12),
        below("its transpose times y against conv_transpose2d",
              _gap(whole.T @ expected[0].flatten(),
                   F.conv_transpose2d(
                       expected[:1], weight, output_padding=(1, 0), **placed).flatten()),
              1e-11),
    ]  # fmt: skip
    return Proof(
        "convolution-matrix", "Convolution as a product of matrices",
        "y = T x with T[i, i s + a - p] = k[a], constant along diagonals where s = 1; y = W "
        "im2col(x) for images; T^T is the transposed convolution.",
        rows,
    )  # fmt: skip


def _gap(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())
