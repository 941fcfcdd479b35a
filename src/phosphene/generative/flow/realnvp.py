"""RealNVP: affine couplings, of vectors and of images at several scales."""

from collections.abc import Sequence
from typing import Annotated

import torch

from phosphene.core.ranges import COUNT, Count
from phosphene.core.settings import pinned, setting
from phosphene.generative.flow.flow import Flow
from phosphene.generative.flow.layers.actnorm import ActNorm
from phosphene.generative.flow.layers.conditioner import VectorConditioner
from phosphene.generative.flow.layers.coupling import (
    ChannelCoupling,
    CheckerboardCoupling,
    VectorCoupling,
)
from phosphene.generative.flow.layers.multiscale import Level, MultiScale, check_levels, halvings
from phosphene.generative.flow.layers.resnet import ResidualConditioner
from phosphene.generative.flow.layers.split import Split
from phosphene.generative.flow.layers.transform import Composition, Transform
from phosphene.generative.flow.settings import ConditionerSettings, LimitSettings
from phosphene.nn.monotone import Affine

__all__ = ["RealNVP"]


class RealNVP(ConditionerSettings, LimitSettings, Flow):
    """Affine couplings, y_A = exp(s(x_B)) x_A + t(x_B), in turns on either half.

    By Dinh, Sohl-Dickstein and Bengio (2017). Vectors are halved by every second dimension. Images
    pass ``levels`` scales: each but the last has three couplings on a checkerboard, a squeeze,
    three couplings by channels, and lets half of the channels go; the last has four on a
    checkerboard, or by channels if it is a single pixel. An activation normalization before each
    coupling stands where the paper normalizes by batches.

    Args:
        event: Reals, or an image whose height and width can be halved levels - 1 times.
        context: A label, a vector or an image, or nothing.

    Example:
        >>> from phosphene.core.event import Event
        >>> import torch
        >>> flow = RealNVP(Event.real(2), layers=2, hidden=(8,))
        >>> flow.log_prob(torch.zeros(3, 2)).shape
        torch.Size([3])
        >>> RealNVP(Event.image(1, 4), levels=2, channels=4, blocks=1).sample(2).shape
        torch.Size([2, 1, 4, 4])
    """

    layers: Count = setting(
        default=8,
        help="Number of couplings, of vectors; every second one transforms the other half.",
    )
    levels: Annotated[int | None, COUNT] = setting(
        default=None,
        help="Scales, of images; None for two, or one where the size cannot be halved.",
    )
    channels: Count = setting(
        default=32,
        help="Channels of the residual networks at the first scale; each later one has twice as "
        "many.",
    )
    blocks: Count = setting(default=2, help="Residual blocks of each network.")
    activation_name: str = setting(
        alias="activation",
        default="auto",
        help="Of the networks; ``auto`` is ``tanh`` for vectors, by which scales and shifts are "
        "bounded however far an example is from the data, and ``relu`` for images.",
    )

    components: Count = pinned(default=8)

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        self.affine = Affine(self.limit)
        levels, activation = self.levels, self.activation_name
        if levels is None:
            levels = min(1, halvings(self.event)) + 1 if self.event.has_image_shape else 1
        if activation == "auto":
            activation = "relu" if self.event.has_image_shape else "tanh"
        if self.event.has_image_shape:
            self.build(self._images(levels, self.channels, self.blocks, activation))
        else:
            self.build(self._vectors(self.layers, self.hidden, activation))

    def _vectors(self, layers: int, hidden: Sequence[int], activation: str) -> Transform:
        d = self.event.dimensions
        if d < 2 or self.event.shape != (d,):
            self.refuse("a coupling needs a vector of two dimensions or more, or an image")
        couplings = []
        for i in range(layers):
            mask = torch.arange(d) % 2 == i % 2
            moved = int(mask.sum())
            network = VectorConditioner(
                d - moved, hidden, 2 * moved, activation=activation, context=self.context
            )
            couplings.append(VectorCoupling(mask, self.affine, network))
        return Composition(couplings)

    def _images(self, levels: int, width: int, blocks: int, activation: str) -> Transform:
        if levels > 1:
            check_levels(self.event, levels - 1, "RealNVP")

        def network(inputs: int, outputs: int) -> ResidualConditioner:
            return ResidualConditioner(
                inputs, width, outputs, blocks=blocks, activation=activation, context=self.context
            )

        def boards(c: int, n: int) -> list[Transform]:
            pairs = (
                (
                    ActNorm(c),
                    CheckerboardCoupling(c, self.affine, network(c + 1, 2 * c), swap=i % 2 == 1),
                )
                for i in range(n)
            )
            return [layer for pair in pairs for layer in pair]

        def by_channels(c: int, n: int) -> list[Transform]:
            # c is even after a squeeze: both halves are as large.
            pairs = (
                (ActNorm(c), ChannelCoupling(c, self.affine, network(c // 2, c), swap=i % 2 == 1))
                for i in range(n)
            )
            return [layer for pair in pairs for layer in pair]

        scales, c = [], self.event.shape[0]
        for _ in range(levels - 1):
            before = Composition(boards(c, 3))
            c *= 4
            split = Split(c, prior=False)
            scales.append(Level(Composition(by_channels(c, 3)), split, before=before))
            c, width = c // 2, width * 2
        _, h, w = self.event.shape
        single = h == w == 2 ** (levels - 1)
        if single and levels == 1:
            self.refuse("a checkerboard needs two pixels or more")
        last = by_channels(c, 4) if single else boards(c, 4)
        scales.append(Level(Composition(last), squeezed=False))
        return MultiScale(scales)
