"""NICE: additive couplings and a diagonal scaling."""

import math
from collections.abc import Sequence

import torch

from phosphene.core.context import ContextSpec
from phosphene.core.errors import ConfigError
from phosphene.core.event import Event
from phosphene.core.ranges import Count
from phosphene.generative.flow.flow import Flow
from phosphene.generative.flow.layers.conditioner import VectorConditioner
from phosphene.generative.flow.layers.coupling import VectorCoupling
from phosphene.generative.flow.layers.linear import Diagonal, Flattened
from phosphene.generative.flow.layers.transform import Composition, Transform
from phosphene.nn.monotone import Additive

__all__ = ["NICE"]


class NICE(Flow):
    """Additive couplings y_A = x_A + t(x_B), which keep volumes, then z = exp(s) y.

    By Dinh, Krueger and Bengio (2015): log |det dz/dx| = sum s, one number for all x, so that
    the scaling alone says in which directions the data vary. Dimensions of even and odd place in
    raster order move in turns.

    Args:
        event: Reals, or images of codes; flattened in raster order, D of 2 or more.
        context: A label, a vector or an image, or nothing.
        layers: Couplings; three are needed before each dimension can depend on each other.
        hidden: Widths of the hidden layers of each coupling's network.
        activation: Their activation.
        base: The base distribution; ``logistic``, as published, or another.
        components: Of a mixture base.
        codec: How codes become reals: ``centered`` or ``logit``.
        alpha: The logit's margin.
        whiten: Begin with a linear map that whitens vectors, found in closed form.

    Raises:
        ConfigError: There is no layer.

    Example:
        >>> flow = NICE(Event.image(1, 4, levels=4), layers=2, hidden=(8,))
        >>> flow.elbo(torch.zeros(3, 1, 4, 4)).shape
        torch.Size([3])
    """

    def __init__(
        self,
        event: Event,
        *,
        context: ContextSpec | None = None,
        layers: int = 4,
        hidden: Sequence[int] = (128, 128),
        activation: str = "relu",
        base: str = "logistic",
        components: Count = 8,
        codec: str = "centered",
        alpha: float = 0.05,
        whiten: bool = False,
    ) -> None:
        super().__init__(
            event,
            context=context,
            base=base,
            components=components,
            codec=codec,
            alpha=alpha,
            whiten=whiten,
        )
        if layers < 1:
            raise ConfigError(f"layers must be 1 or more, got {layers}")
        if event.dimensions < 2:
            self.refuse("a coupling needs two dimensions or more")
        d = event.dimensions
        couplings: list[Transform] = []
        for i in range(layers):
            mask = torch.arange(d) % 2 == i % 2
            moved = int(mask.sum())
            network = VectorConditioner(
                d - moved, hidden, moved, activation=activation, context=self.context
            )
            couplings.append(VectorCoupling(mask, Additive(), network))
        # A logistic is wider than a normal number.
        deviation = math.pi / math.sqrt(3) if base == "logistic" else 1.0
        flat = Composition([*couplings, Diagonal((d,), deviation)])
        self.build(flat if event.shape == (d,) else Flattened(flat, event.shape))
