"""The neural spline flow: couplings of rational-quadratic splines."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from phosphene.core.errors import ConfigError
from phosphene.core.ranges import Count
from phosphene.core.settings import setting
from phosphene.generative.flow.flow import Flow
from phosphene.generative.flow.layers.conditioner import VectorConditioner
from phosphene.generative.flow.layers.coupling import VectorCoupling
from phosphene.generative.flow.layers.linear import LULinear
from phosphene.generative.flow.layers.permute import Permute
from phosphene.generative.flow.layers.residual import ResidualConditioner
from phosphene.generative.flow.layers.transform import Composition, Transform
from phosphene.generative.flow.settings import ConditionerSettings, SplineSettings, VectorSettings
from phosphene.nn.spline import RationalQuadratic

__all__ = ["NeuralSpline"]

NetworkName = Literal["mlp", "residual"]
MixingName = Literal["lu", "random", "reverse"]


class NeuralSpline(ConditionerSettings, SplineSettings, VectorSettings, Flow):
    """Couplings y_A = h(x_A; b(x_B)), h the rational-quadratic spline of each dimension.

    By Durkan, Bekasov, Murray and Papamakarios (2019). A spline of a few bins bends far more than
    an affine map, so that a few couplings make densities with holes and many modes, and its
    inverse is as cheap.

    Args:
        event: Reals (D,), D of 2 or more.
        context: A label, a vector or an image, or nothing.

    Raises:
        ConfigError: There is no layer, or a residual network has more than one width.
        UnknownNameError: There is no such network or mixing.

    Example:
        >>> from phosphene.core.event import Event
        >>> flow = NeuralSpline(Event.real(2), layers=2, hidden=(8,))
        >>> flow.log_prob(torch.zeros(3, 2)).shape
        torch.Size([3])
    """

    layers: Count = setting(default=6, help="Number of couplings.")
    hidden: Sequence[int] = setting(
        default=(64, 64),
        help="Widths of the hidden layers of each coupling's network; for a residual network, "
        "its width, once for each block.",
    )
    network: NetworkName = setting(
        default="mlp", help="``mlp``, or ``residual`` (pre-activation blocks, as published)."
    )
    mixing: MixingName = setting(
        default="reverse",
        help="What stands before each coupling: ``lu`` (a random permutation and a learned "
        "linear map, which also ends the flow), ``random`` (a permutation) or ``reverse``.",
    )
    min_bin: float = setting(
        default=1e-3, help="The smallest width and height of a bin, as a fraction of 2 bound."
    )

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        d = self.event.dimensions
        if d < 2 or self.event.shape != (d,):
            self.refuse("a coupling needs a vector of two dimensions or more")
        mask = torch.arange(d) % 2 == 0
        least = self.min_bin
        spline = RationalQuadratic(self.bins, self.bound, min_width=least, min_height=least)
        transforms: list[Transform] = []
        for _ in range(self.layers):
            net = self._network(mask, spline.size)
            transforms += [*_mixed(self.mixing, mask), VectorCoupling(mask, spline, net)]
        if self.mixing == "lu":
            transforms += _mixed(self.mixing, mask)
        self.build(Composition(transforms))

    def _network(self, mask: Tensor, size: int) -> nn.Module:
        """From what is kept to the splines of what is moved."""
        moved, hidden = int(mask.sum()), self.hidden
        inputs, outputs = len(mask) - moved, size * moved
        told: dict[str, Any] = {"activation": self.activation_name, "context": self.context}
        if self.network == "mlp":
            return VectorConditioner(inputs, hidden, outputs, **told)
        if len(set(hidden)) != 1:
            raise ConfigError(
                f"a residual network has one width for all blocks, got {tuple(hidden)}"
            )
        return ResidualConditioner(inputs, hidden[0], len(hidden), outputs, **told)


def _mixed(name: str, mask: Tensor) -> list[Transform]:
    """What exchanges the dimensions before a coupling."""
    d = len(mask)
    if name == "reverse":
        # Of an odd number of dimensions, reversing keeps the even ones where they are moved.
        return [Permute.reversing(d) if d % 2 == 0 else Permute(torch.arange(d).roll(1))]
    order = torch.randperm(d)
    while not bool(mask[order[~mask]].any()):  # at least one that was moved decides next
        order = torch.randperm(d)
    return [Permute(order), *([LULinear(d)] if name == "lu" else [])]
