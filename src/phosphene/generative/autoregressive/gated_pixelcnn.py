"""Gated PixelCNN: two stacks of convolutions that together see every earlier pixel."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.context import Context, ContextSpec
from phosphene.core.ranges import Count
from phosphene.core.settings import setting
from phosphene.generative.autoregressive.layers.masked_conv import MaskedConv2d, odd
from phosphene.generative.autoregressive.pixel_model import (
    Given,
    PixelModel,
    image_of_codes,
    spread,
)
from phosphene.generative.autoregressive.pixel_windows import (
    Buffer,
    Gates,
    Rows,
    Unrolled,
    constant_of,
)
from phosphene.generative.autoregressive.settings import WindowSettings
from phosphene.nn.noise import Uniform, dropout

__all__ = ["GatedPixelCNN"]


def gate(x: Tensor, axis: int = 1) -> Tensor:
    """tanh(a) * sigmoid(b), a and b the halves of x."""
    a, b = x.chunk(2, axis)
    return torch.tanh(a) * torch.sigmoid(b)


class _Layer(nn.Module):
    """One gated layer of both stacks.

    p = V * v + U_v c,   v' = gate(p),   h' = h + W gate(H * h + D p + U_h c)

    Args:
        channels: Channels of each stack.
        radius: Half of the window's side, rounded down.
        groups: Colors.
        given: What is declared as condition, and the numbers of a distortion.
        drop: Probability that a channel is dropped in training.
        last: Whether no layer follows, so that v' is not needed.
    """

    def __init__(
        self,
        channels: int,
        radius: int,
        groups: int,
        given: tuple[ContextSpec, int],
        drop: float,
        last: bool,
    ) -> None:
        super().__init__()
        twice = 2 * channels
        self.vertical = MaskedConv2d(
            channels, twice, "row", above=radius, left=radius, right=radius
        )
        self.down = nn.Conv2d(twice, twice, 1, bias=False)
        self.horizontal = MaskedConv2d(channels, twice, left=radius, groups=groups, parts=2)
        self.out = MaskedConv2d(channels, channels, groups=groups)
        self.vertical_given, self.horizontal_given = Given(*given, twice), Given(*given, twice)
        self.drop, self.last = drop, last

    def forward(
        self,
        v: Tensor,
        h: Tensor,
        context: Context | None,
        told: Tensor | None,
        uniform: Uniform | None,
    ) -> tuple[Tensor, Tensor]:
        """Both stacks (n, channels, h, w)."""
        p = self.vertical(v) + spread(self.vertical_given(context, told))
        inner = self.horizontal(h) + self.down(p) + spread(self.horizontal_given(context, told))
        inner = dropout(gate(inner), self.drop, uniform, channels=True)
        h = h + self.out(inner)
        return (v if self.last else dropout(gate(p), self.drop, uniform, channels=True)), h

    def unroll(
        self,
        net: Unrolled,
        vertical: tuple[Rows, Rows | None],
        horizontal: tuple[Rows, Rows | Buffer],
        context: Context | None,
    ) -> None:
        """The vertical stack row by row, the horizontal pixel by pixel; each (old, new)."""
        channels = self.out.inputs
        gates = Gates(channels, net.turns, net.like)
        ahead = net.ahead(self.vertical, vertical[0], self.vertical_given(context))
        down = gates.arrange(self.down.weight.flatten(1).T)
        constant = gates.arrange(constant_of(self.horizontal, self.horizontal_given(context)))
        before = net.like.new_zeros(net.n, net.width, 2 * channels)

        def at_row(i: int) -> None:
            p = ahead(i)
            if vertical[1] is not None:
                vertical[1].current.copy_(gate(p, -1))
            before.copy_(p @ down + constant)

        net.at_row.append(at_row)
        ab, gated = net.buffer(2 * channels), net.buffer(channels)
        net.convolve(self.horizontal, horizontal[0], ab, before, gates)
        net.gate(gates, ab, gated)
        net.accumulate(self.out, gated, horizontal[0], horizontal[1], scale=0.5)


class GatedPixelCNN(WindowSettings, PixelModel):
    """Two stacks of gated convolutions without a blind spot (van den Oord et al., 2016b).

    The vertical stack v sees the rows above, and its windows are shifted down by one row at the
    first layer; the horizontal stack h sees what lies left in the pixel's own row. v feeds h and
    never the reverse, and so h sees all earlier pixels within reach. Each layer is gated,
    tanh(a) * sigmoid(b), with the condition added to a and b.

    Within a pixel, colors follow one another as in ``pixelcnn``.

    Args:
        event: An image of codes (c, h, w).
        context: A label or a vector, added in every layer of both stacks; or nothing.

    Raises:
        EventError: The event is not an image of codes.
        ConfigError: A kernel is even, a number is out of range, or there are fewer channels than
            colors.

    Example:
        >>> from phosphene.core.event import Event
        >>> model = GatedPixelCNN(Event.image(1, 4, levels=2), channels=4, layers=2)
        >>> model.log_prob(torch.zeros(2, 1, 4, 4)).shape
        torch.Size([2])
    """

    layer_count: Count = setting(
        alias="layers", default=6, help="Gated layers after the first convolution."
    )

    def setup(self) -> None:
        """Make the parts."""
        image_of_codes("GatedPixelCNN", self.event)
        super().setup()
        groups, channels, last = self.colors, self.channels, self.layer_count - 1
        given = (self.context, self.told)
        r, radius = odd("first_kernel", self.first_kernel, 3), odd("kernel", self.kernel)
        self.first_vertical = MaskedConv2d(groups, channels, "above", above=r, left=r, right=r)
        self.first_horizontal = MaskedConv2d(groups, channels, "A", left=r, groups=groups)
        self.first_down = nn.Conv2d(channels, channels, 1, bias=False)
        place = torch.zeros(2, channels, *self.places)
        self.first_bias = nn.Parameter(place) if self.position_bias else None
        self.layers = nn.ModuleList(
            _Layer(channels, radius, groups, given, self.dropout, k == last)
            for k in range(self.layer_count)
        )
        self.head = nn.ModuleList(
            MaskedConv2d(channels, channels, groups=groups) for _ in range(self.head_layers)
        )
        outputs = groups * self.conditional.size
        self.readout = MaskedConv2d(channels, outputs, groups=groups, bias=False)
        self.output_bias = nn.Parameter(torch.zeros(outputs, *self.places))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def network(
        self, x: Tensor, context: Context | None, told: Tensor | None, uniform: Uniform | None
    ) -> Tensor:
        """See the base class."""
        v, h = self.first_vertical(x), self.first_horizontal(x)
        if self.first_bias is not None:
            v, h = v + self.first_bias[0], h + self.first_bias[1]
        h = h + self.first_down(v)
        for layer in self.layers:
            v, h = layer(v, h, context, told, uniform)
        for layer in self.head:
            h = layer(F.relu(h))
        out: Tensor = self.readout(F.relu(h))
        return out

    def unroll(self, n: int, context: Context | None) -> Unrolled:
        """See the base class."""
        net = self._unrolled(n, turns=self.colors)
        layers = [layer for layer in self.layers if isinstance(layer, _Layer)]
        v = [net.rows(layer.vertical) for layer in layers]
        h = [net.rows(layer.horizontal) for layer in layers]
        last = net.buffer(self.readout.inputs)
        self._unroll_first(net, v[0], h[0])
        for k, layer in enumerate(layers):
            if layer.last:
                layer.unroll(net, (v[k], None), (h[k], last), context)
            else:
                layer.unroll(net, (v[k], v[k + 1]), (h[k], h[k + 1]), context)
        net.finish(self.readout, net.through_head(self.head, last), self.output_bias)
        return net

    def _unroll_first(self, net: Unrolled, v: Rows, h: Rows) -> None:
        place = None if self.first_bias is None else self.first_bias.permute(0, 2, 3, 1)
        above, row = net.image(self.first_vertical), net.image(self.first_horizontal)
        ahead = net.ahead(self.first_vertical, above)
        down, constant = self.first_down.weight.flatten(1).T, constant_of(self.first_horizontal)
        before = net.like.new_zeros(net.n, net.width, self.first_vertical.outputs)

        def at_row(i: int) -> None:
            p = ahead(i) if place is None else ahead(i) + place[0, i]
            v.current.copy_(p)
            before.copy_(p @ down + (constant if place is None else constant + place[1, i]))

        net.at_row.append(at_row)
        net.convolve(self.first_horizontal, row, h, before)
