"""Inverse autoregressive flow."""

from collections.abc import Sequence

from phosphene.core.context import ContextSpec
from phosphene.core.errors import ConfigError
from phosphene.core.event import Event
from phosphene.core.ranges import Count, NotNegative, Positive
from phosphene.generative.flow.flow import Flow
from phosphene.generative.flow.layers.autoregressive import MaskedAutoregressive
from phosphene.generative.flow.layers.transform import Composition, Inverted
from phosphene.generative.flow.maf import MonotoneName, OrderName, monotone_named, order_named

__all__ = ["IAF"]


class IAF(Flow):
    """x = f_L(... f_1(z)), each f masked autoregressive: y_k = exp(s(y'_<k)) y'_k + t(y'_<k).

    Inverse autoregressive flow (Kingma, Salimans, Jozefowicz, Chen, Sutskever and Welling, 2016):
    a masked autoregressive flow with its directions exchanged. Sampling is parallel, one pass of
    each layer's network, and so are a sample and its log-density together
    (``rsample_and_log_prob``), which is what variational inference asks for. The density of given
    data is exact as well, but sequential: dimension after dimension, at the products of one pass.
    The paper's gate sigma y' + (1 - sigma) m is here the scale exp(s) of bounded s and a shift.

    Args:
        event: Reals, or images of codes; flattened in raster order, D dimensions.
        context: A label or a vector, or nothing.
        layers: Masked autoregressive layers.
        monotone: What moves a dimension: ``affine``, or ``spline``, a rational-quadratic one.
        hidden: Widths of the hidden layers of each one's network.
        activation: Their activation; a bounded one, as ``tanh``, keeps scales and shifts bounded
            however far an example is from the data.
        residual: Add each hidden layer's input to its output.
        order: ``reversed`` from layer to layer, after raster order, ``random`` in each layer, or
            ``raster`` in all of them.
        limit: The largest |s| of affine functions, s = r / (1 + |r| / limit) of what the network
            gives; 0 for none.
        bins: Of splines.
        bound: Beyond this |z| splines are the identity.
        base: The base distribution.
        components: Of a mixture base.
        codec: Of images, ``logit`` or ``centered``.
        alpha: The logit's margin.
        whiten: Begin with a linear map that whitens vectors, found in closed form.

    Raises:
        ConfigError: There is no layer, or a width is out of range.
        UnknownNameError: There is no such monotone function, order, activation or base.
        EventError: The event is neither real nor an image, or the context an image or a text.

    Example:
        >>> flow = IAF(Event.real(3), layers=2, hidden=(8,))
        >>> x, log_prob = flow.rsample_and_log_prob(5)
        >>> x.shape, log_prob.shape
        (torch.Size([5, 3]), torch.Size([5]))
    """

    def __init__(
        self,
        event: Event,
        *,
        context: ContextSpec | None = None,
        layers: int = 5,
        monotone: MonotoneName = "affine",
        hidden: Sequence[int] = (128, 128),
        activation: str = "tanh",
        residual: bool = False,
        order: OrderName = "reversed",
        limit: NotNegative = 2.0,
        bins: Count = 8,
        bound: Positive = 5.0,
        base: str = "normal",
        components: Count = 8,
        codec: str = "logit",
        alpha: float = 0.05,
        whiten: bool = False,
    ) -> None:
        super().__init__(
            event,
            context=context,
            base=base,
            components=components,
            codec=codec,
            alpha=alpha,
            whiten=whiten,
        )
        if layers < 1:
            raise ConfigError(f"layers must be 1 or more, got {layers}")
        if self.context.image is not None or self.context.text is not None:
            self.refuse("it is conditioned on a label or a vector, not on an image or a text")
        h = monotone_named(monotone, limit, bins, bound)
        transforms = [
            MaskedAutoregressive(
                event.dimensions,
                h,
                hidden=hidden,
                order=order_named(order, event.dimensions, i),
                activation=activation,
                residual=residual,
                context=self.context,
            )
            for i in range(layers)
        ]
        self.build(Inverted(Composition(transforms)))
