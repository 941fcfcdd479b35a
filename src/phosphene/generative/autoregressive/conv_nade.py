"""Convolutional NADE: an order-agnostic convolutional network, for images."""

import torch
from torch import Tensor, nn

from phosphene.core.context import Context
from phosphene.core.ranges import Count
from phosphene.core.settings import setting
from phosphene.generative.autoregressive.order_agnostic import OrderAgnostic
from phosphene.nn.context_embedding import ConditionBias
from phosphene.nn.conv import ResidualBlock
from phosphene.nn.noise import Uniform
from phosphene.nn.settings import DropoutSettings

__all__ = ["ConvNADE"]


class ConvNADE(DropoutSettings, OrderAgnostic):
    """p(x_o | known pixels) = g(r_o), r = residual network of (x m, m), all pixels at once.

    By Uria, Cote, Gregor, Murray and Larochelle (2016). The image with its unknown pixels at zero
    and the mask m of known ones are the channels; the convolutions are padded, so that images keep
    their size, and both ends have a bias for each pixel, which a convolution by itself lacks. See
    :class:`~phosphene.generative.autoregressive.order_agnostic.OrderAgnostic` for the loss, the
    mixture of orders, and the completion of any mask.

    Each value of a likelihood or a sample takes one pass of the network: D passes in all, for each
    order. A pixel sees 2 * blocks + 1 pixels in each direction.

    Args:
        event: An image of any size, gray or in color.
        context: A label or a vector, or nothing; it adds to the channels and the outputs.

    Raises:
        EventError: The event is not an image.
        ConfigError: A setting is out of range.

    Example:
        >>> from phosphene.core.event import Event
        >>> model = ConvNADE(Event.image(1, 4, levels=2), channels=8, blocks=1)
        >>> mask = torch.rand(4, 4) < 0.5
        >>> model.inpaint(torch.ones(3, 1, 4, 4), mask).shape
        torch.Size([3, 1, 4, 4])
    """

    channels: Count = setting(default=32, help="Channels of the network.")
    block_count: Count = setting(
        alias="blocks", default=4, help="Residual blocks of two 3x3 convolutions each."
    )
    activation_name: str = setting(
        alias="activation", default="silu", help="Activation by name: ``silu``, ``relu``, ..."
    )
    norm: str = setting(default="none", help="``none`` or ``group``, in the blocks.")
    ensemble: Count = setting(default=4, help="How many orders the mixture has.")

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        built = self.conditional
        if not self.event.has_image_shape:
            self.refuse("its convolutions are over images (order-agnostic-nade takes any event)")
        self.stem = nn.Conv2d(2 * self.event.shape[0], self.channels, 3, padding=1)
        self.place = nn.Parameter(torch.zeros(self.channels, *self.event.shape[1:]))
        self.blocks = nn.ModuleList(
            ResidualBlock(
                self.channels, activation=self.activation_name, dropout=self.dropout, norm=self.norm
            )
            for _ in range(self.block_count)
        )
        self.head = nn.Conv2d(self.channels, self.event.shape[0] * built.size, 1)
        self.c = nn.Parameter(torch.zeros(self.event.dimensions, built.size))
        self.channel_condition = ConditionBias(self.context, self.channels)
        self.output_condition = ConditionBias(self.context, self.event.dimensions * built.size)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def start_at(self, start: Tensor) -> None:
        """Start at the marginals."""
        self.c.copy_(start)

    def predict(
        self,
        x: Tensor,
        known: Tensor,
        context: Context | None = None,
        uniform: Uniform | None = None,
    ) -> Tensor:
        """Parameters (n, D, size) of all pixels given the known ones."""
        m = known.to(self.dtype)
        shown = self.conditional.normalize(x, self.dtype) * m
        image = torch.cat([t.view(len(x), *self.event.shape) for t in (shown, m)], 1)
        h = self.stem(image.contiguous(memory_format=torch.channels_last)) + self.place
        given = self.channel_condition(context)
        if given is not None:
            h = h + given[:, :, None, None]
        for block in self.blocks:
            h = block(h, uniform)
        # (n, channels * size, height, width) to one row of parameters for each value.
        params = self.head(h).unflatten(1, (self.event.shape[0], -1)).movedim(2, -1).flatten(1, 3)
        bias, given = self.c, self.output_condition(context)
        if given is not None:
            bias = bias + given.view(len(x), *bias.shape)
        out: Tensor = params + bias
        return out
