"""The causal mask: -inf strictly above the diagonal, and no output knows the future."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.autoregressive.layers.attention import (
    MultiHeadAttention,
    attention,
    causal_mask,
)
from phosphene.generative.autoregressive.transformer import Transformer
from phosphene.proofs.proof import Proof, Wrong, above, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "softmax(Q K^T / sqrt(d) + M) V with M = -inf where key s > query t, else 0: d out_t / d x_s = "
    "0 for s > t (Vaswani et al., 2017). With inputs shifted by one (position t reads x_{t-1}) the "
    "diagonal stays open; closing it too would blind the first row, and opening one more diagonal "
    "would show each position the value it predicts. A row that sees nothing is 0, not NaN."
)


def prove(seed: int = 0, *, mask: Callable[..., Tensor] = causal_mask) -> Proof:
    """Take Jacobians of attention and of a transformer, and blind a row.

    Args:
        seed: Of weights and inputs.
        mask: M, of the number of positions.

    Example:
        >>> prove().holds
        True
    """
    t = 6
    with seeded(seed):
        attend = MultiHeadAttention(8, 2).double()
        model = _transformer(t)
    x = torch.randn(t, 8, generator=generator(seed), dtype=torch.float64)
    M = mask(t, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda v: attend(v[None], mask=M)[0], x)
    seen = jacobian.abs().sum((1, 3))
    ones = torch.ones(t, t).bool()
    own, future = _sees(model, t)
    q, k, v = torch.randn(3, t, 4, generator=generator(seed, 1), dtype=torch.float64)
    q.requires_grad_()
    blind = mask(t, dtype=torch.float64).fill_diagonal_(-math.inf)
    y = attention(q, k, v, blind)
    (gradient,) = torch.autograd.grad(y.square().sum(), q)
    finite = bool(y.isfinite().all()) and bool(gradient.isfinite().all())
    attend.causal = True  # the library's own way to the same: no mask is made there
    fused = (attend(x[None]) - attend(x[None], mask=M)).detach()
    rows = [
        equal("largest |d out_t / d x_s| for s > t", seen[ones.triu(1)].max(), 0.0, 0.0),
        above("smallest |d out_t / d x_s| for s <= t", seen[ones.tril()].min(), 0.0),
        equal("a transformer's conditionals moved by a later value", future, 0.0, 0.0),
        equal("by the value itself (inputs are shifted)", own, 0.0, 0.0),
        equal("finite where the diagonal is closed as well: 1 for yes", finite, 1.0, 0.0),
        below("the blind first row", y[0].detach().abs().max(), 1e-300),
    ]
    rows.append(below("attention that is told to be causal, against M", fused.abs().max(), 1e-12))
    title = "The causal mask"
    return Proof("causal-mask", title, _STATEMENT, rows, {"|d out / d x|": seen.detach()})


def _transformer(t: int) -> Transformer:
    model = Transformer(Event.tokens(t, 4), width=8, depth=2, heads=2).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


@torch.no_grad()
def _sees(model: Transformer, t: int) -> tuple[Tensor, Tensor]:
    """How far a change of x_s moves conditional s, and those before s."""
    x = torch.zeros(1, t, dtype=torch.long)
    before, own, future = model.conditionals(x), [], [torch.zeros((), dtype=torch.float64)]
    for s in range(t):
        changed = x.clone()
        changed[0, s] = 3
        moved = (model.conditionals(changed) - before).abs().amax((0, 2))
        own.append(moved[s])
        future.extend(moved[:s])
    return torch.stack(own).max(), torch.stack(future).max()


def _closed(queries: int, dtype: torch.dtype) -> Tensor:
    return torch.full((queries, queries), -math.inf, dtype=dtype).triu(0)


WRONG = Wrong(
    "M = -inf where s >= t: the diagonal is closed too, although inputs are shifted already",
    {"mask": _closed},
)
