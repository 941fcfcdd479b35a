"""The affine coupling of vectors in one step, with its own backward."""

from typing import Any

import torch
from torch import Tensor

__all__ = ["Places", "affine_move", "places_of"]

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


def affine_move(
    x: Tensor, params: Tensor, where: Places, limit: float, *, inverse: bool = False
) -> tuple[Tensor, Tensor]:
    """X (n, D) with x_A exp(s) + t at the places A, or its inverse; and the sum of +-s.

    Args:
        x: Vectors (n, D).
        params: (n, 2 |A|), t first and then r, with s = r / (1 + |r| / limit).
        where: A.
        limit: Of |s|; 0 for none.
        inverse: Give (x_A - t) exp(-s).
    """
    return _Move.apply(x, params, where, limit, inverse)  # type: ignore[no-any-return]


def _bent(params: Tensor, limit: float) -> tuple[Tensor | None, Tensor]:
    """1 / (1 + |r| / limit), and s."""
    r = params[:, params.shape[1] // 2 :]
    if not limit:
        return None, r
    bend = (1 + r.abs() / limit).reciprocal()
    return bend, r * bend


class _Move(torch.autograd.Function):
    """Six operations over A in place of the dozen that autograd would record, and their dozen."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, params: Tensor, where: Places, limit: float, inverse: bool
    ) -> tuple[Tensor, Tensor]:
        bend, s = _bent(params, limit)
        t = params[:, : s.shape[1]]
        old = x[:, where]
        if inverse:
            scale = (-s).exp()
            new = (old - t).mul_(scale)
        else:
            scale = s.exp()
            new = torch.addcmul(t, old, scale)
        y = x.clone()
        y[:, where] = new
        ctx.save_for_backward(x, params, scale, bend)
        ctx.where, ctx.limit, ctx.inverted = where, limit, inverse
        total = s.sum(1)
        return y, total.neg_() if inverse else total

    @staticmethod
    def backward(
        ctx: Any, grad_y: Tensor, grad_log: Tensor
    ) -> tuple[Tensor, Tensor, None, None, None]:
        x, params, scale, bend = ctx.saved_tensors
        if torch.is_grad_enabled():  # gradients of these gradients need to know where scale is from
            bend, s = _bent(params, ctx.limit)
            scale = (-s if ctx.inverted else s).exp()
        g = grad_y[:, ctx.where]
        grad_old = g * scale
        old = x[:, ctx.where]
        if ctx.inverted:
            # y = (x - t) / exp(s): the slope for s is -y, the one for t is -1 / exp(s).
            grad_t = -grad_old
            moved = old - params[:, : scale.shape[1]]
            grad_s = torch.addcmul(grad_log[:, None], grad_old, moved).neg()
        else:
            grad_t = g
            grad_s = torch.addcmul(grad_log[:, None], grad_old, old)
        if bend is not None:
            grad_s = grad_s * bend * bend
        grad_x = grad_y.clone()
        grad_x[:, ctx.where] = grad_old
        return grad_x, torch.cat((grad_t, grad_s), 1), None, None, None
