"""Glow: couplings between learned rotations of the channels, at several scales."""

from collections.abc import Sequence

from phosphene.core.errors import UnknownNameError
from phosphene.core.event import Event
from phosphene.core.ranges import Count
from phosphene.core.settings import pinned, setting
from phosphene.generative.flow.flow import Flow
from phosphene.generative.flow.layers.conditioner import ImageConditioner
from phosphene.generative.flow.layers.conv1x1 import NormConv
from phosphene.generative.flow.layers.coupling import ChannelCoupling
from phosphene.generative.flow.layers.multiscale import Level, MultiScale, check_levels, halvings
from phosphene.generative.flow.layers.split import Split
from phosphene.generative.flow.layers.transform import Composition, Transform
from phosphene.generative.flow.settings import (
    BinSettings,
    BoundedSettings,
    CenteredSettings,
    LimitSettings,
)
from phosphene.nn.monotone import Additive, Affine, Monotone
from phosphene.nn.spline import RationalQuadratic

__all__ = ["Glow"]

COUPLINGS = ("affine", "additive", "spline")


class Glow(CenteredSettings, BoundedSettings, LimitSettings, BinSettings, Flow):
    """Levels of a squeeze, K steps [ActNorm, invertible 1x1 convolution, coupling], and a split.

    By Kingma and Dhariwal (2018). Halves that leave at a split have a learned prior given the rest,
    p(x2 | x1) = N(mu(x1), diag(exp(2 sigma(x1)))); what is left has a learned normal base. A label,
    a vector or an image reaches the networks of all couplings; labels and vectors also the splits'
    priors and the base.

    Args:
        event: An image whose height and width can be halved ``levels`` times.
        context: A label, a vector or an image, or nothing.

    Raises:
        UnknownNameError: There is no such coupling or convolution.
        EventError: The image cannot be halved so often.

    Example:
        >>> import torch
        >>> flow = Glow(Event.image(1, 8, levels=4), levels=2, steps=1, hidden=4)
        >>> flow.sample(3).shape
        torch.Size([3, 1, 8, 8])
    """

    levels: int | None = setting(
        default=None,
        help="Scales; None for two, or as many as the size allows: one without a squeeze where "
        "it cannot be halved and there are colors to couple.",
    )
    steps: Count = setting(default=8, help="Steps K at each scale.")
    hidden: Count = setting(
        default=64, help="Channels of the hidden layers of each coupling's network."
    )
    coupling: str = setting(
        default="affine", help="``affine``, ``additive`` (of volume 1) or ``spline``."
    )
    convolution: str = setting(default="plu", help="``plu``, or ``dense`` for a free matrix.")
    kernels: Sequence[int] = setting(
        default=(3, 1, 3), help="Sides of the three convolutions of each coupling's network."
    )
    split_prior: bool = setting(
        default=True, help="Whether channels that are split off have a prior given the rest."
    )
    base_name: str = setting(alias="base", default="learned", help="The base distribution.")

    components: Count = pinned(default=8)
    whiten: bool = pinned(default=False)

    def setup(self) -> None:
        """Make the parts."""
        levels, squeezed = _scales(self.event, self.levels)
        super().setup()
        monotone = _monotone(self.coupling, self.limit, self.bins)

        def step(channels: int) -> Transform:
            kept, moved = channels - channels // 2, channels // 2
            network = ImageConditioner(
                kept,
                self.hidden,
                monotone.size * moved,
                activation=self.activation_name,
                context=self.context,
                kernels=self.kernels,
            )
            return Composition(
                [
                    NormConv(channels, self.convolution),
                    ChannelCoupling(channels, monotone, network),
                ]
            )

        channels, scales = self.event.shape[0], []
        for i in range(levels):
            channels *= 4 if squeezed else 1
            own = Composition([step(channels) for _ in range(self.steps)])
            last = i == levels - 1
            split = None if last else Split(channels, context=self.context, prior=self.split_prior)
            scales.append(Level(own, split, squeezed=squeezed))
            channels -= 0 if last else channels // 2
        self.build(MultiScale(scales))


def _scales(event: Event, levels: int | None) -> tuple[int, bool]:
    """How many levels there are, and whether they squeeze."""
    if levels is None:
        most = halvings(event) if event.has_image_shape else 0
        if most == 0 and event.has_image_shape and event.shape[0] > 1:
            return 1, False
        levels = max(1, min(2, most))
    check_levels(event, levels, "Glow")
    return levels, True


def _monotone(coupling: str, limit: float, bins: int) -> Monotone:
    if coupling not in COUPLINGS:
        raise UnknownNameError("coupling", coupling, COUPLINGS)
    if coupling == "spline":
        return RationalQuadratic(bins)
    return Affine(limit) if coupling == "affine" else Additive()
