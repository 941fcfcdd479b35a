"""Transposed convolution is the adjoint of convolution, and it makes checkerboards."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.learning.backprop.convolution import correlate
from phosphene.learning.backprop.transposed import transposed_convolution
from phosphene.learning.backprop.windows import Geometry, Pair
from phosphene.learning.convolution.correlation import turned
from phosphene.proofs.proof import Proof, Wrong, above, below, equal

__all__ = ["WRONG", "prove"]


def _turned(
    x: Tensor, weight: Tensor, geometry: Geometry, extra: Pair = (0, 0), groups: int = 1
) -> Tensor:
    return transposed_convolution(x, turned(weight), geometry, extra, groups)


WRONG = Wrong(
    "y = A^-1 x, read as laying down the kernel turned by 180 degrees ('deconvolution'): the "
    "transpose lays down the kernel itself",
    {"formula": _turned},
)


def prove(seed: int = 0, *, formula: Callable[..., Tensor] = transposed_convolution) -> Proof:
    """Check <A x, y> = <x, A^T y>, torch's layer, and how many copies each place gets.

    Args:
        seed: Of images and kernels.
        formula: x, w, geometry, extra, groups to A^T x.

    Example:
        >>> prove().holds
        True
    """
    g = generator(seed, 161)
    adjoint, unlike = 0.0, 0.0
    for stride in (1, 2, 3):
        for padding in (0, 1):
            for dilation in (1, 2):
                geometry = Geometry.of(3, stride, padding, dilation)
                x = torch.randn(2, 4, 9, 8, generator=g, dtype=torch.float64)
                w = torch.randn(6, 2, 3, 3, generator=g, dtype=torch.float64)
                ax = correlate(x, w, geometry, 2)
                y = torch.randn(ax.shape, generator=g, dtype=torch.float64)
                extra = tuple((n + 2 * padding - 2 * dilation - 1) % stride for n in (9, 8))
                back = formula(y, w, geometry, extra, 2)
                left, right = (ax * y).sum(), (x * back).sum()
                adjoint = max(adjoint, float((left - right).abs() / left.abs()))
                torchs = F.conv_transpose2d(
                    y, w, None, stride, padding, extra, 2, dilation
                )  # fmt: skip
                unlike = max(unlike, float((back - torchs).abs().max() / torchs.abs().max()))
    rows = [
        below("|<A x, y> - <x, A^T y>| / |<A x, y>|, 12 cases", adjoint, 1e-12),
        below("against torch's conv_transpose2d, relative", unlike, 1e-12),
        equal("copies, stride 2, kernel 4: largest less smallest", _unevenness(formula, 4), 0, 0),
        above("copies, stride 2, kernel 3: largest less smallest", _unevenness(formula, 3), 1),
    ]
    return Proof(
        "transposed-convolution", "Transposed convolution",
        "<A x, y> = <x, A^T y>: weighted copies of the kernel, summed. Where the stride does not "
        "divide the kernel, places get unequally many (Odena, Dumoulin and Olah, 2016).",
        rows,
    )  # fmt: skip


def _unevenness(formula: Callable[..., Tensor], kernel: int) -> float:
    """Of copies of a kernel of ones, away from the border."""
    ones = torch.ones(1, 1, 8, 8, dtype=torch.float64)
    w = torch.ones(1, 1, kernel, kernel, dtype=torch.float64)
    inner = formula(ones, w, Geometry.of(kernel, 2, 0, 1))[0, 0, 4:-4, 4:-4]
    return float(inner.max() - inner.min())
