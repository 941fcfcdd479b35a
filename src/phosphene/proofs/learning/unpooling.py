"""Three ways to unpool.

After Zeiler and Fergus (2014).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.learning.backprop.pooling import MaxPool2d
from phosphene.learning.backprop.unpooling import BedOfNails2d, MaxUnpool2d, NearestUnpool2d
from phosphene.proofs.proof import Proof, Wrong, below, equal

__all__ = ["WRONG", "prove"]


class _ToTheCorner(MaxUnpool2d):
    """Forgets where the largest values stood."""

    def forward(self, x: Tensor) -> Tensor:
        super().forward(x)
        return BedOfNails2d(2).forward(x)


WRONG = Wrong(
    "max-unpooling to the upper left corner of each window: what was remembered in pooling is not "
    "used (that is the bed of nails)",
    {"formula": _ToTheCorner},
)


def prove(seed: int = 0, *, formula: type[MaxUnpool2d] = MaxUnpool2d) -> Proof:
    """Compare with torch, and pool again.

    Args:
        seed: Of the images.
        formula: The layer that puts values back to where the largest stood.

    Example:
        >>> prove().holds
        True
    """
    g = generator(seed, 160)
    x = torch.rand(2, 3, 6, 8, generator=g, dtype=torch.float64)
    pool = MaxPool2d(2)
    y = pool(x)
    values, where = F.max_pool2d(x, 2, return_indices=True)
    back = formula(pool)(y)
    nearest, nails = NearestUnpool2d(2), BedOfNails2d(2)
    free = y.clone().requires_grad_()
    grown = F.interpolate(free, scale_factor=2)
    dy = torch.randn(grown.shape, generator=g, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(grown, free, dy)
    again = nearest(y)
    rows = [
        below("max-unpooling against torch",
              _gap(back, F.max_unpool2d(values, where, (2, 2))), 1e-12),
        below("pool(unpool(y)) - y", _gap(pool(back), y), 1e-12),
        equal("values that are not 0, of each window", float((back != 0).sum()) / y.numel(), 1, 0),
        below("max-unpooled values against those of x, where they stand",
              _gap(back[back != 0], x[back != 0]), 1e-12),
        below("nearest against torch's interpolate", _gap(again, grown.detach()), 1e-12),
        below("its gradient, the sum over a block", _gap(nearest.backward(dy), gradient), 1e-12),
        below("bed of nails: corners - y", _gap(nails(y)[:, :, ::2, ::2], y), 1e-12),
        equal("bed of nails: sum of the rest", nails(y).sum() - y.sum(), 0, 1e-12),
    ]  # fmt: skip
    return Proof(
        "unpooling", "Nearest, bed of nails, max-unpooling",
        "Each value fills its block; or stands at the block's corner; or goes back to where the "
        "largest value stood, so that pool(unpool(y)) = y for y > 0.",
        rows,
    )  # fmt: skip


def _gap(a: Tensor, b: Tensor) -> float:
    if a.shape != b.shape:
        return float("inf")
    return float((a - b).abs().max()) if a.numel() else 0.0
