"""Planar flow: space stretched or pressed along one direction at a time."""

from phosphene.generative.flow.flow import Flow
from phosphene.generative.flow.layers.planar import Planar
from phosphene.generative.flow.layers.stacks import stack
from phosphene.generative.flow.settings import StackSettings

__all__ = ["PlanarFlow"]


class PlanarFlow(StackSettings, Flow):
    """f = f_K after ... after f_1, f_k(h) = h + u_k tanh(w_k.h + b_k), w_k.u_k > -1.

    By Rezende and Mohamed (2015). Each log-determinant is that of one scalar,
    log(1 + (w.u) tanh'(w.h + b)); see :class:`~phosphene.generative.flow.layers.planar.Planar`.

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
