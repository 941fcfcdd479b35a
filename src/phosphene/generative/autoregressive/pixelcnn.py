"""PixelCNN: masked convolutions, so that all pixels' conditionals are computed in one pass."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.context import Context, ContextSpec
from phosphene.core.ranges import Natural
from phosphene.core.settings import setting
from phosphene.generative.autoregressive.layers.masked_conv import MaskedConv2d, odd, zero_output
from phosphene.generative.autoregressive.pixel_model import (
    Given,
    PixelModel,
    image_of_codes,
    spread,
)
from phosphene.generative.autoregressive.pixel_windows import Buffer, Unrolled
from phosphene.generative.autoregressive.settings import WindowSettings
from phosphene.nn.noise import Uniform, dropout

__all__ = ["PixelCNN"]


class _Residual(nn.Module):
    """h + W3 relu(M relu(W1 relu(h) + b1 + U c) + b2) + b3, M a masked convolution of type B."""

    def __init__(
        self, channels: int, radius: int, groups: int, given: tuple[ContextSpec, int], drop: float
    ) -> None:
        super().__init__()
        self.narrow = MaskedConv2d(2 * channels, channels, groups=groups)
        self.conv = MaskedConv2d(
            channels, channels, above=radius, left=radius, right=radius, groups=groups
        )
        self.widen = zero_output(MaskedConv2d(channels, 2 * channels, groups=groups))
        self.given = Given(*given, channels)
        self.drop = drop

    def forward(
        self, h: Tensor, context: Context | None, told: Tensor | None, uniform: Uniform | None
    ) -> Tensor:
        inner = F.relu(self.narrow(F.relu(h)) + spread(self.given(context, told)))
        inner = dropout(F.relu(self.conv(inner)), self.drop, uniform, channels=True)
        out: Tensor = h + self.widen(inner)
        return out

    def unroll(self, net: Unrolled, h: Buffer, context: Context | None) -> Buffer:
        a, b = net.buffer(self.narrow.inputs), net.buffer(self.conv.outputs)
        rows = net.rows(self.conv)
        net.relu(h, a)
        net.convolve(self.narrow, a, rows, net.before(self.narrow, rows, self.given(context)))
        net.relu(rows)
        net.convolve(self.conv, rows, b, net.before(self.conv, rows))
        net.relu(b)
        net.accumulate(self.widen, b, h, h)
        return h


class _Plain(nn.Module):
    """M relu(h) + b + U c, M a masked convolution of type B."""

    def __init__(
        self, channels: int, radius: int, groups: int, given: tuple[ContextSpec, int], drop: float
    ) -> None:
        super().__init__()
        self.conv = MaskedConv2d(
            channels, channels, above=radius, left=radius, right=radius, groups=groups
        )
        self.given = Given(*given, channels)
        self.drop = drop

    def forward(
        self, h: Tensor, context: Context | None, told: Tensor | None, uniform: Uniform | None
    ) -> Tensor:
        h = dropout(F.relu(h), self.drop, uniform, channels=True)
        out: Tensor = self.conv(h) + spread(self.given(context, told))
        return out

    def unroll(self, net: Unrolled, h: Buffer, context: Context | None) -> Buffer:
        rows, out = net.rows(self.conv), net.buffer(self.conv.outputs)
        net.relu(h, rows)
        net.convolve(self.conv, rows, out, net.before(self.conv, rows, self.given(context)))
        return out


class PixelCNN(WindowSettings, PixelModel):
    """p(x) = prod_i p(x_i | x_<i) by masked convolutions (van den Oord et al., 2016a).

    The first layer's windows end before the pixel (mask A), later ones may include it (mask B), so
    no path leads from a value to its own conditional or an earlier one. The channels of every layer
    are cut into one run for each color, and within a pixel the run of green sees that of red, and
    blue both, so that p(G | R) and p(B | R, G) are modeled, too. Masks leave a blind spot above
    and to the right of the pixel (``phosphene prove blind-spot``), which ``gated-pixelcnn`` closes.

    Args:
        event: An image of codes (c, h, w).
        context: A label or a vector, which shifts the channels of every block; or nothing.

    Raises:
        EventError: The event is not an image of codes.
        ConfigError: A kernel is even, a number is out of range, or there are fewer channels than
            colors.

    Example:
        >>> from phosphene.core.event import Event
        >>> model = PixelCNN(Event.image(1, 4, levels=2), channels=4, blocks=1)
        >>> model.log_prob(torch.zeros(2, 1, 4, 4)).shape
        torch.Size([2])
    """

    block_count: Natural = setting(
        alias="blocks",
        default=6,
        help="Residual blocks (or plain layers) after the first convolution.",
    )
    residual: bool = setting(
        default=True, help="Residual blocks; without, a plain stack of ``channels`` channels."
    )

    def setup(self) -> None:
        """Make the parts."""
        image_of_codes("PixelCNN", self.event)
        super().setup()
        groups, wide = self.colors, (2 if self.residual else 1) * self.channels
        r, given = odd("first_kernel", self.first_kernel, 3), (self.context, self.told)
        self.first = MaskedConv2d(groups, wide, "A", above=r, left=r, right=r, groups=groups)
        self.first_given = Given(*given, wide)
        place = torch.zeros(wide, *self.places)
        self.first_bias = nn.Parameter(place) if self.position_bias else None
        block = _Residual if self.residual else _Plain
        radius = odd("kernel", self.kernel)
        self.blocks = nn.ModuleList(
            block(self.channels, radius, groups, given, self.dropout)
            for _ in range(self.block_count)
        )
        self.head = nn.ModuleList(
            MaskedConv2d(wide, wide, groups=groups) for _ in range(self.head_layers)
        )
        outputs = groups * self.conditional.size
        self.readout = MaskedConv2d(wide, outputs, groups=groups, bias=False)
        self.output_bias = nn.Parameter(torch.zeros(outputs, *self.places))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def network(
        self, x: Tensor, context: Context | None, told: Tensor | None, uniform: Uniform | None
    ) -> Tensor:
        """See the base class."""
        h = self.first(x) + spread(self.first_given(context, told))
        if self.first_bias is not None:
            h = h + self.first_bias
        for block in self.blocks:
            h = block(h, context, told, uniform)
        for layer in self.head:
            h = layer(F.relu(h))
        out: Tensor = self.readout(F.relu(h))
        return out

    def unroll(self, n: int, context: Context | None) -> Unrolled:
        """See the base class."""
        net = self._unrolled(n, turns=self.colors)
        x, h = net.image(self.first), net.buffer(self.first.outputs)
        given = self.first_given(context)
        net.convolve(self.first, x, h, net.before(self.first, x, given, self.first_bias))
        for block in self.blocks:
            assert isinstance(block, _Residual | _Plain)
            h = block.unroll(net, h, context)
        net.finish(self.readout, net.through_head(self.head, h), self.output_bias)
        return net
