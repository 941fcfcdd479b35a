"""Linear maps whose mask is a staircase, multiplied by blocks that leave most of the zeros out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from phosphene.core.derivatives import again_wanted, transformed

__all__ = ["Staircase", "masked_linear"]

_ROWS = 64
"""Rows of a block: fewer leave more zeros out, more are multiplied faster."""
_WHOLE = {2: torch.int16, 4: torch.int32, 8: torch.int64}
_LEAST = 256, 128
"""Rows and columns from which blocks gain."""


@dataclass(frozen=True)
class Staircase:
    """A mask (outputs, inputs), and where its blocks are if each row sees a prefix of the inputs.

    Args:
        mask: Booleans, True where a weight is kept.
        blocks: (first row, last row, columns that all see, columns that any sees) of each block,
            the rows in order; one of all rows where the mask is no staircase, or too small to gain.

    Example:
        >>> stairs = Staircase.of(torch.ones(256, 256).tril() > 0)
        >>> stairs.blocks[:2]
        ((0, 64, 1, 64), (64, 128, 65, 128))
        >>> Staircase.of(torch.eye(256) > 0).blocks
        ((0, 256, 0, 256),)
    """

    mask: Tensor
    blocks: tuple[tuple[int, int, int, int], ...]
    _bits: dict[torch.dtype, Tensor] = field(default_factory=dict, compare=False, repr=False)

    def bits(self, dtype: torch.dtype) -> Tensor:
        """The mask as whole numbers of the type's size: all bits of a number are kept, or none.

        Numbers times a boolean mask, or chosen by one, take several times as long.
        """
        kind = _WHOLE[dtype.itemsize]
        if kind not in self._bits:
            self._bits[kind] = -self.mask.to(kind)
        return self._bits[kind]

    @classmethod
    def of(cls, mask: Tensor) -> "Staircase":
        """Find the blocks of a mask."""
        rows, columns = mask.shape
        seen = mask.sum(1)
        stairs = torch.equal(mask, torch.arange(columns, device=mask.device) < seen[:, None])
        small = rows < _LEAST[0] or columns < _LEAST[1]
        if small or not stairs or bool((seen[1:] < seen[:-1]).any()):
            return cls(mask, ((0, rows, 0, columns),))
        number = min(rows // _ROWS, 16)
        ends = [rows * i // number for i in range(number + 1)]
        blocks = [(a, b, int(seen[a]), int(seen[b - 1])) for a, b in pairwise(ends)]
        return cls(mask, tuple(blocks))


def masked_linear(x: Tensor, weight: Tensor, bias: Tensor | None, stairs: Staircase) -> Tensor:
    """(W * M) x + b of rows x (n, inputs); blocks of W that are all masked are left out.

    Example:
        >>> x, weight = torch.randn(3, 256), torch.randn(256, 256)
        >>> stairs = Staircase.of(torch.ones(256, 256).tril() > 0)
        >>> y = masked_linear(x, weight, None, stairs)
        >>> torch.allclose(y, x @ weight.tril().T, atol=1e-4)
        True
    """
    plain = x.device.type != "cpu" or x.dtype != weight.dtype or torch.is_autocast_enabled("cpu")
    if plain or transformed():
        return F.linear(x, torch.where(stairs.mask, weight, 0.0), bias)
    return _MaskedLinear.apply(x, weight, bias, stairs)  # type: ignore[no-any-return]


class _MaskedLinear(torch.autograd.Function):
    """The product by blocks; its derivatives have derivatives."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stairs: Staircase
    ) -> Tensor:
        kept, bits = [], stairs.bits(weight.dtype)
        whole = weight.view(bits.dtype)
        y = x.new_empty(len(x), len(weight))
        for a, b, _, c in stairs.blocks:
            block = (whole[a:b, :c] & bits[a:b, :c]).view(weight.dtype)
            if bias is None:
                torch.mm(x[:, :c], block.T, out=y[:, a:b])
            else:
                torch.addmm(bias[a:b], x[:, :c], block.T, out=y[:, a:b])
            kept.append(block)
        ctx.save_for_backward(x, weight, *kept)
        ctx.stairs, ctx.biased = stairs, bias is not None
        return y

    @staticmethod
    def backward(
        ctx: Any, grad: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        x, weight, *kept = ctx.saved_tensors
        stairs: Staircase = ctx.stairs
        grad_x: Tensor | None
        grad_bias = grad.sum(0) if ctx.biased else None
        if again_wanted(grad):
            grad_x = grad @ torch.where(stairs.mask, weight, 0.0)
            return grad_x, torch.where(stairs.mask, grad.T @ x, 0.0), grad_bias, None
        need_x, need_weight = ctx.needs_input_grad[:2]
        grad_x = _grad_input(grad, x, kept, stairs) if need_x else None
        grad_weight = _grad_weight(grad, x, weight, stairs) if need_weight else None
        return grad_x, grad_weight, grad_bias, None


def _grad_input(grad: Tensor, x: Tensor, kept: Sequence[Tensor], stairs: Staircase) -> Tensor:
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    widest = stairs.blocks[-1][3]
    out[:, widest:] = 0.0
    for (a, b, _, c), block in reversed(list(zip(stairs.blocks, kept, strict=True))):
        if b == len(stairs.mask):
            torch.mm(grad[:, a:b], block, out=out[:, :c])
        elif c:
            out[:, :c].addmm_(grad[:, a:b], block)
    return out


def _grad_weight(grad: Tensor, x: Tensor, weight: Tensor, stairs: Staircase) -> Tensor:
    out = torch.zeros_like(weight, memory_format=torch.contiguous_format)
    bits = stairs.bits(weight.dtype)
    whole = out.view(bits.dtype)
    for a, b, full, c in stairs.blocks:
        if c:
            torch.mm(grad[:, a:b].T, x[:, :c], out=out[a:b, :c])
            whole[a:b, full:c].bitwise_and_(bits[a:b, full:c])
    return out
