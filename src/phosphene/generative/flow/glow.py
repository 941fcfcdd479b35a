"""Glow: couplings between learned rotations of the channels, at several scales."""

from collections.abc import Sequence

from phosphene.core.context import ContextSpec
from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.core.event import Event
from phosphene.core.ranges import Count, NotNegative
from phosphene.generative.flow.flow import Flow
from phosphene.generative.flow.layers.conditioner import ImageConditioner
from phosphene.generative.flow.layers.conv1x1 import NormConv
from phosphene.generative.flow.layers.coupling import ChannelCoupling
from phosphene.generative.flow.layers.multiscale import Level, MultiScale, check_levels, halvings
from phosphene.generative.flow.layers.split import Split
from phosphene.generative.flow.layers.transform import Composition, Transform
from phosphene.nn.monotone import Additive, Affine, Monotone
from phosphene.nn.spline import RationalQuadratic

__all__ = ["Glow"]

COUPLINGS = ("affine", "additive", "spline")


class Glow(Flow):
    """Levels of a squeeze, K steps [ActNorm, invertible 1x1 convolution, coupling], and a split.

    By Kingma and Dhariwal (2018). Halves that leave at a split have a learned prior given the rest,
    p(x2 | x1) = N(mu(x1), diag(exp(2 sigma(x1)))); what is left has a learned normal base. A label,
    a vector or an image reaches the networks of all couplings; labels and vectors also the splits'
    priors and the base.

    Args:
        event: An image whose height and width can be halved ``levels`` times.
        context: A label, a vector or an image, or nothing.
        levels: Scales; None for two, or as many as the size allows: one without a squeeze where
            it cannot be halved and there are colors to couple.
        steps: K, at each scale.
        hidden: Channels of the hidden layers of each coupling's network.
        coupling: ``affine``, ``additive`` (of volume 1) or ``spline``.
        convolution: ``plu``, or ``dense`` for a free matrix.
        kernels: Sides of the three convolutions of each coupling's network.
        activation: Of the couplings' networks; a bounded one, as ``tanh``, keeps scales and shifts
            bounded however far an example is from the data.
        limit: The largest log-scale of an affine coupling; 0 for none.
        bins: Of a spline coupling.
        split_prior: Whether what leaves at a split has a prior given the rest.
        base: The base distribution.
        codec: How codes become reals: ``centered`` or ``logit``.
        alpha: The logit's margin.
        dequantization: ``uniform`` or ``variational``.

    Raises:
        UnknownNameError: There is no such coupling or convolution.
        EventError: The image cannot be halved so often.

    Example:
        >>> import torch
        >>> flow = Glow(Event.image(1, 8, levels=4), levels=2, steps=1, hidden=4)
        >>> flow.sample(3).shape
        torch.Size([3, 1, 8, 8])
    """

    def __init__(
        self,
        event: Event,
        *,
        context: ContextSpec | None = None,
        levels: int | None = None,
        steps: int = 8,
        hidden: int = 64,
        coupling: str = "affine",
        convolution: str = "plu",
        kernels: Sequence[int] = (3, 1, 3),
        activation: str = "tanh",
        limit: NotNegative = 2.0,
        bins: Count = 8,
        split_prior: bool = True,
        base: str = "learned",
        codec: str = "centered",
        alpha: float = 0.05,
        dequantization: str = "uniform",
    ) -> None:
        levels, squeezed = _scales(event, levels)
        super().__init__(
            event,
            context=context,
            base=base,
            codec=codec,
            alpha=alpha,
            dequantization=dequantization,
        )
        if steps < 1:
            raise ConfigError(f"steps must be 1 or more, got {steps}")
        monotone = _monotone(coupling, limit, bins)

        def step(channels: int) -> Transform:
            kept, moved = channels - channels // 2, channels // 2
            network = ImageConditioner(
                kept,
                hidden,
                monotone.size * moved,
                activation=activation,
                context=self.context,
                kernels=kernels,
            )
            return Composition(
                [
                    NormConv(channels, convolution),
                    ChannelCoupling(channels, monotone, network),
                ]
            )

        channels, scales = event.shape[0], []
        for i in range(levels):
            channels *= 4 if squeezed else 1
            own = Composition([step(channels) for _ in range(steps)])
            last = i == levels - 1
            split = None if last else Split(channels, context=self.context, prior=split_prior)
            scales.append(Level(own, split, squeezed=squeezed))
            channels -= 0 if last else channels // 2
        self.build(MultiScale(scales))


def _scales(event: Event, levels: int | None) -> tuple[int, bool]:
    """How many levels there are, and whether they squeeze."""
    if levels is None:
        most = halvings(event) if event.is_image else 0
        if most == 0 and event.is_image and event.shape[0] > 1:
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
