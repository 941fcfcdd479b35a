"""Running activations where most values are zero: only what changes is computed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from phosphene.core.derivatives import again_wanted, gradients_again
from phosphene.generative.autoregressive.layers.activations import ACTIVATIONS

__all__ = ["density", "running_changes"]

_KEPT = 1 << 24
"""Activations kept for the backward pass (64 MB of float32); beyond it they are computed again."""


def density(x: Tensor) -> float:
    """The fraction of values that are not zero."""
    return float(torch.count_nonzero(x)) / max(x.numel(), 1)


def running_changes(
    x: Tensor,
    W: Tensor,
    V: Tensor,
    start: Tensor,
    gate: Tensor | None,
    activation: str,
    filled: float,
    formula: Callable[..., Tensor],
) -> Tensor:
    """As ``running_hidden`` of the module of running sums, for E = 1 and no factors of ranks.

    The ranks are cut into blocks of B. An example has one hidden state at the start of a block and
    one after each value of it that is not zero; a state is a row. All rows of a block are one
    matrix product (prefixes of x by W), their outputs at all ranks of the block another (h by V),
    from which each rank takes the row that it sees. That is B times more output than is needed, by
    arithmetic that is far more than B times faster than product by product.
    """
    # Few values, or few of them non-zero, make long blocks pay.
    block = 8 if filled > 0.3 and start.numel() > 1 << 14 else 16
    rows = _Rows.of(x[..., 0], min(block, len(x)))
    missing = rows.blocks * rows.size - len(x)
    if missing:
        W, V = (F.pad(w, (0, 0, 0, 0, 0, missing)) for w in (W, V))
    W, V = (w.unflatten(0, (rows.blocks, -1)) for w in (W, V))
    out: Tensor = _Changes.apply(
        W[:, :, 0], V.flatten(1, 2), start, rows, gate, activation, formula
    )
    return out[: len(x)]


@dataclass
class _Rows:
    """The hidden states of a batch: blocks first, then examples, then ranks.

    Args:
        x: Values by block (blocks, n, size).
        prefix: What each row has seen of its block (rows, size).
        example: Whose state it is (rows,).
        seen: The row that each rank sees (blocks, n, size).
        cuts: Where each block's rows begin.
    """

    x: Tensor
    prefix: Tensor
    example: Tensor
    seen: Tensor
    cuts: list[int]

    @classmethod
    def of(cls, x: Tensor, size: int) -> "_Rows":
        """Rows of x (D, n)."""
        x = F.pad(x, (0, 0, 0, -len(x) % size)).unflatten(0, (-1, size)).mT.contiguous()
        new = F.pad(x[..., :-1] != 0, (1, 0), value=True)
        before = torch.ones(size, size, dtype=x.dtype, device=x.device).tril(-1)
        counts = new.flatten(1).sum(1).cumsum(0).tolist()
        block, example, rank = new.nonzero().unbind(1)
        whole = x.flatten(0, 1).index_select(0, block * x.shape[1] + example)
        return cls(
            x=x,
            prefix=whole.mul_(before.index_select(0, rank)),
            example=example,
            seen=(new.flatten().cumsum(0) - 1).view_as(x),
            cuts=[0, *counts],
        )

    @property
    def size(self) -> int:
        return self.x.shape[2]

    @property
    def blocks(self) -> int:
        return len(self.x)

    def part(self, i: int) -> slice:
        return slice(self.cuts[i], self.cuts[i + 1])

    def hidden(self, i: int, start: Tensor, W: Tensor, activation: str) -> Tensor:
        """The states (rows, H) of block i."""
        part = self.part(i)
        begun = start.index_select(0, self.example[part])
        return ACTIVATIONS[activation][0](torch.addmm(begun, self.prefix[part], W[i]))

    def entries(self) -> Tensor:
        """Where rank's outputs stand in (rows, size), both flattened."""
        return self.seen * self.size + torch.arange(self.size, device=self.seen.device)

    def taken(self, wide: Tensor) -> Tensor:
        """Outputs (ranks, n, S) of those (rows, size * S) of every row at every rank."""
        each = wide.view(-1, wide.shape[1] // self.size)[self.entries()]
        return each.transpose(1, 2).flatten(0, 1)


class _Changes(torch.autograd.Function):
    """Weights W (blocks, size, H), V (blocks, size * S, H)."""

    @staticmethod
    def forward(
        ctx: Any,
        W: Tensor,
        V: Tensor,
        start: Tensor,
        rows: _Rows,
        gate: Tensor | None,
        activation: str,
        formula: Callable[..., Tensor],
    ) -> Tensor:
        wide = start.new_empty(len(rows.prefix), V.shape[1])
        keep = any(ctx.needs_input_grad) and len(wide) * W.shape[2] <= _KEPT
        starts: list[Tensor] = []
        kept: list[Tensor] = []
        for i in range(rows.blocks):
            h = rows.hidden(i, start, W, activation)
            starts.append(start)
            if keep:
                kept.append(h)
            torch.mm(_gated(h, gate, rows, i), V[i].T, out=wide[rows.part(i)])
            start = torch.addmm(start, rows.x[i], W[i])
        ctx.save_for_backward(W, V, gate, *starts, *kept)
        ctx.rows, ctx.activation, ctx.formula = rows, activation, formula
        return rows.taken(wide)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        W, V, gate, *saved = ctx.saved_tensors
        rows: _Rows = ctx.rows
        starts, kept = saved[: rows.blocks], saved[rows.blocks :]
        if again_wanted(grad):
            found = gradients_again(
                lambda W, V, start: ctx.formula(
                    rows.x.mT.flatten(0, 1)[..., None], W.flatten(0, 1)[:, None],
                    V.unflatten(1, (rows.size, -1)).flatten(0, 1), start, gate=gate,
                    activation=ctx.activation,
                ),
                (W, V, starts[0]), (grad,), ctx.needs_input_grad[:3],
            )  # fmt: skip
            return *found, None, None, None, None
        wide = grad.new_zeros(len(rows.prefix) * rows.size, grad.shape[2])
        wide[rows.entries()] = grad.unflatten(0, (-1, rows.size)).transpose(1, 2)
        wide = wide.view(len(rows.prefix), -1)
        grad_W, grad_V = torch.empty_like(W), torch.empty_like(V)
        onward = torch.zeros_like(starts[0])  # gradient of the states after this block
        for i in reversed(range(rows.blocks)):
            part = rows.part(i)
            h = kept[i] if kept else rows.hidden(i, starts[i], W, ctx.activation)
            torch.mm(wide[part].T, _gated(h, gate, rows, i), out=grad_V[i])
            g = torch.mm(wide[part], V[i])
            if gate is not None:
                g.mul_(gate.index_select(0, rows.example[part]))
            g = ACTIVATIONS[ctx.activation][1](g, h)
            later = torch.mm(rows.x[i].T, onward)
            torch.addmm(later, rows.prefix[part].T, g, out=grad_W[i])
            onward = onward + _sum_by_example(g, rows.seen[i, :, 0] - rows.cuts[i])
        return grad_W, grad_V, onward, None, None, None, None


def _gated(h: Tensor, gate: Tensor | None, rows: _Rows, i: int) -> Tensor:
    return h if gate is None else h * gate.index_select(0, rows.example[rows.part(i)])


def _sum_by_example(g: Tensor, first: Tensor) -> Tensor:
    """Sums of runs of rows, each from ``first`` on: index_add would go row by row."""
    return F.embedding_bag(torch.arange(len(g), device=g.device), g, first, mode="sum")
