"""Running activations: NADE's hidden layer for all conditionals at once, in bounded memory.

The fast path of ``outputs_in_turn`` in ``nade.py``, which is the formula and is handed in.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from phosphene.core.derivatives import again_wanted, gradients_again, transformed
from phosphene.generative.autoregressive.layers.activations import ACTIVATIONS, check_activation
from phosphene.generative.autoregressive.layers.sparse_sums import density, running_changes

__all__ = ["Formula", "check_activation", "running_hidden"]

Formula = Callable[..., Tensor]
"""A function of what :func:`running_hidden` is a function of, in plain torch."""

_BLOCK = 1 << 18
"""Activations that are held at once: they then stay in a core's cache (1 MB of float32)."""

_DENSE = 0.6
"""From this fraction of non-zero values on, computing each rank by itself is the faster way."""


def running_hidden(
    x: Tensor,
    W: Tensor,
    V: Tensor,
    start: Tensor,
    *,
    formula: Formula,
    rho: Tensor | None = None,
    gate: Tensor | None = None,
    activation: str = "sigmoid",
) -> Tensor:
    """y_k = V_k g f(rho_k a_k), where a_0 = start and a_{k+1} = a_k + x_k W_k: all k at once.

    The hidden layers of all k, D times larger than the rest together, are never held at once: k
    goes by in blocks that fit the cache, and the backward pass computes them again. The cost is
    O(n D H) both ways. Where most values are zero, as in binary images, the hidden layer stays the
    same from one rank to the next and is computed only when it changes. First derivatives are
    computed by hand; higher ones, those of the gate, and ``torch.func`` take the formula.

    Args:
        x: What each value adds to the sums, rank by rank: (D, n, E).
        W: (D, E, H).
        V: (D, S, H).
        start: Activations before any value is known (n, H).
        formula: The same function in plain torch.
        rho: A factor for each rank (D,); None for ones.
        gate: Factors of hidden units (n, H), the same at every rank (dropout); None for ones.
        activation: f, ``sigmoid``, ``tanh`` or ``relu``.

    Returns:
        (D, n, S).

    Example:
        >>> from phosphene.generative.autoregressive.nade import outputs_in_turn
        >>> x, W, V = torch.ones(3, 1, 1), torch.ones(3, 1, 2), torch.ones(3, 1, 2)
        >>> how = {"activation": "relu", "formula": outputs_in_turn}
        >>> running_hidden(x, W, V, torch.zeros(1, 2), **how).flatten()
        tensor([0., 2., 4.])
    """
    check_activation(activation)
    # Half precision would round sums of hundreds of terms.
    with torch.autocast(x.device.type, enabled=False):
        if transformed() or (gate is not None and gate.requires_grad):
            return formula(x, W, V, start, rho=rho, gate=gate, activation=activation)
        if x.shape[2] == 1 and rho is None and not x.requires_grad:
            filled = density(x)
            if filled < _DENSE:
                return running_changes(x, W, V, start, gate, activation, filled, formula)
        out: Tensor = _Running.apply(x, W, V, start, rho, gate, activation, formula)
    return out


class _Running(torch.autograd.Function):
    """See :func:`running_hidden`."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        W: Tensor,
        V: Tensor,
        start: Tensor,
        rho: Tensor | None,
        gate: Tensor | None,
        activation: str,
        formula: Formula,
    ) -> Tensor:
        block = max(1, min(len(x), _BLOCK // max(start.numel(), 1)))
        sums = start.new_empty(block + 1, *start.shape)
        starts, outs = [], []
        for first in range(0, len(x), block):
            part = slice(first, first + block)
            starts.append(start)
            a = _sum_up(sums, start, x[part], W[part])
            start = a[-1].clone()
            h = _hidden(a[:-1], _at(rho, part), activation)
            outs.append(_decode(h if gate is None else h.mul_(gate), V[part]))
        ctx.save_for_backward(x, W, V, rho, gate, *starts)
        ctx.activation, ctx.block, ctx.formula = activation, block, formula
        return torch.cat(outs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, W, V, rho, gate, *starts = ctx.saved_tensors
        if again_wanted(grad):
            found = gradients_again(
                lambda x, W, V, start, rho: ctx.formula(
                    x, W, V, start, rho=rho, gate=gate, activation=ctx.activation
                ),
                (x, W, V, starts[0], rho), (grad,), ctx.needs_input_grad[:5],
            )  # fmt: skip
            return *found, None, None, None
        grad_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        grad_W, grad_V = torch.empty_like(W), torch.empty_like(V)
        grad_rho = None if rho is None else torch.empty_like(rho)
        sums = starts[0].new_empty(ctx.block + 1, *starts[0].shape)
        onward = torch.zeros_like(starts[0])  # gradient of the sums after this block
        for i in reversed(range(len(starts))):
            part = slice(i * ctx.block, (i + 1) * ctx.block)
            a = _sum_up(sums, starts[i], x[part], W[part])[:-1]
            h = _hidden(a, _at(rho, part), ctx.activation, keep=rho is not None)
            g = _spread(grad[part], V[part])
            if gate is not None:
                g.mul_(gate)
            grad_V[part] = torch.bmm(grad[part].mT, h if gate is None else h * gate)
            g = ACTIVATIONS[ctx.activation][1](g, h)
            if grad_rho is not None:
                grad_rho[part] = (g * a).sum((1, 2))
                g.mul_(rho[part, None, None])
            later = sums[: len(g)]  # the sums of this block are no longer needed
            later[-1] = onward
            for k in range(len(g) - 2, -1, -1):
                torch.add(later[k + 1], g[k + 1], out=later[k])
            onward = later[0] + g[0]
            grad_W[part] = torch.bmm(x[part].mT, later)
            if grad_x is not None:
                grad_x[part] = torch.bmm(later, W[part].mT)
        return grad_x, grad_W, grad_V, onward, grad_rho, None, None, None


def _at(rho: Tensor | None, part: slice) -> Tensor | None:
    return None if rho is None else rho[part]


def _sum_up(sums: Tensor, start: Tensor, x: Tensor, W: Tensor) -> Tensor:
    """Running sums (block + 1, n, H) in the memory of ``sums``; the first is the start."""
    sums[0] = start
    for k in range(len(x)):
        if x.shape[2] == 1:
            torch.addcmul(sums[k], x[k], W[k], out=sums[k + 1])
        else:
            torch.addmm(sums[k], x[k], W[k], out=sums[k + 1])
    return sums[: len(x) + 1]


def _hidden(a: Tensor, rho: Tensor | None, activation: str, *, keep: bool = False) -> Tensor:
    """f(rho a), in the memory of a unless that is to be kept."""
    if rho is not None:
        scale = rho[:, None, None]
        a = a * scale if keep else a.mul_(scale)
    return ACTIVATIONS[activation][0](a)


def _decode(h: Tensor, V: Tensor) -> Tensor:
    """V_k h_k (block, n, S)."""
    if V.shape[1] == 1:
        # A batch of matrix-vector products is slow as bmm (28 against 6 ms at D = 784, H = 500).
        return torch.stack([torch.mv(h[k], V[k, 0]) for k in range(len(h))])[..., None]
    return torch.bmm(h, V.mT)


def _spread(grad: Tensor, V: Tensor) -> Tensor:
    """The gradient of the hidden units (block, n, H)."""
    return grad * V if V.shape[1] == 1 else torch.bmm(grad, V)
