"""Scaled dot-product attention: every output is a convex combination of values."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.generative.autoregressive.layers.attention import attention, attention_weights
from phosphene.proofs.proof import Proof, Wrong, above, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "attention(Q, K, V) = softmax(Q K^T / sqrt(d)) V (Vaswani et al., 2017): the weights of a row "
    "are >= 0 and sum to 1, so each output lies in the convex hull of the values. Permuting keys "
    "and values together changes nothing, permuting queries permutes outputs: without positions, "
    "a sequence is a set. The root keeps scores of unit vectors' coordinates at variance 1 "
    "whatever d, where softmax has a gradient."
)


def prove(
    seed: int = 0,
    *,
    weights: Callable[..., Tensor] = attention_weights,
    attend: Callable[..., Tensor] = attention,
) -> Proof:
    """Check the rows, the hull, the symmetry and the scale, and torch's own kernel.

    Args:
        seed: Of queries, keys and values.
        weights: softmax(Q K^T / sqrt(d)), of q and k.
        attend: Those weights times V, of q, k and v.

    Example:
        >>> prove().holds
        True
    """
    q, k, v = (_normal(seed, s, 2, 3, 12, 8) for s in range(3))
    share, y = weights(q, k), attend(q, k, v)
    order = torch.randperm(12, generator=generator(seed, 9))
    moved = attend(q, k[:, :, order], v[:, :, order]) - y
    turned = attend(q[:, :, order], k, v) - y[:, :, order]
    outside = torch.maximum(y - v.amax(2, keepdim=True), v.amin(2, keepdim=True) - y).max()
    oracle = F.scaled_dot_product_attention(q, k, v)
    sizes = (4, 16, 64, 256)
    largest = {
        scaled: [_largest_weight(weights, seed, d, scaled) for d in sizes]
        for scaled in (True, False)
    }
    variance = (_normal(seed, 5, 4000, 256) * _normal(seed, 6, 4000, 256)).sum(-1).var() / 256
    rows = [
        above("smallest weight", share.min(), 0.0),
        below("worst |sum of a row - 1|", (share.sum(-1) - 1).abs().max(), 1e-12),
        below("furthest that an output leaves its values' range", outside, 0.0, 1e-12),
        below("move when keys and values are permuted", moved.abs().max(), 1e-12),
        below("permuted queries against permuted outputs", turned.abs().max(), 1e-12),
        below("against torch's scaled_dot_product_attention", (y - oracle).abs().max(), 1e-12),
        equal("variance of q k / sqrt(d) at d = 256", variance, 1.0, 0.1),
        below("mean largest of 16 weights at d = 256, divided by the root", largest[True][-1], 0.5),
        above("the same without the root: nearly one-hot", largest[False][-1], 0.8),
    ]
    figure = {
        "x": torch.tensor(sizes),
        "largest weight": torch.tensor(largest[True]),
        "largest weight without the root": torch.tensor(largest[False]),
    }
    return Proof("attention", "Scaled dot-product attention", _STATEMENT, rows, figure)


def _normal(seed: int, number: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=generator(seed, number), dtype=torch.float64)


def _largest_weight(weights: Callable[..., Tensor], seed: int, d: int, scaled: bool) -> float:
    """Mean over rows of the largest weight among 16 random keys."""
    q, k = _normal(seed, 7, 500, d), _normal(seed, 8, 16, d)
    share = weights(q if scaled else q * d**0.5, k)
    return float(share.amax(-1).mean())


def _unscaled(q: Tensor, k: Tensor) -> Tensor:
    return torch.softmax(q @ k.mT, -1)


WRONG = Wrong(
    "softmax(Q K^T) V: scores are not divided by sqrt(d)",
    {"weights": _unscaled, "attend": lambda q, k, v: _unscaled(q, k) @ v},
)
