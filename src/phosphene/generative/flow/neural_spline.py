"""The neural spline flow: couplings of rational-quadratic splines."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from phosphene.core.context import ContextSpec
from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.core.event import Event
from phosphene.core.ranges import Count, Positive
from phosphene.generative.flow.flow import Flow
from phosphene.generative.flow.layers.conditioner import VectorConditioner
from phosphene.generative.flow.layers.coupling import VectorCoupling
from phosphene.generative.flow.layers.linear import LULinear
from phosphene.generative.flow.layers.permute import Permute
from phosphene.generative.flow.layers.residual import ResidualConditioner
from phosphene.generative.flow.layers.transform import Composition, Transform
from phosphene.nn.spline import RationalQuadratic

__all__ = ["NeuralSpline"]

NetworkName = Literal["mlp", "residual"]
MixingName = Literal["lu", "random", "reverse"]


class NeuralSpline(Flow):
    """Couplings y_A = h(x_A; b(x_B)), h the rational-quadratic spline of each dimension.

    By Durkan, Bekasov, Murray and Papamakarios (2019). A spline of a few bins bends far more than
    an affine map, so that a few couplings make densities with holes and many modes, and its
    inverse is as cheap.

    Args:
        event: Reals (D,), D of 2 or more.
        context: A label, a vector or an image, or nothing.
        layers: Couplings.
        bins: Bins of each spline.
        bound: Splines bend [-bound, bound] of the standardized data, and leave the rest alone.
        hidden: Widths of the hidden layers of each coupling's network; for a residual network, its
            width, once for each block.
        network: ``mlp``, or ``residual`` (pre-activation blocks, as published).
        activation: Of the networks; a bounded one, as ``tanh``, keeps what it gives the splines
            bounded however far an example is from the data.
        mixing: What stands before each coupling: ``lu`` (a random permutation and a learned linear
            map, which also ends the flow), ``random`` (a permutation) or ``reverse``.
        min_bin: The smallest width and height of a bin, as a fraction of 2 bound.
        base: The base distribution.
        whiten: Begin with a linear map that whitens vectors, found in closed form.

    Raises:
        ConfigError: There is no layer, or a residual network has more than one width.
        UnknownNameError: There is no such network or mixing.

    Example:
        >>> flow = NeuralSpline(Event.real(2), layers=2, hidden=(8,))
        >>> flow.log_prob(torch.zeros(3, 2)).shape
        torch.Size([3])
    """

    def __init__(
        self,
        event: Event,
        *,
        context: ContextSpec | None = None,
        layers: int = 6,
        bins: Count = 8,
        bound: Positive = 5.0,
        hidden: Sequence[int] = (64, 64),
        network: NetworkName = "mlp",
        activation: str = "tanh",
        mixing: MixingName = "reverse",
        min_bin: float = 1e-3,
        base: str = "normal",
        whiten: bool = False,
    ) -> None:
        super().__init__(event, context=context, base=base, whiten=whiten)
        if layers < 1:
            raise ConfigError(f"layers must be 1 or more, got {layers}")
        if mixing not in ("lu", "random", "reverse"):
            raise UnknownNameError("mixing", mixing, ("lu", "random", "reverse"))
        d = event.dimensions
        if d < 2 or event.shape != (d,):
            self.refuse("a coupling needs a vector of two dimensions or more")
        mask = torch.arange(d) % 2 == 0
        spline = RationalQuadratic(bins, bound, min_width=min_bin, min_height=min_bin)
        transforms: list[Transform] = []
        for _ in range(layers):
            net = _network(network, mask, spline.size, hidden, activation, self.context)
            transforms += [*_mixed(mixing, mask), VectorCoupling(mask, spline, net)]
        if mixing == "lu":
            transforms += _mixed(mixing, mask)
        self.build(Composition(transforms))


def _network(
    name: str,
    mask: Tensor,
    size: int,
    hidden: Sequence[int],
    activation: str,
    context: ContextSpec,
) -> nn.Module:
    """From what is kept to the splines of what is moved."""
    moved = int(mask.sum())
    inputs, outputs = len(mask) - moved, size * moved
    if name == "mlp":
        return VectorConditioner(inputs, hidden, outputs, activation=activation, context=context)
    if name != "residual":
        raise UnknownNameError("network", name, ("mlp", "residual"))
    if len(set(hidden)) != 1:
        raise ConfigError(f"a residual network has one width for all blocks, got {tuple(hidden)}")
    return ResidualConditioner(
        inputs, hidden[0], len(hidden), outputs, activation=activation, context=context
    )


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
