"""Multi-head attention: h attentions of width / h coordinates, concatenated and mixed."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from phosphene.core.rng import generator, seeded
from phosphene.generative.autoregressive.layers.attention import MultiHeadAttention, attention
from phosphene.proofs.proof import Proof, Wrong, above, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "MultiHead(x) = Concat(head_1, ..., head_h) W_O, head_i = attention(x W_Q^i, x W_K^i, x W_V^i) "
    "(Vaswani et al., 2017). Each head divides by sqrt(width / h), not by sqrt(width). Without the "
    "output projection W_O no head's values could reach another head's coordinates. The cost in "
    "parameters does not depend on h."
)


def prove(seed: int = 0, *, module: type[MultiHeadAttention] = MultiHeadAttention) -> Proof:
    """Compare with the sum over heads, with torch's module, and without W_O.

    Args:
        seed: Of weights and inputs.
        module: Multi-head attention.

    Example:
        >>> prove().holds
        True
    """
    width, heads, t = 12, 3, 7
    with seeded(seed):
        own = module(width, heads, bias=True).double()
        oracle = nn.MultiheadAttention(width, heads, batch_first=True).double()
    own.qkv.load_state_dict({"weight": oracle.in_proj_weight, "bias": oracle.in_proj_bias})
    own.out.load_state_dict(oracle.out_proj.state_dict())
    x = torch.randn(2, t, width, generator=generator(seed), dtype=torch.float64)
    with torch.no_grad():
        y, own_weights = own(x), own.weights(x)
        theirs, weights = oracle(x, x, x, average_attn_weights=False)
        by_heads, wrong = (_by_heads(own, x, heads, d) for d in (width // heads, width))
        mixed, separate = _reach(own, x, heads)
        counts = {h: sum(p.numel() for p in module(width, h).parameters()) for h in (1, 2, 6)}
    rows = [
        below("against torch's module with the same weights", (y - theirs).abs().max(), 1e-12),
        below("its weights", (own_weights - weights).abs().max(), 1e-12),
        below("against the sum over heads of head_i W_O^i", (y - by_heads).abs().max(), 1e-12),
        above("what dividing by sqrt(width) would change", (y - wrong).abs().max(), 1e-4),
        above("coordinates of other heads reached by a head's values", mixed, 0.0),
        equal("the same without W_O", separate, 0.0, 0.0),
        equal("parameters at 6 heads, against 1", counts[6], counts[1], 0.0),
    ]
    figure = {f"head {i + 1}": weights[0, i] for i in range(heads)}
    return Proof("multi-head", "Multi-head attention", _STATEMENT, rows, figure)


def _by_heads(module: MultiHeadAttention, x: Tensor, heads: int, d: int) -> Tensor:
    """The sum over heads, each with its own rows of the matrices, divided by sqrt(d)."""
    size = module.width // heads
    total: Tensor = module.out.bias.expand(*x.shape)
    W_Q, W_K, W_V = module.qkv.weight.chunk(3)
    b_Q, b_K, b_V = module.qkv.bias.chunk(3)
    for i in range(heads):
        rows = slice(i * size, (i + 1) * size)
        q, k, v = (x @ W[rows].T + b[rows] for W, b in ((W_Q, b_Q), (W_K, b_K), (W_V, b_V)))
        # attention() divides by the root of q's own size; undo that to divide by sqrt(d).
        y = attention(q * math.sqrt(size / d), k, v)
        total = total + y @ module.out.weight[:, rows].T
    return total


def _reach(module: MultiHeadAttention, x: Tensor, heads: int) -> tuple[Tensor, Tensor]:
    """How far values of the first head move the others' coordinates, with and without W_O."""
    q, k, v = module._heads(x, None)
    louder = v.clone()
    louder[:, 0] *= 2
    before, after = (attention(q, k, u).transpose(1, 2).flatten(2) for u in (v, louder))
    others = slice(module.width // heads, None)
    mixed = (module.out(after) - module.out(before))[..., others].abs().max()
    return mixed, (after - before)[..., others].abs().max()


class _AsPrinted(MultiHeadAttention):
    def forward(self, x: Tensor, **told: Any) -> Tensor:
        """Concatenated heads, whose scores are divided by the root of the whole width."""
        q, k, v = self._heads(x, None)
        y = attention(q * math.sqrt(self.size / self.width), k, v)
        return y.transpose(1, 2).flatten(2)


WRONG = Wrong(
    "Concat(head_1, ..., head_h), each softmax(Q K^T / sqrt(width)) V, as the notes print it: no "
    "W_O, and the root of the whole width",
    {"module": _AsPrinted},
)
