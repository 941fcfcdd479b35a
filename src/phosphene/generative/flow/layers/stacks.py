"""What planar, radial and Sylvester flows share: parameters, bounds on slopes, stacks."""

import math
from collections.abc import Callable
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.generative.flow.layers.transform import Composition, Inverted, Transform
from phosphene.nn.context_embedding import ConditionBias, FlatImage

__all__ = ["DIRECTIONS", "Direction", "LayerParameters", "above_minus_one", "check_slope", "stack"]

Direction = Literal["density", "sampling"]
DIRECTIONS: tuple[Direction, ...] = ("density", "sampling")


class LayerParameters(nn.Module):
    """A layer's own parameters, plus a linear map of the condition where there is one.

    The map starts at zero, so that all conditions start with the same layer; that a network gives
    the parameters of each example's layers is amortization (Rezende and Mohamed, 2015).

    Args:
        initial: The parameters at the start (P,).
        context: A label, a vector or an image.

    Example:
        >>> own = LayerParameters(torch.zeros(5), ContextSpec(label=3))
        >>> own(Context(label=torch.tensor([0, 2]))).shape
        torch.Size([2, 5])
        >>> LayerParameters(torch.zeros(5))().shape
        torch.Size([1, 5])
    """

    def __init__(self, initial: Tensor, context: ContextSpec | None = None) -> None:
        super().__init__()
        spec = context or ContextSpec()
        self.own = nn.Parameter(initial)
        self.condition = ConditionBias(spec, len(initial))
        self.image = self.flat = None
        if spec.image is not None:
            self.flat = FlatImage(spec.image)
            self.image = nn.Linear(spec.image.dimensions, len(initial), bias=False)
        for linear in (self.condition.map, self.image):
            if linear is not None:
                nn.init.zeros_(linear.weight)

    def forward(self, context: Context | None = None) -> Tensor:
        """The parameters of each example (n, P), or of all of them (1, P)."""
        params = self.own[None]
        told = self.condition(context)
        if told is not None:
            params = params + told
        if self.image is not None:
            assert self.flat is not None
            params = params + self.image(self.flat(context, params.dtype))
        return params


def above_minus_one(raw: Tensor, slope: float) -> Tensor:
    """An increasing function of any real that is above slope - 1, and 0 at 0."""
    return F.softplus(raw + math.log(math.expm1(1 - slope))) - (1 - slope)


def check_slope(slope: float) -> float:
    """Raise ConfigError if the least slope of a layer is not inside (0, 1)."""
    if not 0 < slope < 1:
        raise ConfigError(f"the least slope of a layer must lie between 0 and 1, got {slope}")
    return slope


def stack(make: Callable[[], Transform], layers: int, direction: str) -> Transform:
    """Layers after each other, whose closed direction is that of densities, or of samples.

    Args:
        make: Makes one layer.
        layers: How many.
        direction: ``density`` if x to z is closed, ``sampling`` if z to x is.

    Raises:
        ConfigError: There is no layer.
        UnknownNameError: There is no such direction.
    """
    if layers < 1:
        raise ConfigError(f"layers must be 1 or more, got {layers}")
    if direction not in DIRECTIONS:
        raise UnknownNameError("direction", direction, DIRECTIONS)
    composed = Composition(make() for _ in range(layers))
    return Inverted(composed) if direction == "sampling" else composed
