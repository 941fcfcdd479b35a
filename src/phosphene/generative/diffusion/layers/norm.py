"""Group normalization, what scales and shifts it, and the activation after it, as one layer."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.derivatives import again_wanted, gradients_again, transformed
from phosphene.kernels.group_norm import group_norm, group_norm_backward

__all__ = ["GroupNorm", "passes", "passes_back"]


class GroupNorm(nn.Module):
    """silu(y (1 + s) + b), y = g (x - mean) / sqrt(var + eps) + c, with mean and var of a group.

    Wu and He (2018). Statistics are taken in single precision or better.

    Args:
        channels: Channels in and out.
        groups: At most so many groups, of 4 channels or more: groups of fewer would leave nothing
            of a coarse level of one pixel.
        activate: Whether there is a silu.
        eps: Added to the variance.

    Example:
        >>> GroupNorm(96, 32).groups, GroupNorm(8, 32).groups
        (24, 2)
        >>> GroupNorm(8, 2)(torch.randn(3, 8, 5, 5), torch.zeros(1, 16)).shape
        torch.Size([3, 8, 5, 5])
    """

    def __init__(
        self, channels: int, groups: int, *, activate: bool = True, eps: float = 1e-5
    ) -> None:
        super().__init__()
        self.groups = math.gcd(channels, min(groups, max(1, channels // 4)))
        self.activate, self.eps = activate, eps
        self.weight, self.bias = (
            nn.Parameter(torch.ones(channels)),
            nn.Parameter(torch.zeros(channels)),
        )

    def forward(self, x: Tensor, scale_shift: Tensor | None = None) -> Tensor:
        """(n, channels, h, w) to the same shape.

        Args:
            x: Images.
            scale_shift: s and b beside each other (n or 1, 2 channels); None for zeros.
        """
        gain, shift = self.weight[None], self.bias[None]
        if scale_shift is not None:
            scale, more = scale_shift.chunk(2, 1)
            scale = scale + torch.ones((), dtype=gain.dtype)  # in the parameters' precision
            gain, shift = gain * scale, torch.addcmul(more, shift, scale)
        if x.device.type != "cpu" or transformed() or torch.compiler.is_compiling():
            return _formula(x, gain, shift, self.groups, self.eps, self.activate)
        out: Tensor = _Passes.apply(x, gain, shift, self.groups, self.eps, self.activate)
        return out


def _formula(
    x: Tensor, gain: Tensor, shift: Tensor, groups: int, eps: float, activate: bool
) -> Tensor:
    """The same in plain torch, for all derivatives; torch's norm has none forwards."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    if transformed():
        grouped = wide.unflatten(1, (groups, -1))
        variance, mean = torch.var_mean(grouped, (2, 3, 4), correction=0, keepdim=True)
        y = ((grouped - mean) * torch.rsqrt(variance + eps)).flatten(1, 2)
    else:
        y = F.group_norm(wide, groups, eps=eps)
    z = torch.addcmul(shift[:, :, None, None], y, gain[:, :, None, None])
    return (F.silu(z) if activate else z).to(x.dtype)


