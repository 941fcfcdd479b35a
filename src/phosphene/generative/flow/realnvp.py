"""RealNVP: affine couplings."""

from collections.abc import Sequence

import torch

from phosphene.core.context import ContextSpec
from phosphene.core.errors import ConfigError
from phosphene.core.event import Event
from phosphene.generative.flow.flow import Flow
from phosphene.nn.flow.conditioner import VectorConditioner
from phosphene.nn.flow.coupling import VectorCoupling
from phosphene.nn.flow.monotone import Affine
from phosphene.nn.flow.transform import Composition

__all__ = ["RealNVP"]


class RealNVP(Flow):
    """Affine couplings, y_A = exp(s(x_B)) x_A + t(x_B), in turns on either half.

    By Dinh, Sohl-Dickstein and Bengio (2017).

    Args:
        event: Reals, flattened in raster order.
        context: A label, a vector or an image, or nothing.
        layers: Couplings; every second one moves the other half.
        hidden: Widths of the hidden layers of each coupling's network.
        activation: Their activation.
        limit: The largest |s|.
        base: The base distribution.

    Example:
        >>> import torch
        >>> flow = RealNVP(Event.real(2), layers=2, hidden=(8,))
        >>> flow.log_prob(torch.zeros(3, 2)).shape
        torch.Size([3])
    """

    def __init__(
        self,
        event: Event,
        *,
        context: ContextSpec | None = None,
        layers: int = 8,
        hidden: Sequence[int] = (128, 128),
        activation: str = "relu",
        limit: float = 5.0,
        base: str = "normal",
    ) -> None:
        super().__init__(event, context=context, base=base)
        if layers < 1:
            raise ConfigError(f"layers must be 1 or more, got {layers}")
        d = event.dimensions
        if d < 2 or event.shape != (d,):
            self.refuse("a coupling needs a vector of two dimensions or more")
        couplings = []
        for i in range(layers):
            mask = torch.arange(d) % 2 == i % 2
            moved = int(mask.sum())
            network = VectorConditioner(
                d - moved, hidden, 2 * moved, activation=activation, context=self.context
            )
            couplings.append(VectorCoupling(mask, Affine(limit), network))
        self.build(Composition(couplings))
