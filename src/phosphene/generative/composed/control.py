"""A control of a U-Net: a copy of its first half, and convolutions that begin at zero."""

import copy
from dataclasses import replace
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.context import Context
from phosphene.core.event import Event
from phosphene.nn.context_embedding import FlatImage

__all__ = ["Control", "Controlled"]


class Control(nn.Module):
    """A copy of a U-Net's first half, told of an image, and convolutions that are 0 at the start.

        c_k = Z_k h_k(x + Z_0 f(image)),    Z = 0 at the start

    where h_k are what the copy gives: its skip connections and its middle.

    Args:
        encoder: The first half that is copied; it has ``shapes`` and ``hint_shape``.
        image: What the condition is.
        size: Height and width of x.
    """

    def __init__(self, encoder: nn.Module, image: Event, size: tuple[int, int]) -> None:
        super().__init__()
        half: Any = encoder
        self.encoder = copy.deepcopy(encoder)
        width, height, across = half.hint_shape
        self.shape, self.size = image.shape, size
        self.fold = max(-(-size[0] // height), -(-size[1] // across))
        self.flat = FlatImage(image)
        self.hint = nn.Sequential(
            nn.Conv2d(image.shape[0] * self.fold**2, width, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.SiLU(),
        )
        self.zero_hint = _zero(width)
        self.zeros = nn.ModuleList(_zero(channels) for channels, *_ in half.shapes)

    def forward(
        self, x: Tensor, time: Tensor, told: Context | None, context: Context, uniform: Any
    ) -> list[Tensor]:
        """What is added to the skip connections and to the middle.

        Args:
            x: (n, channels, height, width).
            time: (n,) or (1,).
            told: What the base is told.
            context: The same with the image.
            uniform: Noise of dropout.
        """
        planes: Tensor = self.flat(context, x.dtype).unflatten(1, self.shape)
        if context.dropped is not None:
            planes = planes.masked_fill(context.dropped[:, None, None, None], 0.0)
        if self.shape[1:] != self.size:
            planes = F.interpolate(planes, self.size, mode="bilinear", antialias=True)
        height, width = self.size
        planes = F.pad(planes, (0, -width % self.fold, 0, -height % self.fold))
        hint = self.zero_hint(self.hint(F.pixel_unshuffle(planes, self.fold)))
        found: Any = self.encoder(x, time, told, uniform=uniform, hint=hint)
        return [zero(h) for zero, h in zip(self.zeros, found.hidden, strict=True)]


def _zero(channels: int) -> nn.Conv2d:
    """A convolution 1x1 with weights and biases 0."""
    layer = nn.Conv2d(channels, channels, 1)
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


class Controlled(nn.Module):
    """The base's network, with what the control adds."""

    def __init__(self, network: nn.Module, control: Control) -> None:
        super().__init__()
        self.network, self.control = network, control

    def forward(
        self, x: Tensor, time: Tensor, context: Context | None = None, *, uniform: Any = None
    ) -> Tensor:
        """Of x's shape."""
        assert context is not None
        told = replace(context, image=None)
        added = self.control(x, time, told, context, uniform)
        out: Tensor = self.network(x, time, told, uniform=uniform, control=added)
        return out
