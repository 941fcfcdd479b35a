"""Radial flow: space stretched or pressed about one point at a time."""

from phosphene.generative.flow.flow import Flow
from phosphene.generative.flow.layers.radial import Radial
from phosphene.generative.flow.layers.stacks import stack
from phosphene.generative.flow.settings import StackSettings

__all__ = ["RadialFlow"]


class RadialFlow(StackSettings, Flow):
    """f = f_K after ... after f_1, f_k(h) = h + beta_k (h - c_k) / (alpha_k + |h - c_k|).

    By Rezende and Mohamed (2015), with alpha > 0 and beta > -alpha; see
    :class:`~phosphene.generative.flow.layers.radial.Radial`.

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
