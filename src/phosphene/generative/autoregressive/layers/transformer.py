"""The block of a decoder-only transformer, and its parts."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.errors import UnknownNameError
from phosphene.generative.autoregressive.layers.attention import MultiHeadAttention
from phosphene.nn.noise import Uniform

__all__ = ["Block", "FeedForward", "FeedForwardName", "Norm", "NormName", "drop_features"]

FeedForwardName = Literal["gelu", "gelu-tanh", "swiglu"]
NormName = Literal["layer", "rms"]


class Norm(nn.Module):
    """g x / sqrt(mean x^2 + eps), of x less its mean (+ b) for ``layer``, of x itself for ``rms``.

    Layer normalization by Ba, Kiros and Hinton (2016), root-mean-square by Zhang and Sennrich
    (2019). On a CPU the first takes a quarter of the second's time, for it is one kernel.

    Args:
        name: ``layer`` or ``rms``.
        width: Size of the last axis.
        bias: Whether there is a b.
        eps: Added to the mean square.

    Example:
        >>> Norm("rms", 2)(torch.tensor([3.0, 4.0]))
        tensor([0.8485, 1.1314], grad_fn=<MulBackward0>)
    """

    def __init__(
        self, name: NormName, width: int, *, bias: bool = False, eps: float = 1e-6
    ) -> None:
        super().__init__()
        if name not in ("layer", "rms"):
            raise UnknownNameError("norm", name, ("layer", "rms"))
        self.name, self.width, self.eps = name, width, eps
        self.gain = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if bias and name == "layer" else None

    def forward(self, x: Tensor) -> Tensor:
        """Normalized x (..., width)."""
        if self.name == "layer":
            return F.layer_norm(x, (self.width,), self.gain, self.bias, self.eps)
        out: Tensor = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.gain
        return out


class FeedForward(nn.Module):
    """W_2 gelu(W_1 x), or W_2 (silu(W_g x) * W_1 x) for ``swiglu`` (Shazeer, 2020).

    Args:
        width: Size of inputs and outputs.
        hidden: Number of hidden units.
        name: ``gelu``, ``gelu-tanh`` (its approximation, for other libraries' weights) or
            ``swiglu``, whose first matrix holds gates, then values.
        bias: Whether the layers have biases.

    Example:
        >>> FeedForward(4, 16)(torch.zeros(2, 4)).shape
        torch.Size([2, 4])
    """

    def __init__(
        self, width: int, hidden: int, *, name: FeedForwardName = "gelu", bias: bool = False
    ) -> None:
        super().__init__()
        if name not in ("gelu", "gelu-tanh", "swiglu"):
            raise UnknownNameError("feed_forward", name, ("gelu", "gelu-tanh", "swiglu"))
        self.name, self.hidden = name, hidden
        self.first = nn.Linear(width, hidden * (2 if name == "swiglu" else 1), bias=bias)
        self.second = nn.Linear(hidden, width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Each position by itself: (..., width) to (..., width)."""
        out: Tensor = self.second(self.activate(self.first(x)))
        return out

    def activate(self, h: Tensor) -> Tensor:
        """The hidden units (..., hidden) from what the first layer gives."""
        if self.name == "swiglu":
            gate, value = h.split(self.hidden, -1)
            return F.silu(gate).mul(value)
        return F.gelu(h, approximate="tanh" if self.name == "gelu-tanh" else "none")


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x)): a pre-norm block.

    Normalizing inside the branches leaves a straight path for gradients (Xiong et al., 2020).

    Args:
        width: Size of inputs and outputs.
        heads: Heads of attention.
        hidden: Hidden units of the feed-forward layer.
        depth: Number of blocks of the model: branches start small so that their sum does not grow.
        norm: ``layer`` or ``rms``.
        feed_forward: ``gelu``, ``gelu-tanh`` or ``swiglu``.
        bias: Whether linear layers and norms have biases.
        eps: Of the norms.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        *,
        depth: int = 1,
        norm: NormName = "layer",
        feed_forward: FeedForwardName = "gelu",
        bias: bool = False,
        eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.norm_1 = Norm(norm, width, bias=bias, eps=eps)
        self.attention = MultiHeadAttention(width, heads, bias=bias, causal=True)
        self.norm_2 = Norm(norm, width, bias=bias, eps=eps)
        self.feed_forward = FeedForward(width, hidden, name=feed_forward, bias=bias)
        branch = (self.attention.out, self.feed_forward.second)
        for layer in (self.attention.qkv, self.feed_forward.first, *branch):
            scale = 1.0 / math.sqrt(2.0 * depth) if layer in branch else 1.0
            nn.init.normal_(layer.weight, std=scale / math.sqrt(layer.in_features))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(
        self,
        x: Tensor,
        *,
        turn: Tensor | None = None,
        p: float = 0.0,
        uniform: Uniform | None = None,
    ) -> Tensor:
        """(n, T, width) to (n, T, width); position t sees positions up to t.

        Args:
            x: Inputs.
            turn: Rotary turns of queries and keys (T, head size / 2).
            p: Probability of dropout in both branches.
            uniform: Its noise; None for none.
        """
        x = x + drop_features(self.attention(self.norm_1(x), turn=turn), p, uniform)
        return x + drop_features(self.feed_forward(self.norm_2(x)), p, uniform)


def drop_features(x: Tensor, p: float, uniform: Uniform | None) -> Tensor:
    """Dropout of whole features of a sequence (n, T, width) (Gal and Ghahramani, 2016).

    One draw serves all positions of an example: T times less noise to draw, and what is dropped
    cannot be read from a neighbor.

    Example:
        >>> drop_features(torch.ones(1, 2, 2), 0.5, lambda shape: torch.tensor([[[0.1, 0.9]]]))
        tensor([[[0., 2.],
                 [0., 2.]]])
    """
    if p == 0.0 or uniform is None:
        return x
    return x * (uniform((1, x.shape[-1])) >= p).to(x.dtype).mul_(1.0 / (1.0 - p))
