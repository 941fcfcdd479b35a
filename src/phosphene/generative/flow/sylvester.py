"""Sylvester flow: several planar layers at once, in an orthonormal basis."""

from phosphene.core.context import ContextSpec
from phosphene.core.event import Event
from phosphene.generative.flow.flow import Flow
from phosphene.generative.flow.layers.stacks import stack
from phosphene.generative.flow.layers.sylvester import Sylvester

__all__ = ["SylvesterFlow"]


class SylvesterFlow(Flow):
    """f = f_K after ... after f_1, f_k(h) = h + Q R tanh(S Q^T h + b), R and S triangular.

    By van den Berg, Hasenclever, Tomczak and Welling (2018). Each log-determinant is that of a
    triangular matrix; see :class:`~phosphene.generative.flow.layers.sylvester.Sylvester`.

    Args:
        event: Reals, flattened in raster order.
        context: A label, a vector or an image that the layers' parameters are linear in, or
            nothing.
        layers: How many.
        rank: Columns M of Q; None for as many as there are dimensions, at most 32.
        orthogonal: How Q is made: ``householder`` (a product of M reflections) or ``qr``.
        slope: The least 1 + S_ii R_ii: how far a layer may press.
        direction: ``density`` if x to z is the closed direction, as for fitting data, or
            ``sampling`` if z to x is, as for variational inference; the other one is numeric, row
            by row, by bracketed Newton steps.
        base: The base distribution.
        whiten: Begin with a linear map that whitens vectors, found in closed form.

    Example:
        >>> import torch
        >>> flow = SylvesterFlow(Event.real(2), layers=2)
        >>> flow.log_prob(torch.zeros(3, 2)).shape
        torch.Size([3])
    """

    def __init__(
        self,
        event: Event,
        *,
        context: ContextSpec | None = None,
        layers: int = 8,
        rank: int | None = None,
        orthogonal: str = "householder",
        slope: float = 0.01,
        direction: str = "density",
        base: str = "normal",
        whiten: bool = False,
    ) -> None:
        super().__init__(event, context=context, base=base, whiten=whiten)
        if event.discrete:
            self.refuse("its layers act on vectors of reals")
        m = min(event.dimensions, 32) if rank is None else rank

        def layer() -> Sylvester:
            return Sylvester(
                event.dimensions, m, orthogonal=orthogonal, slope=slope, context=self.context
            )

        self.build(stack(layer, layers, direction))
