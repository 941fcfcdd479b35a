"""Attention, written out: each output is a weighted mean of values, the weights sum to one."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.errors import ConfigError, EventError
from phosphene.generative.autoregressive.layers.positions import rotate

__all__ = [
    "KeyValueCache",
    "MultiHeadAttention",
    "attention",
    "attention_weights",
    "causal_mask",
    "fused_attention",
]


def causal_mask(queries: int, keys: int | None = None, dtype: torch.dtype | None = None) -> Tensor:
    """M (queries, keys): 0 where a query may look, -inf where the key is in its future.

    The last query stands at the last key. The diagonal is open: a query sees its own input, so the
    inputs of a model that predicts the value at their place must be shifted by one.

    Example:
        >>> causal_mask(3)
        tensor([[0., -inf, -inf],
                [0., 0., -inf],
                [0., 0., 0.]])
    """
    keys = queries if keys is None else keys
    future = torch.full((queries, keys), -math.inf, dtype=dtype)
    return future.triu(1 + keys - queries)


def attention_weights(q: Tensor, k: Tensor, mask: Tensor | None = None) -> Tensor:
    """A = softmax(Q K^T / sqrt(d) + M), rows >= 0 that sum to 1: (..., T, S).

    A row that may look nowhere (all -inf) is zero, not NaN, and so are its gradients.
    """
    scores = (q / math.sqrt(q.shape[-1])) @ k.mT
    if mask is None:
        return torch.softmax(scores, -1)
    scores = scores + mask.to(scores.dtype)
    blind = (mask == -math.inf).all(-1, keepdim=True)
    if not bool(blind.any()):
        return torch.softmax(scores, -1)
    return torch.softmax(scores.masked_fill(blind, 0.0), -1).masked_fill(blind, 0.0)


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention, softmax(Q K^T / sqrt(d) + M) V (Vaswani et al., 2017).

    Args:
        q: Queries (..., T, d); d is the size of one head, by whose root scores are divided.
        k: Keys (..., S, d).
        v: Values (..., S, e).
        mask: What is added to the scores (..., T, S), 0 or -inf; None adds nothing.

    Returns:
        (..., T, e).

    Example:
        >>> v = torch.tensor([[1.0], [3.0]])
        >>> attention(torch.zeros(2, 4), torch.zeros(2, 4), v, causal_mask(2))
        tensor([[1.],
                [2.]])
    """
    return attention_weights(q, k, mask) @ v


def fused_attention(q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False) -> Tensor:
    """The same as :func:`attention`, by whichever way is fastest on the device.

    torch's fused kernel nearly always; in half precision on a CPU three plain products, which
    take half of its time (two to three times as fast at T = 128 to 256).

    Args:
        q: Queries (n, heads, T, d).
        k: Keys (n, heads, S, d).
        v: Values (n, heads, S, d).
        causal: Add the causal mask; T = S then.
    """
    if q.device.type != "cpu" or q.dtype not in (torch.bfloat16, torch.float16):
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    shape = q.shape
    q, k, v = (part.flatten(0, 1) for part in (q / math.sqrt(q.shape[-1]), k, v))
    mask = causal_mask(q.shape[1], dtype=q.dtype) if causal else q.new_zeros(())
    scores = torch.baddbmm(mask, q, k.mT)
    return (torch.softmax(scores, -1) @ v).view(shape)


class KeyValueCache:
    """Keys and values of the positions so far, in buffers of a fixed size.

    Args:
        n: Examples.
        heads: Heads of attention.
        length: The most positions.
        size: Coordinates of a head.
        dtype: Of keys and values.
        device: Where they lie.

    Example:
        >>> cache = KeyValueCache(1, 2, 8, 4)
        >>> k, v = cache.append(torch.ones(1, 2, 3, 4), torch.zeros(1, 2, 3, 4))
        >>> k.shape, cache.used
        (torch.Size([1, 2, 3, 4]), 3)
    """

    def __init__(
        self,
        n: int,
        heads: int,
        length: int,
        size: int,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        self.length, self.used = length, 0
        shape = (n, heads, length, size)
        self.keys = torch.zeros(shape, dtype=dtype, device=device)
        self.values = torch.zeros(shape, dtype=dtype, device=device)

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store the next positions (n, heads, t, size); return all so far, without a copy.

        Raises:
            EventError: There are more positions than the buffers hold.
        """
        last = self.used + k.shape[-2]
        if last > self.length:
            raise EventError(
                f"a sequence of {last} is longer than the {self.length} positions of the cache"
            )
        self.keys[:, :, self.used : last] = k
        self.values[:, :, self.used : last] = v
        self.used = last
        return self.keys[:, :, :last], self.values[:, :, :last]


class MultiHeadAttention(nn.Module):
    """Concat(head_1, ..., head_h) W_O, head_i = attention(x W_Q^i, x W_K^i, x W_V^i).

    Vaswani et al. (2017). Each head works on width / heads coordinates, and divides by the root of
    that; the three projections are one matrix, in the order queries, keys, values.

    Args:
        width: Size of inputs and outputs.
        heads: Number of heads; divides the width.
        bias: Whether the projections have biases.
        causal: Whether a position sees only itself and those before it.
        written_out: Compute the formula as it stands, instead of by the fastest way.

    Raises:
        ConfigError: The heads do not divide the width.

    Example:
        >>> MultiHeadAttention(8, 2)(torch.zeros(3, 5, 8)).shape
        torch.Size([3, 5, 8])
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        bias: bool = False,
        causal: bool = False,
        written_out: bool = False,
    ) -> None:
        super().__init__()
        if heads < 1 or width % heads:
            raise ConfigError(f"heads must divide the width {width}, got {heads}")
        self.width, self.heads, self.size = width, heads, width // heads
        self.causal, self.written_out = causal, written_out
        self.qkv = nn.Linear(width, 3 * width, bias=bias)
        self.out = nn.Linear(width, width, bias=bias)

    def forward(
        self,
        x: Tensor,
        *,
        turn: Tensor | None = None,
        mask: Tensor | None = None,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        """Attention of a sequence to itself: (n, T, width) to (n, T, width).

        Args:
            x: Inputs.
            turn: Rotary turns (T, size / 2) of queries and keys.
            mask: Added to the scores (T, T), or anything that broadcasts to (n, heads, T, T).
            cache: Keys and values of earlier positions; those of x are added to it.
        """
        q, k, v = self._heads(x, turn)
        if cache is not None:
            k, v = cache.append(k, v)
        causal = self.causal and q.shape[-2] > 1
        if mask is not None or self.written_out or (causal and cache is not None):
            if causal:
                future = causal_mask(q.shape[-2], k.shape[-2], q.dtype).to(q.device)
                mask = future if mask is None else mask + future
            y = attention(q, k, v, mask)
        else:
            y = fused_attention(q, k, v, causal=causal)
        out: Tensor = self.out(y.transpose(1, 2).flatten(2))
        return out

    def weights(self, x: Tensor, *, turn: Tensor | None = None) -> Tensor:
        """How much each position looks at each: (n, heads, T, T), rows sum to 1."""
        q, k, _ = self._heads(x, turn)
        return attention_weights(
            q, k, causal_mask(x.shape[1], dtype=q.dtype) if self.causal else None
        )

    def _heads(self, x: Tensor, turn: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (n, heads, T, size)."""
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, self.size)).permute(2, 0, 3, 1, 4)
        qk, v = qkv[:2], qkv[2]
        if turn is not None:
            qk = rotate(qk, turn)
        return qk[0], qk[1], v
