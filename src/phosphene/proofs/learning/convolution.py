"""Convolution is correlation with the kernel turned by 180 degrees.

After Dumoulin and Visin (2016).
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.learning.convolution.correlation import convolve, turned
from phosphene.proofs.proof import Proof, Wrong, above, below

__all__ = ["WRONG", "prove"]

WRONG = Wrong(
    "(k * I)(i, j) = sum k(a, b) I(i + a, j + b): the sign of the index is lost, so that it is "
    "correlation",
    {"formula": lambda image, kernel: convolve(image, turned(kernel))},
)


def prove(seed: int = 0, *, formula: Callable[[Tensor, Tensor], Tensor] = convolve) -> Proof:
    """Compare with the sum written as loops, with the Fourier transform and with torch.

    Args:
        seed: Of images and kernels.
        formula: The full convolution of an image (h, w) with a kernel.

    Example:
        >>> prove().holds
        True
    """
    g = generator(seed, 155)
    image = torch.randn(7, 6, generator=g, dtype=torch.float64)
    a, b = torch.randn(2, 3, 3, generator=g, dtype=torch.float64)
    found = formula(image, a)
    by_torch = F.conv2d(image[None, None], turned(a)[None, None], padding=2)[0, 0]
    correlated = F.conv2d(image[None, None], a[None, None], padding=2)[0, 0]
    rows = [
        below("against the sum in loops, worst gap", _gap(found, _loops(image, a)), 1e-12),
        below("against the product of Fourier transforms, worst gap",
              _gap(found, _fourier(image, a)), 1e-12),
        below("against torch's correlation with the turned kernel", _gap(found, by_torch), 1e-12),
        below("k * I - I * k: it commutes", _gap(found, formula(a, image)), 1e-12),
        below("(a * b) * I - a * (b * I): it is associative",
              _gap(formula(image, formula(b, a)), formula(formula(image, b), a)), 1e-12),
        above("against the correlation with the kernel itself", _gap(found, correlated), 0.1),
    ]  # fmt: skip
    return Proof(
        "convolution", "Convolution and correlation",
        "(k * I)(i, j) = sum k(a, b) I(i - a, j - b), that is the correlation of I with k turned "
        "by 180 degrees. It commutes and is associative; correlation is not.",
        rows,
    )  # fmt: skip


def _loops(image: Tensor, kernel: Tensor) -> Tensor:
    (h, w), (kh, kw) = image.shape, kernel.shape
    out = image.new_zeros(h + kh - 1, w + kw - 1)
    for i, j in np.ndindex(out.shape):
        for a, b in np.ndindex(kh, kw):
            if 0 <= i - a < h and 0 <= j - b < w:
                out[i, j] += kernel[a, b] * image[i - a, j - b]
    return out


def _fourier(image: Tensor, kernel: Tensor) -> Tensor:
    size = [a + b - 1 for a, b in zip(image.shape, kernel.shape, strict=True)]
    product = torch.fft.rfft2(image, size) * torch.fft.rfft2(kernel, size)
    found: Tensor = torch.fft.irfft2(product, size)
    return found


def _gap(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())
