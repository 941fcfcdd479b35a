"""The gradients of a convolution are convolutions.

After LeCun and others (1989).
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.learning.backprop.convolution import (
    correlate,
    correlate_backward_input,
    correlate_backward_weight,
)
from phosphene.learning.backprop.layer import numeric_gradient
from phosphene.learning.backprop.windows import Geometry, Pair
from phosphene.learning.convolution.correlation import turned
from phosphene.proofs.proof import Proof, Wrong, below, equal

__all__ = ["WRONG", "prove"]


def _not_turned(
    weight: Tensor, dy: Tensor, size: Pair, geometry: Geometry, groups: int = 1
) -> Tensor:
    return correlate_backward_input(turned(weight), dy, size, geometry, groups)


WRONG = Wrong(
    "dx = the full convolution of dy with rot180(w): for a layer that correlates, it is that with "
    "w itself (the notes' delta * ROT180 is of a layer that convolves)",
    {"formula": _not_turned},
)
_CASES: list[tuple[int | Pair, int | Pair, int | Pair, int]] = [
    (stride, padding, dilation, groups)
    for stride in (1, 2, 3)
    for padding in (0, 1, 2)
    for dilation in (1, 2)
    for groups in (1, 2)
]  # fmt: skip
_CASES.append(((2, 1), (0, 2), (1, 3), 2))  # another along each axis


def prove(seed: int = 0, *, formula: Callable[..., Tensor] = correlate_backward_input) -> Proof:
    """Compare with autograd and finite differences, and write an image of 3 x 3 out by hand.

    Args:
        seed: Of images, kernels and gradients.
        formula: dx from w, dy and the size of x.

    Example:
        >>> prove().holds
        True
    """
    g = generator(seed, 157)
    worst_x, worst_w = 0.0, 0.0
    for stride, padding, dilation, groups in _CASES:
        x = torch.randn(2, 4, 7, 6, generator=g, dtype=torch.float64, requires_grad=True)
        w = torch.randn(6, 4 // groups, 3, 2, generator=g, dtype=torch.float64, requires_grad=True)
        y = F.conv2d(x, w, None, stride, padding, dilation, groups)
        dy = torch.randn(y.shape, generator=g, dtype=torch.float64)
        dx, dw = torch.autograd.grad(y, (x, w), dy)
        geometry = Geometry.of((3, 2), stride, padding, dilation)
        found = formula(w.detach(), dy, (7, 6), geometry, groups)
        worst_x = max(worst_x, _relative(found, dx))
        own = correlate_backward_weight(x.detach(), dy, geometry, groups)
        worst_w = max(worst_w, _relative(own, dw))
    rows = [
        below(
            f"dx against autograd, {len(_CASES)} strides, paddings, dilations, groups",
            worst_x,
            1e-12,
        ),
        below("dw against autograd, the same", worst_w, 1e-12),
        *_by_hand(formula),
    ]
    x, w, dy = (
        torch.randn(shape, generator=g, dtype=torch.float64)
        for shape in ((1, 2, 4, 4), (3, 2, 3, 3), (1, 3, 2, 2))
    )
    geometry = Geometry((3, 3))
    differences = numeric_gradient(lambda v: (correlate(v, w, geometry) * dy).sum(), x)
    rows.append(
        below("dx against finite differences",
              _relative(formula(w, dy, (4, 4), geometry), differences), 1e-6)
    )  # fmt: skip
    return Proof(
        "convolution-backward", "Backward through a convolution",
        "For y = corr(x, w): dw = corr(x, dy), and dx = the full convolution of dy with w, which "
        "is the correlation of dy, padded by k - 1, with rot180(w).",
        rows,
    )  # fmt: skip


def _by_hand(formula: Callable[..., Tensor]) -> list[dict[str, object]]:
    """x of 3 x 3 and w of 2 x 2: dx[1, 1] gets all four products, dx[0, 0] one."""
    x = torch.arange(1.0, 10.0, dtype=torch.float64).view(1, 1, 3, 3)
    w = torch.tensor([[1.0, 2.0], [3.0, 5.0]], dtype=torch.float64).view(1, 1, 2, 2)
    dy = torch.tensor([[1.0, -1.0], [2.0, 7.0]], dtype=torch.float64).view(1, 1, 2, 2)
    dx = formula(w, dy, (3, 3), Geometry((2, 2)))[0, 0]
    dw = correlate_backward_weight(x, dy, Geometry((2, 2)))[0, 0]
    full = correlate(F.pad(dy, (1, 1, 1, 1)), turned(w), Geometry((2, 2)))[0, 0]
    return [
        equal("3 x 3 by hand: dx[0, 0] = w[0,0] dy[0,0]", dx[0, 0], 1, 0),
        equal("dx[0, 1] = w[0,1] dy[0,0] + w[0,0] dy[0,1]", dx[0, 1], 1, 0),
        equal("dx[1, 1] = w[1,1] dy[0,0] + w[1,0] dy[0,1] + w[0,1] dy[1,0] + w[0,0] dy[1,1]",
              dx[1, 1], 13, 0),
        equal("dx[2, 2] = w[1,1] dy[1,1]", dx[2, 2], 35, 0),
        equal("dw[0, 0] = sum of x[i, j] dy[i, j]", dw[0, 0], 1 - 2 + 8 + 35, 0),
        below("dx against corr(pad(dy), rot180(w))", (dx - full).abs().max(), 1e-12),
    ]  # fmt: skip


def _relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())
