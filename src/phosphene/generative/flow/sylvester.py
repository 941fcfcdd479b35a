"""Sylvester flow: several planar layers at once, in an orthonormal basis."""

from phosphene.core.ranges import Count
from phosphene.core.settings import setting
from phosphene.generative.flow.flow import Flow
from phosphene.generative.flow.layers.stacks import stack
from phosphene.generative.flow.layers.sylvester import Sylvester
from phosphene.generative.flow.settings import StackSettings

__all__ = ["SylvesterFlow"]


class SylvesterFlow(StackSettings, Flow):
    """f = f_K after ... after f_1, f_k(h) = h + Q R tanh(S Q^T h + b), R and S triangular.

    By van den Berg, Hasenclever, Tomczak and Welling (2018). Each log-determinant is that of a
    triangular matrix; see :class:`~phosphene.generative.flow.layers.sylvester.Sylvester`.

    Args:
        event: Reals, flattened in raster order.
        context: A label, a vector or an image that the layers' parameters are linear in, or
            nothing.

    Example:
        >>> from phosphene.core.event import Event
        >>> import torch
        >>> flow = SylvesterFlow(Event.real(2), layers=2)
        >>> flow.log_prob(torch.zeros(3, 2)).shape
        torch.Size([3])
    """

    layers: Count = setting(default=8, help="Number of layers.")
    rank: int | None = setting(
        default=None, help="Columns M of Q; None for as many as there are dimensions, at most 32."
    )
    orthogonal: str = setting(
        default="householder",
        help="How Q is made: ``householder`` (a product of M reflections) or ``qr``.",
    )

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        if self.event.discrete:
            self.refuse("its layers act on vectors of reals")
        m = min(self.event.dimensions, 32) if self.rank is None else self.rank

        def layer() -> Sylvester:
            return Sylvester(
                self.event.dimensions,
                m,
                orthogonal=self.orthogonal,
                slope=self.slope,
                context=self.context,
            )

        self.build(stack(layer, self.layers, self.direction))
