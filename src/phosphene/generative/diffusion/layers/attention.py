"""Attention over the pixels of an image, and to the tokens of a text."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.derivatives import again_wanted, gradients_again, transformed
from phosphene.core.errors import ConfigError

__all__ = ["Attention", "attention", "check_heads"]

_SHORT = 256
"""Keys up to which the formula trains faster on CPUs: the fused kernel's backward takes as long in
single precision, and up to seven times as long in half precision."""


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(Q K^T / sqrt(d)) V (Vaswani et al., 2017), with all its derivatives.

    Long sequences are computed by torch's fused kernel, whose backward cannot be differentiated:
    second derivatives and transforms of functions take the formula instead.

    Args:
        q: Queries (n, heads, T, d).
        k: Keys (n, heads, S, d).
        v: Values (n, heads, S, d).

    Returns:
        (n, heads, T, d).

    Example:
        >>> v = torch.tensor([[[[1.0], [3.0]]]])
        >>> attention(torch.zeros(1, 1, 1, 4), torch.zeros(1, 1, 2, 4), v).item()
        2.0
    """
    short = q.device.type == "cpu" and k.shape[-2] <= _SHORT and torch.is_grad_enabled()
    if short or transformed():
        return _formula(q, k, v)
    if not torch.is_grad_enabled() or torch.compiler.is_compiling():
        return F.scaled_dot_product_attention(q, k, v)
    out: Tensor = _Fused.apply(q, k, v)
    return out


def _formula(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.softmax((q / math.sqrt(q.shape[-1])) @ k.mT, -1) @ v


class _Fused(torch.autograd.Function):
    """The fused kernel, and the formula where its gradients are differentiated."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        with torch.enable_grad():
            held = (*(t.detach().requires_grad_() for t in (q, k, v)),)
            out = F.scaled_dot_product_attention(held[0], held[1], held[2])
        ctx.save_for_backward(q, k, v)
        ctx.held, ctx.out = held, out
        return out.detach()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        if again_wanted(gradient):
            found = gradients_again(_formula, ctx.saved_tensors, [gradient], ctx.needs_input_grad)
            return tuple(found)
        return tuple(torch.autograd.grad(ctx.out, ctx.held, gradient, retain_graph=True))


class Attention(nn.Module):
    """W_O concat(head_1, ..., head_h), head_i = attention of x to itself, or to other vectors.

    Args:
        width: Size of inputs and outputs.
        heads: Number of heads; divides the width.
        other: Size of the other vectors; None for attention of x to itself.

    Raises:
        ConfigError: The heads do not divide the width.

    Example:
        >>> Attention(8, 2)(torch.zeros(3, 5, 8)).shape
        torch.Size([3, 5, 8])
        >>> Attention(8, 2, 4)(torch.zeros(3, 5, 8), torch.zeros(3, 7, 4)).shape
        torch.Size([3, 5, 8])
    """

    def __init__(self, width: int, heads: int, other: int | None = None) -> None:
        super().__init__()
        check_heads(width, heads)
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width) if other is None else None
        self.q = nn.Linear(width, width) if other is not None else None
        self.kv = nn.Linear(other, 2 * width) if other is not None else None
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        """(n, T, width) to the same shape; ``other`` is (n, S, other)."""
        if self.qkv is not None:
            q, k, v = self._split(self.qkv(x), 3)
        else:
            assert self.q is not None
            assert self.kv is not None
            (q,), (k, v) = self._split(self.q(x), 1), self._split(self.kv(other), 2)
        out: Tensor = self.out(attention(q, k, v).transpose(1, 2).flatten(2))
        return out

    def _split(self, x: Tensor, parts: int) -> tuple[Tensor, ...]:
        """Each (n, heads, T, size)."""
        split: Tensor = x.unflatten(-1, (parts, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return split.unbind(0)


def check_heads(width: int, heads: int) -> None:
    """Raise ConfigError if the heads do not divide the width."""
    if width % heads:
        raise ConfigError(f"heads must divide the width {width}, got {heads}")
