"""Transformer: every conditional looks at all values before it by causal attention."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.context import Context
from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.core.ranges import Count, Positive
from phosphene.core.settings import setting
from phosphene.generative.autoregressive.autoregressive import Autoregressive, Stepper
from phosphene.generative.autoregressive.layers.decoding import Decoding
from phosphene.generative.autoregressive.layers.positions import (
    LearnedPositions,
    Rotary,
    sinusoidal,
)
from phosphene.generative.autoregressive.layers.transformer import (
    Block,
    FeedForwardName,
    Norm,
    NormName,
    drop_features,
)
from phosphene.nn.choosing import Choosing
from phosphene.nn.context_embedding import ConditionBias
from phosphene.nn.noise import Uniform
from phosphene.nn.scalar_distributions import Categorical
from phosphene.nn.settings import AttentionSettings, DropoutSettings

__all__ = ["PositionsName", "Transformer"]

PositionsName = Literal["rotary", "sinusoidal", "learned"]

_CACHE_BYTES = 128 * 2**20
"""Samples are drawn in parts whose keys and values fit in this."""


class Transformer(AttentionSettings, DropoutSettings, Autoregressive):
    """p(x_k | x_<k) = softmax(W norm(h_k)), h = blocks(start, e(x_1), ..., e(x_{D-1})).

    A decoder of pre-norm blocks (Vaswani et al., 2017; Radford et al., 2019) over the values of an
    example in raster order; the channels of a pixel follow each other (image GPT; Chen et al.,
    2020). Its inputs are shifted by one: position k reads the value before k, position 0 a start
    vector, to which a label's embedding is added.

    Positions of text and sound are rotary (Su et al., 2021), sinusoidal or learned. Pixels are also
    told the row, column and channel that they predict, and rotary positions then turn by row and
    column; entries of vectors are told which entry they predict.

    Codes are embedded by a table, reals (standardized) by a linear map. A sample takes one position
    a step, with keys and values kept in buffers of a fixed size.

    Args:
        event: Any event: text, codes, pixels, binary vectors, reals.
        context: A label or a vector, or nothing.

    Raises:
        ConfigError: Sizes that do not fit each other, or ties without codes.

    Example:
        >>> from phosphene.core.event import Event
        >>> model = Transformer(Event.tokens(6, 5), width=8, depth=1, heads=2)
        >>> model.log_prob(torch.zeros(1, 6)).shape, model.sample(2).shape
        (torch.Size([1]), torch.Size([2, 6]))
    """

    width: Count = setting(default=128, help="Size of the hidden vectors.")
    depth: Count = setting(default=4, help="Number of blocks.")
    mlp_ratio: Positive = setting(
        default=4.0,
        help="Size of the feed-forward layers over the width; ``swiglu`` takes two thirds of it, "
        "for it has three matrices instead of two.",
    )
    feed_forward: FeedForwardName = setting(
        default="gelu", help="``gelu``, ``gelu-tanh`` or ``swiglu``."
    )
    norm_name: NormName = setting(alias="norm", default="layer", help="``layer`` or ``rms``.")
    bias: bool = setting(default=False, help="Whether linear layers and norms have biases.")
    positions: PositionsName = setting(
        default="rotary", help="``rotary``, ``sinusoidal`` or ``learned``."
    )
    rotary_base: Positive = setting(
        default=10000.0, help="The slowest pair of coordinates turns once in about 2 pi times this."
    )
    pairs_given: bool | None = setting(
        alias="pairs",
        default=None,
        help="Also embed each code together with the one before it (as longer n-grams in Pagnoni "
        "et al., 2024): attention need not learn to look one place back, which shortens the "
        "training of small models of text. None: for tokens of at most 128 kinds.",
    )
    tied: bool = setting(
        default=False,
        help="Use the embeddings of codes as the output matrix (Press and Wolf, 2017).",
    )
    eps: Positive = setting(default=1e-6, help="epsilon of the norms.")

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        if self.tied and not isinstance(self.conditional, Categorical):
            raise ConfigError(
                f"tied=True needs an output for each code, and {self.event} has the conditional "
                f"{type(self.conditional).__name__}; allowed: False, or conditional='categorical'"
            )
        self._build_inputs(self.positions, self.heads, self.rotary_base)
        self.pairs = self._pair_table(self.pairs_given)
        hidden = _hidden(self.width, self.mlp_ratio, self.feed_forward)
        self.blocks = nn.ModuleList(
            Block(
                self.width,
                self.heads,
                hidden,
                depth=self.depth,
                norm=self.norm_name,
                feed_forward=self.feed_forward,
                bias=self.bias,
                eps=self.eps,
            )
            for _ in range(self.depth)
        )
        self.norm = Norm(self.norm_name, self.width, bias=self.bias, eps=self.eps)
        size = self.conditional.size
        self.head = None if self.tied else nn.Linear(self.width, size, bias=False)
        if self.head is not None:
            nn.init.zeros_(self.head.weight)
        shape = (size,) if self._sequence else (self.event.dimensions, size)
        self.output_bias = nn.Parameter(torch.zeros(shape))

    def _build_inputs(self, positions: PositionsName, heads: int, base: float) -> None:
        """Embeddings of values, of places, of the condition."""
        event, width = self.event, self.width
        if positions not in ("rotary", "sinusoidal", "learned"):
            raise UnknownNameError("positions", positions, ("rotary", "sinusoidal", "learned"))
        if positions == "sinusoidal" and width % 2:
            raise ConfigError(f"sinusoidal positions need an even width, got {width}")
        self.positions, self._sequence = positions, event.kind in ("tokens", "audio")
        self._pixels = event.has_image_shape
        if width % heads:
            raise ConfigError(f"heads must divide the width {width}, got {heads}")
        axes = 2 if self._pixels else 1
        self.rotary = None
        if positions == "rotary":
            self.rotary = Rotary(width // heads, base=base, axes=axes)
        self.embed: nn.Module
        if event.levels is None:
            self.embed = nn.Linear(1, width)
        else:
            self.embed = nn.Embedding(event.levels, width)
            nn.init.normal_(self.embed.weight, std=1.0 / math.sqrt(width) if self.tied else 0.5)
        self.start = nn.Parameter(0.02 * torch.randn(width))
        if self._pixels:
            sizes = event.shape
            self.places = nn.ModuleList(LearnedPositions(size, width) for size in sizes)
        elif not self._sequence or positions == "learned":
            self.places = nn.ModuleList([LearnedPositions(event.dimensions, width)])
        else:
            self.places = nn.ModuleList()
        self.condition = ConditionBias(self.context, width)

    def _pair_table(self, pairs: bool | None) -> nn.Embedding | None:
        """Vectors of a code and the one before it; the code ``levels`` stands for none before."""
        levels = self.event.levels
        if pairs is None:
            pairs = self.event.kind == "tokens" and levels is not None and levels <= 128
        if not pairs:
            return None
        if levels is None or levels > 256:
            raise ConfigError(
                f"pairs=True needs codes of at most 256 levels, and this is {self.event}; "
                "allowed: False or None"
            )
        table = nn.Embedding((levels + 1) * levels, self.width)
        nn.init.normal_(table.weight, std=0.5)
        return table

    def order_of(self, member: int = 0) -> Tensor:
        """Raster order of pixels; the channels of a pixel follow each other."""
        order = torch.arange(self.event.dimensions)
        if not self._pixels or self.event.shape[0] == 1:
            return order
        return order.view(self.event.shape[0], -1).T.flatten()

    def start_at(self, start: Tensor) -> None:
        """Start at the marginals: of each dimension, or of all for text and sound."""
        if not self._sequence:
            self.output_bias.copy_(start)
        elif isinstance(self.conditional, Categorical):
            self.output_bias.copy_(torch.softmax(start, -1).mean(0).log())
        else:
            self.output_bias.copy_(start.mean(0))

    def conditionals(
        self,
        x: Tensor,
        context: Context | None = None,
        *,
        member: int = 0,
        uniform: Uniform | None = None,
    ) -> Tensor:
        """Parameters (n, D, size) of all conditionals, in one pass."""
        order = self.order_of()
        values = self._values(x.flatten(1))
        interleaved = self._pixels and self.event.shape[0] > 1
        if interleaved:
            values = values[:, order]
        first, values = self._first(len(x), context), values[:, :-1]
        h = torch.cat([first[:, None], self._embedded(values, self._before(values))], 1)
        places = self._places(len(order))
        if places is not None:
            h = h + places
        turn = self._turn(len(order))
        h = drop_features(h, self.dropout, uniform)
        for block in self.blocks:
            h = block(h, turn=turn, p=self.dropout, uniform=uniform)
        params = F.linear(self.norm(h), self._head_weight())
        return (params[:, order.argsort()] if interleaved else params) + self.output_bias

    # -- one value after another --------------------------------------------------------------

    @torch.no_grad()
    def stepper(self, n: int, context: Context | None = None, *, member: int = 0) -> Stepper:
        """One position at a time, keys and values kept; without gradients."""
        length, order = self.event.dimensions, self.order_of().tolist()
        decode = Decoding(
            list(self.blocks),  # type: ignore[arg-type]
            self.norm,
            (self._head_weight(), None),
            n=n,
            length=length,
            turn=self._turn(length),
        )
        places = self._places(length)
        first, bias = self._first(n, context), self.output_bias.expand(length, -1)

        @torch.no_grad()
        def step(k: int, x: Tensor) -> Tensor:
            if k == 0:
                h = first
            else:
                i, j = order[k - 1], order[k - 2]
                value = self._values(x, i)
                before = None if self.pairs is None or k == 1 else self._values(x, j)
                h = self._embedded(value, before)
            if places is not None:
                h = h + places[k]
            return decode(h).add_(bias[order[k]])

        return step

    def generate_member(
        self,
        u: Tensor,
        context: Context,
        how: Choosing,
        member: int,
        given: tuple[Tensor, Tensor] | None,
        naive: bool,
    ) -> Tensor:
        """Flat samples (n, D), in parts whose keys and values fit in the caches' limit."""
        each = 2 * len(self.blocks) * self.event.dimensions * self.width * self.start.element_size()
        rows = torch.arange(len(u), device=u.device).split(max(1, _CACHE_BYTES // each))
        parts = [
            super(Transformer, self).generate_member(
                u[r],
                context[r],
                how,
                member,
                None if given is None else (given[0][r], given[1][r]),
                naive,
            )
            for r in rows
        ]
        return torch.cat(parts)

    # -- parts --------------------------------------------------------------------------------

    def _values(self, x: Tensor, i: int | None = None) -> Tensor:
        """What is embedded of values (n, D), or of the i-th of them (n,): codes, or reals."""
        if self.event.levels is not None:
            return (x if i is None else x[:, i]).long()
        values = self.conditional.normalize(x, self.dtype)
        return (values if i is None else values[:, i]).unsqueeze(-1)

    def _before(self, values: Tensor) -> Tensor | None:
        """The codes before each (n, T), where pairs are embedded."""
        if self.pairs is None:
            return None
        return F.pad(values[:, :-1], (1, 0), value=self.event.levels)

    def _embedded(self, values: Tensor, before: Tensor | None = None) -> Tensor:
        """Vectors of codes, with the codes before them (None: there are none), or of reals."""
        out: Tensor = self.embed(values)
        if self.pairs is None:
            return out
        levels = self.event.levels
        assert levels is not None
        both: Tensor = self.pairs((levels if before is None else before) * levels + values)
        return out + both

    def _first(self, n: int, context: Context | None) -> Tensor:
        """The start vectors (n, width)."""
        given = self.condition(context)
        return self.start.expand(n, -1) if given is None else self.start + given

    def _head_weight(self) -> Tensor:
        weight: Tensor = self.embed.weight if self.head is None else self.head.weight  # type: ignore[assignment]
        return weight

    def _ranked(self) -> Tensor:
        """Channel, row and column that each position predicts (D, 3), of pixels."""
        _, height, width = self.event.shape
        order = self.order_of().to(self.device)
        row_column = torch.stack([order // width % height, order % width], 1)
        return torch.cat([order[:, None] // (height * width), row_column], 1)

    def _turn(self, length: int) -> Tensor | None:
        """Rotary turns of the positions (length, head size / 2)."""
        if self.rotary is None:
            return None
        where = self._ranked()[:, 1:] if self._pixels else torch.arange(length, device=self.device)
        return self.rotary(where, self.dtype)

    def _places(self, length: int) -> Tensor | None:
        """What is added to the inputs at each position (length, width)."""
        parts = []
        if self._pixels:
            for axis, table in zip(self._ranked().T, self.places, strict=True):
                parts.append(table(table.length)[axis])
        elif len(self.places):
            parts.append(self.places[0](length))
        if self.positions == "sinusoidal":
            where = torch.arange(length, device=self.device)
            parts.append(sinusoidal(where, self.width).to(self.dtype))
        return sum(parts[1:], parts[0]) if parts else None


def _hidden(width: int, ratio: float, name: str) -> int:
    """Hidden units of a feed-forward layer, a multiple of 8."""
    return max(8, 8 * round(width * ratio * (2 / 3 if name == "swiglu" else 1.0) / 8))