class _Passes(torch.autograd.Function):
    """The same where channels are last: natively, or by :func:`passes` and :func:`passes_back`."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gain: Tensor, shift: Tensor, groups: int, eps: float, activate: bool
    ) -> Tensor:
        rows, size = _rows(x), x.shape[2:]
        g, b = _own(gain, x.dtype), _own(shift, x.dtype)
        y, mean, rate = group_norm(rows, g, b, groups, eps, activate, formula=passes)
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(x, gain, shift, mean, rate)
            ctx.given = (groups, eps, activate)
        out: Tensor = y.unflatten(1, size).permute(0, 3, 1, 2)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, gain, shift, mean, rate = ctx.saved_tensors
        groups, eps, activate = ctx.given
        if again_wanted(gradient):
            again = gradients_again(
                lambda x, gain, shift: _formula(x, gain, shift, groups, eps, activate),
                (x, gain, shift),
                [gradient],
                ctx.needs_input_grad[:3],
            )
            return (*again, None, None, None)
        g, b, dy = _own(gain, x.dtype), _own(shift, x.dtype), _rows(gradient.to(x.dtype))
        dx, dgain, dshift = group_norm_backward(
            _rows(x), g, b, dy, mean, rate, activate, formula=passes_back
        )
        found = dx.unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)
        return (found, _like(dgain, gain), _like(dshift, shift), None, None, None)


def _rows(x: Tensor) -> Tensor:
    """(n, c, h, w) to (n, h w, c), without a copy where channels are last."""
    return x.permute(0, 2, 3, 1).flatten(1, 2).contiguous()


def _own(parameter: Tensor, dtype: torch.dtype) -> Tensor:
    """(c,) where one row stands for all, in the precision of what is computed."""
    wide = parameter.to(torch.promote_types(dtype, torch.float32))
    return wide[0] if len(wide) == 1 else wide


def _like(gradient: Tensor, parameter: Tensor) -> Tensor:
    """Summed over the examples, where one row stood for all."""
    if len(parameter) < len(gradient):
        gradient = gradient.sum(0, keepdim=True)
    return gradient.to(parameter.dtype)


def passes(
    x: Tensor, gain: Tensor, shift: Tensor, groups: int, eps: float, activate: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """What ``phosphene.kernels.group_norm`` says, in torch: sums over pixels, one multiplication.

    Example:
        >>> x, one = torch.randn(2, 9, 8), torch.ones(8)
        >>> y, mean, rate = passes(x, one, 0 * one, 2, 0.0, False)
        >>> y.shape, mean.shape, bool(y.mean().abs() < 1e-6)
        (torch.Size([2, 9, 8]), torch.Size([2, 2]), True)
    """
    rows = x.to(torch.promote_types(x.dtype, torch.float32))
    gain, shift = (_grouped(t.to(rows.dtype), groups) for t in (gain, shift))
    origin = rows[:, :1]  # about the first pixel, so that a large mean costs no digits
    apart = rows - origin
    share = 1.0 / rows.shape[1]
    means, squares = apart.sum(1) * share, apart.square().sum(1) * share
    means, spread = (
        _grouped(means + origin[:, 0], groups),
        _grouped(squares - means.square(), groups),
    )
    mean = means.mean(-1, keepdim=True)
    variance = (spread + (means - mean).square()).mean(-1, keepdim=True).clamp_min(0.0)
    rate = torch.rsqrt(variance + eps)
    slope = gain * rate
    start = torch.addcmul(shift, mean, slope, value=-1.0)
    z = torch.addcmul(_flat(start, x), rows, _flat(slope, x))
    y = F.silu(z, inplace=True) if activate else z
    return y.to(x.dtype), mean[..., 0], rate[..., 0]


def passes_back(
    x: Tensor, gain: Tensor, shift: Tensor, dy: Tensor, mean: Tensor, rate: Tensor, activate: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """What ``phosphene.kernels.group_norm_backward`` says, in torch.

    Example:
        >>> x, one = torch.randn(2, 9, 8), torch.ones(8)
        >>> _, mean, rate = passes(x, one, one, 2, 0.0, False)
        >>> dx, _, dshift = passes_back(x, one, one, torch.ones_like(x), mean, rate, False)
        >>> bool(dx.abs().max() < 1e-5), dshift[0, 0].item()
        (True, 9.0)
    """
    rows, groups = x.to(rate.dtype), rate.shape[1]
    gain, shift = (_grouped(t.to(rows.dtype), groups) for t in (gain, shift))
    mean, rate = mean[..., None], rate[..., None]
    slope = gain * rate
    d = dy.to(rows.dtype)
    if activate:
        start = torch.addcmul(shift, mean, slope, value=-1.0)
        d = torch.ops.aten.silu_backward(d, torch.addcmul(_flat(start, x), rows, _flat(slope, x)))
    plain = _grouped(d.sum(1), groups)
    timed = _grouped((d * rows).sum(1), groups)
    along = torch.addcmul(timed, mean, plain, value=-1.0) * rate
    share = 1.0 / (rows.shape[1] * plain.shape[2])
    level = (gain * plain).sum(-1, keepdim=True) * -share
    tilt = (gain * along).sum(-1, keepdim=True) * -share * rate
    start = torch.addcmul(level, mean, tilt, value=-1.0) * rate
    tilt = tilt * rate
    dx = torch.addcmul(_flat(start.expand_as(plain), x), rows, _flat(tilt.expand_as(plain), x))
    dx = dx.addcmul_(d, _flat(slope, x)).to(x.dtype)
    return dx, along.flatten(1), plain.flatten(1)


def _grouped(row: Tensor, groups: int) -> Tensor:
    """(c,) or (n, c) to (1 or n, groups, c / groups)."""
    return row.view(-1, groups, row.shape[-1] // groups)


def _flat(grouped: Tensor, x: Tensor) -> Tensor:
    """(n, groups, c / groups) as it multiplies rows of pixels."""
    return grouped.reshape(-1, 1, x.shape[2])
