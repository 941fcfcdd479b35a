"""Planar flow: space stretched or pressed along one direction at a time."""

import torch
from torch import Tensor

from phosphene.core.context import Context, ContextSpec
from phosphene.generative.flow.flow import Flow
from phosphene.generative.flow.layers.roots import increasing_root
from phosphene.generative.flow.layers.stacks import (
    LayerParameters,
    above_minus_one,
    check_slope,
    stack,
)
from phosphene.generative.flow.layers.transform import Transform
from phosphene.generative.flow.settings import StackSettings

__all__ = ["Planar", "PlanarFlow"]


class PlanarFlow(StackSettings, Flow):
    """f = f_K after ... after f_1, f_k(h) = h + u_k tanh(w_k.h + b_k), w_k.u_k > -1.

    By Rezende and Mohamed (2015). Each log-determinant is that of one scalar,
    log(1 + (w.u) tanh'(w.h + b)); see :class:`~phosphene.generative.flow.planar.Planar`.

    Args:
        event: Reals, flattened in raster order.
        context: A label, a vector or an image that the layers' parameters are linear in, or
            nothing.

    Example:
        >>> from phosphene.core.event import Event
        >>> import torch
        >>> flow = PlanarFlow(Event.real(2), layers=2)
        >>> flow.log_prob(torch.zeros(3, 2)).shape
        torch.Size([3])
    """

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        if self.event.discrete:
            self.refuse("its layers act on vectors of reals")

        def layer() -> Planar:
            return Planar(self.event.dimensions, slope=self.slope, context=self.context)

        self.build(stack(layer, self.layers, self.direction))


class Planar(Transform):
    """z = x + u tanh(w.x + b), with log |det| = log(1 + (w.u) tanh'(w.x + b)).

    By Rezende and Mohamed (2015). Since det(I + u v^T) = 1 + v.u, one product of vectors gives the
    determinant. It is positive, and the layer a bijection, where w.u > -1: u is a free vector
    whose part along w is replaced, u = r + (m(w.r) - w.r) w / |w|^2 with m above slope - 1.

    The inverse is numeric: a = w.x + b solves a + (w.u) tanh(a) = w.z + b, increasing in a, by
    bracketed Newton steps to the last digits of the type; then x = z - u tanh(a).

    Args:
        dimensions: D; examples of any shape are flattened.
        slope: The least 1 + w.u: how far a layer may press.
        context: What w, u and b depend on.

    Raises:
        ConfigError: The slope is not inside (0, 1).

    Example:
        >>> layer = Planar(3)
        >>> x = torch.randn(5, 3)
        >>> torch.allclose(layer.inverse(layer(x)[0]), x, atol=1e-5)
        True
    """

    def __init__(
        self, dimensions: int, *, slope: float = 0.01, context: ContextSpec | None = None
    ) -> None:
        super().__init__()
        self.dimensions, self.slope = dimensions, check_slope(slope)
        w = torch.randn(dimensions) / dimensions**0.5
        u = 0.1 * torch.randn(dimensions) / dimensions**0.5
        self.params = LayerParameters(torch.cat((w, u, torch.randn(1))), context)

    def vectors(self, context: Context | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """w and u, each (n or 1, D), and b (n or 1,)."""
        w, r, b = self.params(context).split((self.dimensions, self.dimensions, 1), 1)
        along = (w * r).sum(1, keepdim=True)
        length = w.square().sum(1, keepdim=True).clamp(min=1e-12)
        u = r + (above_minus_one(along, self.slope) - along) * w / length
        return w, u, b[:, 0]

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """The closed direction."""
        w, u, b = self.vectors(context)
        flat = x.flatten(1)
        h = torch.tanh((flat * w).sum(1) + b)
        z = flat + u * h[:, None]
        return z.view_as(x), torch.log1p((w * u).sum(1) * (1 - h.square()))

    def inverse(self, z: Tensor, context: Context | None = None) -> Tensor:
        """The numeric direction, with gradients."""
        w, u, b = self.vectors(context)
        flat = z.flatten(1)
        c, k = (flat * w).sum(1) + b, (w * u).sum(1)

        def height(a: Tensor) -> tuple[Tensor, Tensor]:
            h = torch.tanh(a)
            return a + k * h - c, 1 + k * (1 - h.square())

        a = increasing_root(height, c - k.abs(), c + k.abs())
        return (flat - u * torch.tanh(a)[:, None]).view_as(z)
