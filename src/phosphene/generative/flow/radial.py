"""Radial flow: space stretched or pressed about one point at a time."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from phosphene.core.context import Context, ContextSpec
from phosphene.generative.flow.flow import Flow
from phosphene.generative.flow.layers.stacks import (
    LayerParameters,
    above_minus_one,
    check_slope,
    stack,
)
from phosphene.generative.flow.layers.transform import Transform
from phosphene.generative.flow.settings import StackSettings

__all__ = ["Radial", "RadialFlow"]


class RadialFlow(StackSettings, Flow):
    """f = f_K after ... after f_1, f_k(h) = h + beta_k (h - c_k) / (alpha_k + |h - c_k|).

    By Rezende and Mohamed (2015), with alpha > 0 and beta > -alpha; see
    :class:`~phosphene.generative.flow.radial.Radial`.

    Args:
        event: Reals, flattened in raster order.
        context: A label, a vector or an image that the layers' parameters are linear in, or
            nothing.

    Example:
        >>> from phosphene.core.event import Event
        >>> import torch
        >>> flow = RadialFlow(Event.real(2), layers=2)
        >>> flow.log_prob(torch.zeros(3, 2)).shape
        torch.Size([3])
    """

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        if self.event.discrete:
            self.refuse("its layers act on vectors of reals")

        def layer() -> Radial:
            return Radial(self.event.dimensions, slope=self.slope, context=self.context)

        self.build(stack(layer, self.layers, self.direction))


class Radial(Transform):
    """z = x + beta (x - c) / (alpha + r), r = |x - c|, alpha > 0 and beta > -alpha.

    By Rezende and Mohamed (2015). With s = beta / (alpha + r), D - 1 directions are stretched by
    1 + s and the one along x - c by 1 + s alpha / (alpha + r), so that

        log |det| = (D - 1) log(1 + s) + log(1 + s alpha / (alpha + r)).

    The inverse is closed as well: |z - c| = r (1 + beta / (alpha + r)) is a quadratic equation in r
    with one positive root.

    Args:
        dimensions: D; examples of any shape are flattened.
        slope: The least 1 + beta / alpha: how far a layer may press.
        context: What c, alpha and beta depend on.

    Raises:
        ConfigError: The slope is not inside (0, 1).

    Example:
        >>> layer = Radial(3)
        >>> x = torch.randn(5, 3)
        >>> torch.allclose(layer.inverse(layer(x)[0]), x, atol=1e-5)
        True
    """

    def __init__(
        self, dimensions: int, *, slope: float = 0.01, context: ContextSpec | None = None
    ) -> None:
        super().__init__()
        self.dimensions, self.slope = dimensions, check_slope(slope)
        own = torch.cat((torch.randn(dimensions), torch.tensor([math.log(math.e - 1), 0.0])))
        self.params = LayerParameters(own, context)

    def shape(self, context: Context | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """c (n or 1, D), alpha and beta (n or 1, 1)."""
        c, a, b = self.params(context).split((self.dimensions, 1, 1), 1)
        alpha = F.softplus(a) + 1e-3
        return c, alpha, alpha * above_minus_one(b, self.slope)

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Away from the center, or towards it."""
        c, alpha, beta = self.shape(context)
        away = x.flatten(1) - c
        r = _length(away)
        s = beta / (alpha + r)
        log_det = (self.dimensions - 1) * torch.log1p(s) + torch.log1p(s * alpha / (alpha + r))
        # Written as x + s (x - c) and not c + (1 + s)(x - c), which rounds where s is small.
        return (x.flatten(1) + s * away).view_as(x), log_det[:, 0]

    def inverse(self, z: Tensor, context: Context | None = None) -> Tensor:
        """Back by the root of r^2 + p r - alpha |z - c| = 0, p = alpha + beta - |z - c|."""
        c, alpha, beta = self.shape(context)
        away = z.flatten(1) - c
        far = _length(away)
        p = alpha + beta - far
        q = torch.sqrt(p.square() + 4 * alpha * far)
        # Each form of the root adds numbers of one sign.
        r = torch.where(p > 0, 2 * alpha * far / (p.clamp(min=0) + q), (q - p) / 2)
        s = beta / (alpha + r)
        return (z.flatten(1) - s / (1 + s) * away).view_as(z)


def _length(x: Tensor) -> Tensor:
    """|x| of each row (n, 1), whose gradient is 0 at 0."""
    length: Tensor = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    return length
