"""Group normalization, what scales and shifts it, and the activation after it, in few passes.

Torch's own kernel is slow where channels come last: in half precision on a CPU it takes three to
five times what this takes, and the multiplications and activations after it read the image anew.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.derivatives import again_wanted, gradients_again, transformed

__all__ = ["GroupNorm"]


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
    """The same by sums over pixels and one multiplication each way, where channels are last."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gain: Tensor, shift: Tensor, groups: int, eps: float, activate: bool
    ) -> Tensor:
        size, dtype = x.shape[2:], torch.promote_types(x.dtype, torch.float32)
        rows = x.permute(0, 2, 3, 1).flatten(1, 2).to(dtype)
        share = 1.0 / (rows.shape[1] * (rows.shape[2] // groups))
        sums = torch.stack((rows.sum(1), rows.square().sum(1)))
        mean, square = sums.unflatten(2, (groups, -1)).sum(-1, keepdim=True).mul_(share)
        variance = torch.addcmul(square, mean, mean, value=-1.0).clamp_min_(0.0)
        rate = variance.add_(eps).rsqrt_()
        slope = gain.to(dtype).unflatten(1, (groups, -1)) * rate
        start = torch.addcmul(shift.to(dtype).unflatten(1, (groups, -1)), mean, slope, value=-1.0)
        z = torch.addcmul(start.flatten(1)[:, None], rows, slope.flatten(1)[:, None])
        kept = any(ctx.needs_input_grad)
        if kept:
            ctx.save_for_backward(x, gain, shift, z if activate else x, mean, rate)
            ctx.given = (groups, eps, activate)
        y = F.silu(z, inplace=not kept) if activate else z
        out: Tensor = y.to(x.dtype).unflatten(1, size).permute(0, 3, 1, 2)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, gain, shift, z, mean, rate = ctx.saved_tensors
        groups, eps, activate = ctx.given
        if again_wanted(gradient):
            again = gradients_again(
                lambda x, gain, shift: _formula(x, gain, shift, groups, eps, activate),
                (x, gain, shift),
                [gradient],
                ctx.needs_input_grad[:3],
            )
            return (*again, None, None, None)
        size, dtype = x.shape[2:], torch.promote_types(x.dtype, torch.float32)
        rows = x.permute(0, 2, 3, 1).flatten(1, 2).to(dtype)
        d = gradient.permute(0, 2, 3, 1).flatten(1, 2).to(dtype)
        if activate:
            d = torch.ops.aten.silu_backward(d, z)
        plain = d.sum(1).unflatten(1, (groups, -1))
        timed = (d * rows).sum(1).unflatten(1, (groups, -1))
        along = torch.addcmul(timed, mean, plain, value=-1.0).mul_(rate)
        slope = gain.to(dtype).unflatten(1, (groups, -1))
        share = 1.0 / (rows.shape[1] * slope.shape[2])
        level = (slope * plain).sum(-1, keepdim=True).mul_(-share)
        tilt = (slope * along).sum(-1, keepdim=True).mul_(-share).mul_(rate)
        start = torch.addcmul(level, mean, tilt, value=-1.0).mul_(rate).expand_as(along).flatten(1)
        tilt = (tilt * rate).expand_as(along).flatten(1)
        found = torch.addcmul(start[:, None], rows, tilt[:, None])
        found = found.addcmul_(d, (slope * rate).flatten(1)[:, None]).to(x.dtype)
        return (
            found.unflatten(1, size).permute(0, 3, 1, 2),
            _like(along.flatten(1), gain),
            _like(plain.flatten(1), shift),
            None,
            None,
            None,
        )


def _like(gradient: Tensor, parameter: Tensor) -> Tensor:
    """Summed over the examples, where one row stood for all."""
    if len(parameter) < len(gradient):
        gradient = gradient.sum(0, keepdim=True)
    return gradient.to(parameter.dtype)
