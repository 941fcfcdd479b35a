"""PixelCNN++: one discretized mixture of logistics for all colors of a pixel."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.context import Context, ContextSpec
from phosphene.core.ranges import Count
from phosphene.core.settings import pinned, setting
from phosphene.generative.autoregressive.autoregressive import Stepper
from phosphene.generative.autoregressive.layers.masked_conv import MaskedConv2d, odd, zero_output
from phosphene.generative.autoregressive.pixel_model import (
    Given,
    PixelModel,
    image_of_codes,
    spread,
)
from phosphene.generative.autoregressive.pixel_windows import (
    Buffer,
    Mirror,
    Unrolled,
    constant_of,
)
from phosphene.nn.noise import Uniform, dropout
from phosphene.nn.output import wide
from phosphene.nn.scalar_distributions import Conditional, ConditionalName, LogisticBins

__all__ = ["PixelCNNPlusPlus"]


def both_signs(x: Tensor, axis: int = 1) -> Tensor:
    """elu(x, -x), the concatenated exponential linear unit."""
    return F.elu(torch.cat([x, -x], axis))


def gated(x: Tensor, axis: int = 1) -> Tensor:
    """a * sigmoid(b), a and b the halves of x."""
    a, b = x.chunk(2, axis)
    return a * torch.sigmoid(b)


class _Branch(nn.Module):
    """x + gate(C2 * elu(+-y) + U c), y = C1 * elu(+-x) + (N elu(+-side) where there is a side)."""

    def __init__(
        self, channels: int, first: MaskedConv2d, second: MaskedConv2d, side: bool, given: Given
    ) -> None:
        super().__init__()
        self.first, self.second, self.given = first, zero_output(second), given
        self.side = nn.Conv2d(2 * channels, channels, 1, bias=False) if side else None

    def forward(
        self,
        x: Tensor,
        side: Tensor | None,
        added: Tensor | None,
        drop: float,
        uniform: Uniform | None,
    ) -> Tensor:
        y = self.first(both_signs(x))
        if self.side is not None:
            assert side is not None
            y = y + self.side(both_signs(side))
        y = dropout(both_signs(y), drop, uniform, channels=True)
        return x + gated(self.second(y) + spread(added))


class _Block(nn.Module):
    """One residual block of each stream: u sees the rows above, l also what lies to the left.

    Args:
        channels: Channels of each stream.
        radius: Rows and columns that a window reaches beyond its pixel.
        given: What is declared as condition, and the numbers of a distortion.
        drop: Probability that a channel is dropped in training.
    """

    def __init__(
        self, channels: int, radius: int, given: tuple[ContextSpec, int], drop: float
    ) -> None:
        super().__init__()
        twice, r = 2 * channels, radius
        self.upper = _Branch(
            channels,
            MaskedConv2d(twice, channels, "row", above=r, left=r, right=r),
            MaskedConv2d(twice, twice, "row", above=r, left=r, right=r),
            side=False,
            given=Given(*given, twice),
        )
        self.left = _Branch(
            channels,
            MaskedConv2d(twice, channels, above=r, left=r),
            MaskedConv2d(twice, twice, above=r, left=r),
            side=True,
            given=Given(*given, twice),
        )
        self.drop = drop

    def forward(
        self,
        u: Tensor,
        l: Tensor,  # noqa: E741 - left
        context: Context | None,
        told: Tensor | None,
        uniform: Uniform | None,
    ) -> tuple[Tensor, Tensor]:
        """Both streams (n, channels, h, w)."""
        u = self.upper(u, None, self.upper.given(context, told), self.drop, uniform)
        return u, self.left(l, u, self.left.given(context, told), self.drop, uniform)

    def unroll(self, net: Unrolled, upper: "_Upper", left: Buffer, context: Context | None) -> None:
        """The upper stream row by row; the left one, held as (l, -l), pixel by pixel."""
        step = upper.block(net, self.upper, context)
        first, second = self.left.first, self.left.second
        x, y = net.rows(first), net.rows(second)
        once, gates = Mirror(first.outputs), Mirror(first.outputs, gates=True)
        ahead = net.ahead(first, x), net.ahead(second, y, self.left.given(context))
        assert self.left.side is not None
        side = self.left.side.weight.flatten(1).T
        before = (
            net.like.new_zeros(net.n, net.width, 2 * first.outputs),
            net.like.new_zeros(net.n, net.width, 4 * first.outputs),
        )

        def at_row(i: int) -> None:
            step(i)
            before[0].copy_(once.arrange(ahead[0](i) + both_signs(upper.row, -1) @ side))
            before[1].copy_(gates.arrange(ahead[1](i)))

        net.at_row.append(at_row)
        ab = net.buffer(4 * first.outputs)
        a, b = ab.values.chunk(2, 1)
        net.mirrored(left, x)
        net.convolve(first, x, y, before[0], once)
        net.each(lambda j, _: partial(F.elu_, y.at(j)))
        net.convolve(second, y, ab, before[1], gates)
        net.each(lambda j, _: b.sigmoid_)
        net.each(lambda j, _: partial(torch.addcmul, left.values, a, b, out=left.values))


class _Upper:
    """The upper stream of the current row, as sampling goes down."""

    row: Tensor
    """Its activations (n, width, channels)."""

    def block(
        self, net: Unrolled, branch: _Branch, context: Context | None
    ) -> Callable[[int], None]:
        """One residual block, for a whole row at a time."""
        x, y = net.rows(branch.first), net.rows(branch.second)
        first = net.ahead(branch.first, x)
        second = net.ahead(branch.second, y, branch.given(context))

        def at_row(i: int) -> None:
            x.current.copy_(both_signs(self.row, -1))
            y.current.copy_(both_signs(first(i), -1))
            self.row = self.row + gated(second(i), -1)

        return at_row


class PixelCNNPlusPlus(PixelModel):
    """p(x_i) = sum_k pi_k prod_c [logistic bin of color c] by Salimans et al. (2017).

    All colors of a pixel come from one pass over the pixels before it, as one mixture whose
    component k has means that depend linearly on the colors before:

        mu_G = m_G + a x_R,    mu_B = m_B + b x_R + c x_G    (a, b, c in (-1, 1), x in [-1, 1])

    By the chain rule the conditional of green given red is again a mixture of logistics: its means
    are shifted, and its weights are pi_k P_k(x_R), normalized. So ``conditionals`` gives a mixture
    for each dimension, and the likelihood is exact.

    Two residual streams of shifted windows see every earlier pixel within reach: u the rows above,
    l also what lies to the left. Blocks are gated, with concatenated exponential linear units and
    dropout. The streams stay at full resolution: there is no down- and up-sampling.

    Args:
        event: An image of codes (c, h, w).
        context: A label or a vector, added in every block of both streams; or nothing.

    Raises:
        EventError: The event is not an image of codes.
        ConfigError: A number is out of range.

    Example:
        >>> from phosphene.core.event import Event
        >>> model = PixelCNNPlusPlus(Event.image(3, 4), channels=4, blocks=1, components=2)
        >>> model.log_prob(torch.zeros(2, 3, 4, 4)).shape
        torch.Size([2])
    """

    channels: Count = setting(default=32, help="Channels of each stream.")
    block_count: Count = setting(alias="blocks", default=4, help="Residual blocks of each stream.")
    radius: Count = setting(
        default=1, help="Rows and columns that a window reaches beyond its pixel."
    )
    first_kernel: int = setting(default=5, help="Side of the first layer's window, odd, 3 or more.")
    components: Count = setting(default=5, help="Logistics in the mixture.")

    conditional_name: ConditionalName = pinned(default="auto")

    def setup(self) -> None:
        """Make the parts."""
        image_of_codes("PixelCNNPlusPlus", self.event)
        super().setup()
        self.conditional: LogisticBins
        colors, r = self.colors, odd("first_kernel", self.first_kernel, 3)
        self.first_upper = MaskedConv2d(colors, self.channels, "above", above=r, left=r, right=r)
        self.first_left = MaskedConv2d(colors, self.channels, "A", left=r)
        place = torch.zeros(2, self.channels, *self.places)
        self.first_bias = nn.Parameter(place) if self.position_bias else None
        given = (self.context, self.told)
        self.blocks = nn.ModuleList(
            _Block(self.channels, self.radius, given, self.dropout) for _ in range(self.block_count)
        )
        # Of each pixel: weights; means and log-scales of each color; one slope for each pair.
        pairs = colors * (colors - 1) // 2
        outputs = self.components * (1 + 2 * colors + pairs)
        self.readout = MaskedConv2d(2 * self.channels, outputs, bias=False)
        self.output_bias = nn.Parameter(torch.zeros(outputs, *self.places))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def distribution(self) -> Conditional:
        """Logistics, of which each code takes its bin."""
        return LogisticBins(self.event, self.components)

    def network(
        self, x: Tensor, context: Context | None, told: Tensor | None, uniform: Uniform | None
    ) -> Tensor:
        """See the base class."""
        upper, left = self.first_upper(x), self.first_left(x)
        if self.first_bias is not None:
            upper, left = upper + self.first_bias[0], left + self.first_bias[1]
        for block in self.blocks:
            upper, left = block(upper, left, context, told, uniform)
        out: Tensor = self.readout(both_signs(left))
        return out

    def parameters_given(
        self, x: Tensor, context: Context | None, told: Tensor | None, uniform: Uniform | None
    ) -> Tensor:
        """See the base class."""
        flat = self.conditional.normalize(x.flatten(1), self.dtype)
        images = flat.view(x.shape).contiguous(memory_format=torch.channels_last)
        raw = wide(self.network(images, context, told, uniform) + self.output_bias)
        chain = _Chain(self.conditional, self.colors, raw.permute(0, 2, 3, 1))
        pixels = x.to(raw.dtype).permute(0, 2, 3, 1)
        params = [chain.next(pixels[..., :color]) for color in range(self.colors)]
        return torch.stack(params, 1).flatten(1, 3)

    def stepper(self, n: int, context: Context | None = None, *, member: int = 0) -> Stepper:
        """One pass for each pixel; its colors follow by the chain rule."""
        with torch.no_grad():
            net = self.unroll(n, context)
        chain: list[_Chain] = []

        def step(k: int, x: Tensor) -> Tensor:
            pixel, color = divmod(k, self.colors)
            if color == 0:
                chain[:] = [_Chain(self.conditional, self.colors, net.step(k, x))]
            return chain[0].next(x.view(n, self.colors, -1)[:, :color, pixel])

        return step

    def start_at(self, start: Tensor) -> None:
        """Start at equal weights and independent colors, with the given means and scales."""
        components = self.conditional.components
        parts = start.view(self.colors, *self.event.shape[1:], 3, components)
        means, scales = parts[..., 1, :], parts[..., 2, :]
        whole = torch.cat([means, scales]).permute(0, 3, 1, 2).flatten(0, 1)
        if self.places == (1, 1):
            whole = whole.mean((1, 2), keepdim=True)
        self.output_bias.zero_()
        self.output_bias[components : components + len(whole)] = whole

    def unroll(self, n: int, context: Context | None) -> Unrolled:
        """See the base class."""
        net, upper = self._unrolled(n, turns=1), _Upper()
        left = net.buffer(2 * self.first_left.outputs)
        above, row = net.image(self.first_upper), net.image(self.first_left)
        ahead = net.ahead(self.first_upper, above)
        place = None if self.first_bias is None else self.first_bias.permute(0, 2, 3, 1)
        both, constant = Mirror(self.first_left.outputs), constant_of(self.first_left)
        before = net.like.new_zeros(n, net.width, 2 * self.first_left.outputs)

        def at_row(i: int) -> None:
            upper.row = ahead(i) if place is None else ahead(i) + place[0, i]
            before.copy_(both.arrange(constant if place is None else constant + place[1, i]))

        net.at_row.append(at_row)
        net.convolve(self.first_left, row, left, before, both)
        for block in self.blocks:
            assert isinstance(block, _Block)
            block.unroll(net, upper, left, context)
        net.each(lambda j, _: partial(F.elu_, left.values))
        net.finish(self.readout, left, self.output_bias)
        return net


class _Chain:
    """The mixtures of a pixel's colors, one after another.

    Args:
        conditional: The mixture of one color.
        colors: How many.
        raw: What the network gives a pixel (..., components (1 + 2 colors + pairs)).
    """

    def __init__(self, conditional: LogisticBins, colors: int, raw: Tensor) -> None:
        self.conditional, self.color = conditional, 0
        size = conditional.components
        parts = raw.unflatten(-1, (-1, size)).unbind(-2)
        self.weight, parts = parts[0], parts[1:]
        self.means, self.scales = parts[:colors], parts[colors : 2 * colors]
        self.slopes = list(parts[2 * colors :])
        self.last: Tensor | None = None

    def next(self, known: Tensor) -> Tensor:
        """The next color's mixture (..., 3 components) given codes (..., colors before)."""
        if self.last is not None:
            seen = self.conditional.log_components(self.last, known[..., -1:]).squeeze(-2)
            self.weight = torch.log_softmax(self.weight, -1) + seen
        assert self.conditional.event.levels is not None
        scaled = known * (2.0 / (self.conditional.event.levels - 1)) - 1.0
        mean = self.means[self.color]
        for before in scaled.unbind(-1):
            mean = mean + torch.tanh(self.slopes.pop(0)) * before.unsqueeze(-1)
        self.last = torch.cat([self.weight, mean, self.scales[self.color]], -1)
        self.color += 1
        return self.last
