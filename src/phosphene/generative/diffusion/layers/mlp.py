"""A residual multilayer perceptron that knows the time, for vectors and whatever is no image."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError
from phosphene.generative.diffusion.layers.blocks import zeroed
from phosphene.generative.diffusion.layers.embedding import (
    TimeEmbedding,
    TokenEmbedding,
    modulated,
)
from phosphene.nn.context_embedding import FlatImage
from phosphene.nn.mlp import check_widths
from phosphene.nn.noise import Uniform, check_probability, dropout

__all__ = ["TimedMLP"]


class _Block(nn.Module):
    """h + W_2 dropout(silu(W_1 (norm(h) (1 + s) + b))), (s, b) = W silu(e); W_2 is 0 at first."""

    def __init__(self, width: int, embedding: int, p: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(embedding, 2 * width)
        self.first, self.second = nn.Linear(width, width), zeroed(nn.Linear(width, width))
        self.p = p

    def forward(self, h: Tensor, e: Tensor, uniform: Uniform | None) -> Tensor:
        g = F.silu(self.first(modulated(self.norm(h), self.modulation(e))))
        out: Tensor = h + self.second(dropout(g, self.p, uniform))
        return out


class TimedMLP(nn.Module):
    """Residual blocks between two linear maps; the last is 0 at the start.

    Each block normalizes what it is given, scales and shifts it by the time and the condition. An
    image of the context enters as numbers beside x (0 where it is withheld), a text as the mean of
    what a layer makes of its tokens.

    Args:
        shape: The event; its numbers are flattened.
        context: What is declared; None for nothing.
        widths: Widths of the stages; a linear map stands between two that differ.
        blocks: Residual blocks of a stage.
        dropout: Probability that a unit is dropped where noise is given.
        embedding: Size of the embedded time; None for the first width.

    Raises:
        ConfigError: A width is not positive, or there is none.

    Example:
        >>> net = TimedMLP((2,), widths=(16,))
        >>> net(torch.ones(3, 2), torch.tensor([0.5])).abs().max().item()
        0.0
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        context: ContextSpec | None = None,
        *,
        widths: Sequence[int] = (256,),
        blocks: int = 3,
        dropout: float = 0.0,
        embedding: int | None = None,
    ) -> None:
        super().__init__()
        spec = context or ContextSpec()
        check_widths(widths)
        if not widths:
            raise ConfigError("a network needs at least one width, got widths=()")
        p = check_probability("dropout", dropout)
        width = widths[0] if embedding is None else embedding
        self.shape, inputs = tuple(shape), math.prod(shape)
        self.embed = TimeEmbedding(spec, width)
        self.tokens = None if spec.text is None else TokenEmbedding(spec.text, width)
        self.read = None if spec.text is None else nn.Linear(width, width)
        self.image = None if spec.image is None else FlatImage(spec.image)
        self.first = nn.Linear(inputs + (self.image.width if self.image else 0), widths[0])
        self.stages = nn.ModuleList()
        before = widths[0]
        for after in widths:
            if after != before:
                self.stages.append(nn.Linear(before, after))
            self.stages.extend(_Block(after, width, p) for _ in range(blocks))
            before = after
        self.norm = nn.LayerNorm(before)
        self.last = zeroed(nn.Linear(before, inputs))

    def forward(
        self,
        x: Tensor,
        time: Tensor,
        context: Context | None = None,
        *,
        uniform: Uniform | None = None,
    ) -> Tensor:
        """Of x's shape (n, *shape); arguments as the U-Net's."""
        e = self.embed(time, context)
        if self.tokens is not None:
            assert self.read is not None
            e = e + F.silu(self.read(self.tokens(context))).mean(1)
        e = F.silu(e)
        h = self.first(self._inputs(x, context))
        for stage in self.stages:
            h = stage(h, e, uniform) if isinstance(stage, _Block) else stage(h)
        out: Tensor = self.last(F.silu(self.norm(h))).unflatten(1, self.shape)
        return out

    def _inputs(self, x: Tensor, context: Context | None) -> Tensor:
        if self.image is None:
            return x.flatten(1)
        assert context is not None
        image = self.image(context, x.dtype)
        if context.dropped is not None:
            image = image.masked_fill(context.dropped[:, None], 0.0)
        return torch.cat((x.flatten(1), image), 1)
