"""The affine coupling of vectors in one step, with its own backward."""

from typing import Any, Protocol

import torch
from torch import Tensor

from phosphene.core.derivatives import again_wanted, transformed

__all__ = ["Places", "Scaling", "affine_move", "places_of"]

Places = slice | Tensor
"""Where some of the dimensions stand: a slice wherever their distances are all the same."""


def places_of(mask: Tensor) -> Places:
    """The dimensions at which the mask is True; slices are read and written without indices.

    Example:
        >>> places_of(torch.tensor([False, True, False, True]))
        slice(1, 4, 2)
        >>> places_of(torch.tensor([True, True, False, True]))
        tensor([0, 1, 3])
    """
    at = mask.nonzero()[:, 0]
    steps = at.diff().unique()
    if len(steps) > 1 or not len(at):
        return at
    step = int(steps[0]) if len(steps) else 1
    return slice(int(at[0]), int(at[-1]) + 1, step)


class Scaling(Protocol):
    """An affine function of one number, whose scale is a function of one parameter."""

    def scaling(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The scale a, s = log a, and ds/dr, of parameters r."""
        ...


def affine_move(
    x: Tensor, params: Tensor, where: Places, monotone: Scaling, *, inverse: bool = False
) -> tuple[Tensor, Tensor]:
    """x (n, D) with a x_A + t at the places A, or its inverse; and the sum of +-log a.

    Args:
        x: Vectors (n, D).
        params: (n, 2 |A|), t first and then what the scale a is made of.
        where: A.
        monotone: Makes it.
        inverse: Give (x_A - t) / a.
    """
    if transformed():
        return _moved(x, params, where, monotone, inverse)
    return _Move.apply(x, params, where, monotone, inverse)  # type: ignore[no-any-return]


def _moved(
    x: Tensor, params: Tensor, where: Places, monotone: Scaling, inverse: bool
) -> tuple[Tensor, Tensor]:
    """The same, writing into nothing."""
    t, raw = params.chunk(2, 1)
    scale, s, _ = monotone.scaling(raw)
    places = torch.arange(x.shape[1], device=x.device)[where]
    old = x.index_select(1, places)
    new = (old - t) / scale if inverse else torch.addcmul(t, old, scale)
    return x.index_copy(1, places, new), -s.sum(1) if inverse else s.sum(1)


class _Move(torch.autograd.Function):
    """A handful of operations over A where autograd would record two dozen, there and back."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, params: Tensor, where: Places, monotone: Scaling, inverse: bool
    ) -> tuple[Tensor, Tensor]:
        moved = params.shape[1] // 2
        scale, s, slope = monotone.scaling(params[:, moved:])
        t, old = params[:, :moved], x[:, where]
        y = x.clone()
        y[:, where] = (old - t).div_(scale) if inverse else torch.addcmul(t, old, scale)
        ctx.save_for_backward(x, params, scale, slope)
        ctx.where, ctx.monotone, ctx.inverted = where, monotone, inverse
        total = s.sum(1)
        return y, total.neg_() if inverse else total

    @staticmethod
    def backward(
        ctx: Any, grad_y: Tensor, grad_log: Tensor
    ) -> tuple[Tensor, Tensor, None, None, None]:
        x, params, scale, slope = ctx.saved_tensors
        moved = params.shape[1] // 2
        if again_wanted(
            grad_y, grad_log
        ):  # gradients of these gradients: the scale is a function again
            scale, _, slope = ctx.monotone.scaling(params[:, moved:])
        g, old = grad_y[:, ctx.where], x[:, ctx.where]
        if ctx.inverted:
            # y = (x - t) / a: its derivatives are 1 / a for x, -1 / a for t, and -y for log a.
            grad_old = g / scale
            grad_t = -grad_old
            old = params[:, :moved] - old
            grad_s = torch.addcmul(-grad_log[:, None], grad_old, old)
        else:
            grad_old, grad_t = g * scale, g
            grad_s = torch.addcmul(grad_log[:, None], grad_old, old)
        grad_x = grad_y.clone()
        grad_x[:, ctx.where] = grad_old
        return grad_x, torch.cat((grad_t, grad_s * slope), 1), None, None, None
