"""Radial flow: space stretched or pressed about one point at a time."""

from phosphene.core.context import ContextSpec
from phosphene.core.event import Event
from phosphene.generative.flow.flow import Flow
from phosphene.generative.flow.layers.radial import Radial
from phosphene.generative.flow.layers.stacks import stack

__all__ = ["RadialFlow"]


class RadialFlow(Flow):
    """f = f_K after ... after f_1, f_k(h) = h + beta_k (h - c_k) / (alpha_k + |h - c_k|).

    By Rezende and Mohamed (2015), with alpha > 0 and beta > -alpha; see
    :class:`~phosphene.generative.flow.layers.radial.Radial`.

    Args:
        event: Reals, flattened in raster order.
        context: A label, a vector or an image that the layers' parameters are linear in, or
            nothing.
        layers: How many.
        slope: The least 1 + beta / alpha: how far a layer may press.
        direction: ``density`` if x to z is the closed direction, as for fitting data, or
            ``sampling`` if z to x is, as for variational inference; the other one is the root of a
            quadratic equation.
        base: The base distribution.
        whiten: Begin with a linear map that whitens vectors, found in closed form.

    Example:
        >>> import torch
        >>> flow = RadialFlow(Event.real(2), layers=2)
        >>> flow.log_prob(torch.zeros(3, 2)).shape
        torch.Size([3])
    """

    def __init__(
        self,
        event: Event,
        *,
        context: ContextSpec | None = None,
        layers: int = 16,
        slope: float = 0.01,
        direction: str = "density",
        base: str = "normal",
        whiten: bool = False,
    ) -> None:
        super().__init__(event, context=context, base=base, whiten=whiten)
        if event.discrete:
            self.refuse("its layers act on vectors of reals")

        def layer() -> Radial:
            return Radial(event.dimensions, slope=slope, context=self.context)

        self.build(stack(layer, layers, direction))
