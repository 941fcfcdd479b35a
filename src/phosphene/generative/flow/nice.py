"""NICE: additive couplings and a diagonal scaling."""

import math

import torch

from phosphene.core.ranges import Count
from phosphene.core.settings import pinned, setting
from phosphene.generative.flow.flow import Flow
from phosphene.generative.flow.layers.conditioner import VectorConditioner
from phosphene.generative.flow.layers.coupling import VectorCoupling
from phosphene.generative.flow.layers.linear import Diagonal, Flattened
from phosphene.generative.flow.layers.transform import Composition, Transform
from phosphene.generative.flow.settings import CenteredSettings, ConditionerSettings
from phosphene.nn.monotone import Additive

__all__ = ["NICE"]


class NICE(CenteredSettings, ConditionerSettings, Flow):
    """Additive couplings y_A = x_A + t(x_B), which keep volumes, then z = exp(s) y.

    By Dinh, Krueger and Bengio (2015): log |det dz/dx| = sum s, one number for all x, so that
    the scaling alone says in which directions the data vary. Dimensions of even and odd place in
    raster order move in turns.

    Args:
        event: Reals, or images of codes; flattened in raster order, D of 2 or more.
        context: A label, a vector or an image, or nothing.

    Raises:
        ConfigError: There is no layer.

    Example:
        >>> from phosphene.core.event import Event
        >>> flow = NICE(Event.image(1, 4, levels=4), layers=2, hidden=(8,))
        >>> flow.elbo(torch.zeros(3, 1, 4, 4)).shape
        torch.Size([3])
    """

    layers: Count = setting(
        default=4,
        help="Number of couplings; three are needed before each dimension can depend on each "
        "other.",
    )
    activation_name: str = setting(
        alias="activation", default="relu", help="Activation of the couplings' networks."
    )
    base_name: str = setting(
        alias="base",
        default="logistic",
        help="The base distribution; ``logistic``, as published, or another.",
    )

    dequantization: str = pinned(default="uniform")

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        if self.event.dimensions < 2:
            self.refuse("a coupling needs two dimensions or more")
        d = self.event.dimensions
        couplings: list[Transform] = []
        for i in range(self.layers):
            mask = torch.arange(d) % 2 == i % 2
            moved = int(mask.sum())
            network = VectorConditioner(
                d - moved, self.hidden, moved, activation=self.activation_name, context=self.context
            )
            couplings.append(VectorCoupling(mask, Additive(), network))
        # A logistic is wider than a normal number.
        deviation = math.pi / math.sqrt(3) if self.base_name == "logistic" else 1.0
        flat = Composition([*couplings, Diagonal((d,), deviation)])
        self.build(flat if self.event.shape == (d,) else Flattened(flat, self.event.shape))
