"""Exact incremental sampling of causal convolutions: nothing is computed twice.

A new pixel changes no earlier activation (that is what the masks are for). So every layer keeps its
activations, and a new pixel costs one window for each layer. Of a window, the rows above are known
when a row begins: their part is one matrix product for the whole row. What is left at a pixel is
one small product with the few columns to its left. In all this is the arithmetic of one parallel
pass, where the naive way takes one pass for each value.

All buffers and views are made once; drawing is running a tape of bound calls that write into them.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.event import Event
from phosphene.generative.autoregressive.layers.masked_conv import MaskedConv2d, channel_blocks

__all__ = ["Buffer", "Gates", "Mirror", "Rows", "Unrolled", "constant_of"]

Call = Callable[[], object]


class Buffer:
    """The activations of the current pixel (n, channels), and a 1 by which biases join products.

    Args:
        n: Examples.
        channels: Channels.
        like: Gives dtype and device.
    """

    def __init__(self, n: int, channels: int, like: Tensor) -> None:
        self.with_one = like.new_ones(n, channels + 1)
        self.values = self.with_one[:, :-1]

    def at(self, j: int) -> Tensor:
        """The values, whatever the column."""
        return self.values

    def along(self, j: int) -> Tensor:
        """The window of a 1x1 convolution."""
        return self.values


class Rows:
    """The activations (n, rows, columns, channels) that one layer's windows reach.

    The last row is the current one; borders are zero.

    Args:
        n: Examples.
        width: Columns of the image.
        conv: The convolution that they feed.
        like: Gives dtype and device.
    """

    def __init__(self, n: int, width: int, conv: MaskedConv2d, like: Tensor) -> None:
        self.width, self.left = width, conv.left
        columns = conv.left + width + conv.right
        self.map = like.new_zeros(n, conv.above + 1, columns, conv.inputs)

    @property
    def current(self) -> Tensor:
        """The current row (n, width, channels)."""
        return self.map[:, -1, self.left : self.left + self.width]

    def at(self, j: int) -> Tensor:
        """Where the activations (n, channels) of column j of the current row stand."""
        return self.map[:, -1, self.left + j]

    def along(self, j: int) -> Tensor:
        """The window of column j in the current row, up to the pixel: (n, (left + 1) channels)."""
        return self.map[:, -1, j : j + self.left + 1].flatten(1)

    def windows(self, rows: int, columns: int) -> Tensor:
        """Windows of the first rows, one for each pixel: (n * width, rows * columns * channels)."""
        view = self.map[:, :rows].unfold(2, columns, 1).permute(0, 2, 1, 4, 3)
        return view.reshape(len(view) * self.width, -1)

    def advance(self) -> None:
        """Go to the next row."""
        self.map[:, :-1] = self.map[:, 1:].clone()


class Gates:
    """How the 2 x channels inputs of tanh(a) * sigmoid(b) are laid out in a tape.

    The a and b of one turn stand side by side, and b at half its size, as sigmoid(b) is
    (1 + tanh(b / 2)) / 2; the factor 1/2 goes to the weights that follow.

    Args:
        channels: Gated values.
        turns: Passes for each pixel.
        like: Gives dtype and device.

    Example:
        >>> gates = Gates(4, 2, torch.zeros(1))
        >>> gates.place.tolist(), gates.blocks
        ([0, 1, 4, 5, 2, 3, 6, 7], [slice(0, 4, None), slice(4, 8, None)])
    """

    def __init__(self, channels: int, turns: int, like: Tensor) -> None:
        self.channels = channels
        runs = channel_blocks(channels, turns)
        halves = torch.arange(2 * channels).view(2, channels)
        self.place = torch.cat([halves[:, run].flatten() for run in runs]).to(like.device)
        self.size = 1.0 - 0.5 * (self.place >= channels).to(like)
        self.blocks = [slice(2 * run.start, 2 * run.stop) for run in runs]

    def arrange(self, x: Tensor) -> Tensor:
        """Values (..., 2 x channels) in that order and size."""
        return x[..., self.place] * self.size


class Mirror:
    """Values x laid out as (x, -x), and for gates (a, b) as (a, -a, b, b).

    What follows is then one call: elu of both signs, or x + a sigmoid(b) of both signs.

    Args:
        channels: Of x, or of a.
        gates: Whether there are gates.

    Example:
        >>> Mirror(1, gates=True).arrange(torch.tensor([2.0, 3.0]))
        tensor([ 2., -2.,  3.,  3.])
    """

    def __init__(self, channels: int, *, gates: bool = False) -> None:
        self.gates = gates
        self.blocks = [slice(0, (4 if gates else 2) * channels)]

    def arrange(self, x: Tensor) -> Tensor:
        """Values (..., channels) or (..., 2 x channels) as both signs."""
        if not self.gates:
            return torch.cat([x, -x], -1)
        a, b = x.chunk(2, -1)
        return torch.cat([a, -a, b, b], -1)


class Unrolled:
    """A causal network laid out for n examples, one pixel after another.

    A model adds its layers in the order of computation, as calls at the beginning of each row and
    calls at each pixel. ``step`` is then the model's stepper.

    Args:
        event: An image event.
        n: Examples.
        like: Gives dtype and device.
        turns: Passes for each pixel: one for each color where later colors see earlier ones, or 1.
        normalize: Scale and shift by which codes become inputs.
    """

    def __init__(
        self, event: Event, n: int, like: Tensor, turns: int, normalize: tuple[float, float]
    ) -> None:
        self.colors, self.height, self.width = event.shape
        self.n, self.like, self.turns = n, like.detach(), turns
        self.scale, self.shift = normalize[0], self.like.new_tensor(normalize[1])
        self.known = 0
        self.inputs: list[Rows] = []
        self.kept: list[Rows] = []
        self.at_row: list[Callable[[int], object]] = []
        self.tape: list[list[list[Call]]] = [[[] for _ in range(turns)] for _ in range(self.width)]

    # -- storage ------------------------------------------------------------------------------

    def buffer(self, channels: int) -> Buffer:
        """Room for one pixel's activations."""
        return Buffer(self.n, channels, self.like)

    def rows(self, conv: MaskedConv2d) -> Rows:
        """Room for the activations that a convolution reads."""
        self.kept.append(Rows(self.n, self.width, conv, self.like))
        return self.kept[-1]

    def image(self, conv: MaskedConv2d) -> Rows:
        """Room for the image itself, as a convolution reads it."""
        self.inputs.append(self.rows(conv))
        return self.inputs[-1]

    # -- at the beginning of a row ------------------------------------------------------------

    def ahead(
        self,
        conv: MaskedConv2d,
        source: Rows,
        given: Tensor | None = None,
        position: Tensor | None = None,
    ) -> Callable[[int], Tensor]:
        """What is known of a convolution when row i begins, as a function of i: (n, width, out).

        Args:
            conv: The convolution.
            source: What it reads.
            given: What the condition adds (n, out).
            position: What each place adds (out, height, width).
        """
        rows = conv.above + (conv.sees == "row")
        weight = _matrix(conv.masked[:, :, :rows])
        constant = constant_of(conv, given)
        place = None if position is None else position.detach().permute(1, 2, 0)

        def at_row(i: int) -> Tensor:
            out = constant if place is None else constant + place[i]
            if rows == 0:
                return out.expand(self.n, self.width, -1)
            windows = source.windows(rows, conv.left + 1 + conv.right)
            return (windows @ weight).view(self.n, self.width, -1) + out

        return at_row

    def before(
        self,
        conv: MaskedConv2d,
        source: Rows,
        given: Tensor | None = None,
        position: Tensor | None = None,
    ) -> Tensor:
        """Room (n, width, out) that holds what is ahead at each row, and its filling."""
        room = self.like.new_zeros(self.n, self.width, conv.outputs)
        if conv.above == 0 and position is None:
            room.copy_(constant_of(conv, given).expand_as(room))
        else:
            ahead = self.ahead(conv, source, given, position)
            self.at_row.append(lambda i: room.copy_(ahead(i)))
        return room

    # -- at each pixel ------------------------------------------------------------------------

    def each(self, call: Callable[[int, int], Call]) -> None:
        """Append a call to the tape of every column and turn."""
        for j, column in enumerate(self.tape):
            for turn, calls in enumerate(column):
                calls.append(call(j, turn))

    def convolve(
        self,
        conv: MaskedConv2d,
        source: Rows | Buffer,
        into: Rows | Buffer,
        before: Tensor,
        layout: "Gates | Mirror | None" = None,
    ) -> None:
        """What was known when the row began, plus the window's part of the current row.

        With a layout, the outputs (and what was known) are arranged as it wants them.
        """
        weight = _matrix(conv.masked[:, :, -1:, : conv.left + 1])
        blocks = channel_blocks(conv.outputs, self.turns)
        if layout is not None:
            weight, blocks = layout.arrange(weight), layout.blocks

        def call(j: int, turn: int) -> Call:
            b = blocks[turn]
            known, out = before[:, j, b], into.at(j)[:, b]
            return partial(torch.addmm, known, source.along(j), weight[:, b], out=out)

        self.each(call)

    def accumulate(
        self,
        conv: MaskedConv2d,
        source: Buffer,
        old: Rows | Buffer,
        new: Rows | Buffer,
        scale: float = 1.0,
    ) -> None:
        """A residual stream, plus a 1x1 convolution of the current pixel's scaled source."""
        weight, blocks = _with_bias(conv), channel_blocks(conv.outputs, self.turns)
        weight[:-1] *= scale

        def call(j: int, turn: int) -> Call:
            b = blocks[turn]
            stream, out = old.at(j)[:, b], new.at(j)[:, b]
            return partial(torch.addmm, stream, source.with_one, weight[:, b], out=out)

        self.each(call)

    def product(self, conv: MaskedConv2d, source: Buffer, into: Rows | Buffer) -> None:
        """A 1x1 convolution of the current pixel."""
        weight, blocks = _with_bias(conv), channel_blocks(conv.outputs, self.turns)

        def call(j: int, turn: int) -> Call:
            b = blocks[turn]
            return partial(torch.mm, source.with_one, weight[:, b], out=into.at(j)[:, b])

        self.each(call)

    def gate(self, gates: "Gates", source: Buffer, into: Buffer) -> None:
        """tanh(a) (1 + tanh(b / 2)) = 2 tanh(a) sigmoid(b): one tanh, one fused product."""

        def bend(j: int, turn: int) -> Call:
            return partial(torch.tanh_, source.values[:, gates.blocks[turn]])

        def product(j: int, turn: int) -> Call:
            a, b = source.values[:, gates.blocks[turn]].chunk(2, 1)
            out = into.values[:, channel_blocks(gates.channels, self.turns)[turn]]
            return partial(torch.addcmul, a, a, b, out=out)

        self.each(bend)
        self.each(product)

    def mirrored(self, source: Buffer, into: Rows) -> None:
        """elu(x, -x) of a buffer that holds (x, -x) already, where the next windows read it."""
        self.each(lambda j, turn: partial(into.at(j).copy_, source.values))
        self.each(lambda j, turn: partial(F.elu_, into.at(j)))

    def relu(self, source: Rows | Buffer, into: Rows | Buffer | None = None) -> None:
        """max(x, 0), in place unless told otherwise."""

        def call(j: int, turn: int) -> Call:
            x = source.at(j)
            b = channel_blocks(x.shape[1], self.turns)[turn]
            out = x[:, b] if into is None else into.at(j)[:, b]
            return partial(torch.clamp_min, x[:, b], 0.0, out=out)

        self.each(call)

    def through_head(self, layers: nn.ModuleList, h: Buffer) -> Buffer:
        """Rectified 1x1 convolutions, and the rectifier that follows them."""
        for layer in layers:
            assert isinstance(layer, MaskedConv2d)
            out = self.buffer(layer.outputs)
            self.relu(h)
            self.product(layer, h, out)
            h = out
        self.relu(h)
        return h

    # -- running ------------------------------------------------------------------------------

    def finish(self, conv: MaskedConv2d, source: Buffer, bias: Tensor) -> None:
        """The last 1x1 convolution, whose bias (out, height or 1, width or 1) is the place's."""
        whole = bias.detach().expand(-1, self.height, self.width).permute(1, 2, 0).contiguous()
        weight = _with_bias(conv)
        self.readouts = [
            (source.with_one, weight[:, b], whole[..., b])
            for b in channel_blocks(conv.outputs, self.turns)
        ]

    def step(self, k: int, x: Tensor) -> Tensor:
        """Parameters of the conditional of rank k; x (n, D) holds the values of lower rank."""
        pixel, color = divmod(k, self.colors)
        i, j = divmod(pixel, self.width)
        assert color < self.turns, "a model that reads all colors at once asks for them once"
        for known in range(self.known, k):
            self._take(known, x)
        self.known = k
        if j == 0 and color == 0:
            self._begin_row(i)
        for call in self.tape[j][color]:
            call()
        source, weight, bias = self.readouts[color]
        return torch.addmm(bias[i, j], source, weight)

    def _take(self, k: int, x: Tensor) -> None:
        """Put the newly known value of rank k where convolutions read it."""
        pixel, color = divmod(k, self.colors)
        value = x[:, color * self.height * self.width + pixel]
        for rows in self.inputs:
            out = rows.at(pixel % self.width)[:, color]
            torch.add(self.shift, value, alpha=self.scale, out=out)

    def _begin_row(self, i: int) -> None:
        if i > 0:
            for rows in self.kept:
                rows.advance()
        for call in self.at_row:
            call(i)


def _matrix(weight: Tensor) -> Tensor:
    """Weights (out, in, rows, columns) as a matrix (rows * columns * in, out)."""
    return weight.detach().permute(2, 3, 1, 0).reshape(-1, len(weight))


def _with_bias(conv: MaskedConv2d) -> Tensor:
    """A 1x1 convolution as a matrix (in + 1, out), the last row being its bias."""
    matrix = _matrix(conv.masked)
    bias = matrix.new_zeros(conv.outputs) if conv.bias is None else conv.bias.detach()
    return torch.cat([matrix, bias[None]])


def constant_of(conv: MaskedConv2d, given: Tensor | None = None) -> Tensor:
    """Bias and condition (n or 1, 1, out)."""
    bias = conv.weight.new_zeros(conv.outputs) if conv.bias is None else conv.bias
    out = bias[None] if given is None else bias + given
    return out.detach()[:, None]
