"""A stack of transformer blocks, one position at a time, with few and small operations.

Norms' gains and biases are folded into the matrices behind them, keys and values lie in buffers of
a fixed size, and queries and keys are turned in place: about twelve operations for a block, where
the modules as written take forty. The result is theirs, to rounding.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.errors import EventError
from phosphene.generative.autoregressive.layers.attention import KeyValueCache
from phosphene.generative.autoregressive.layers.transformer import Block, Norm

__all__ = ["Decoding"]

_Affine = tuple[Tensor, Tensor | None]


class Decoding:
    """Blocks, final norm and head of a transformer for n examples, position after position.

    Args:
        blocks: The stack.
        norm: The norm before the head.
        head: The last linear layer: its weight (size, width) and bias, or None.
        n: Examples.
        length: The most positions.
        turn: Rotary turns (length, head size / 2) of positions; None for none.

    Raises:
        EventError: When called more than ``length`` times.

    Example:
        >>> blocks, norm = [Block(8, 2, 16)], Norm("layer", 8)
        >>> step = Decoding(blocks, norm, (torch.zeros(3, 8), None), n=1, length=4)
        >>> step(torch.zeros(1, 8)).shape
        torch.Size([1, 3])
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        norm: Norm,
        head: _Affine,
        *,
        n: int,
        length: int,
        turn: Tensor | None = None,
    ) -> None:
        self.turn, self.used, self.length = turn, 0, length
        with torch.no_grad():
            self._blocks = [self._prepared(block, n, length) for block in blocks]
            self._normalize, self._head = _normalizer(norm), _folded(norm, *head)

    def __call__(self, x: Tensor) -> Tensor:
        """The head's outputs (n, size) at the next position, whose input is x (n, width)."""
        if self.used == self.length:
            raise EventError(
                f"a sequence of {self.used + 1} is longer than the {self.length} positions of the "
                "cache"
            )
        turn = None if self.turn is None else self.turn[self.used : self.used + 1]
        with torch.no_grad():
            for block in self._blocks:
                x = block(x, turn)
            self.used += 1
            return F.linear(self._normalize(x), *self._head)

    @staticmethod
    def _prepared(block: Block, n: int, length: int) -> Callable[[Tensor, Tensor | None], Tensor]:
        """One block as a function of its input (n, width) and the position's turn."""
        attention, mlp = block.attention, block.feed_forward
        heads, size = attention.heads, attention.size
        normalize_1, normalize_2 = _normalizer(block.norm_1), _normalizer(block.norm_2)
        qkv = _folded(block.norm_1, *_affine(attention.qkv))
        first = _folded(block.norm_2, *_affine(mlp.first))
        out, second = _affine(attention.out), _affine(mlp.second)
        like = attention.qkv.weight
        cache = KeyValueCache(n, heads, length, size, dtype=like.dtype, device=like.device)

        def step(x: Tensor, turn: Tensor | None) -> Tensor:
            z = F.linear(normalize_1(x), *qkv).view(n, 3 * heads, 1, size)
            if turn is not None:
                torch.view_as_complex(z[:, : 2 * heads].unflatten(-1, (-1, 2))).mul_(turn)
            q, k, v = z.split(heads, 1)
            y = F.scaled_dot_product_attention(q, *cache.append(k, v))
            x = x + F.linear(y.reshape(n, heads * size), *out)
            return x.add_(F.linear(mlp.activate(F.linear(normalize_2(x), *first)), *second))

        return step


def _affine(layer: nn.Linear) -> _Affine:
    bias = layer.bias
    return layer.weight.detach(), None if bias is None else bias.detach()


def _folded(norm: Norm, weight: Tensor, bias: Tensor | None) -> _Affine:
    """The layer behind a norm, with the norm's gain and bias in its own: W (g u + b) + c."""
    weight = weight.detach()
    if norm.bias is not None:
        moved = weight @ norm.bias.detach()
        bias = moved if bias is None else bias + moved
    return weight * norm.gain.detach(), bias


def _normalizer(norm: Norm) -> Callable[[Tensor], Tensor]:
    """A norm without gain and bias."""
    width, eps = (norm.width,), norm.eps
    if norm.name == "layer":
        return lambda x: F.layer_norm(x, width, None, None, eps)
    return lambda x: F.rms_norm(x, width, None, eps)
