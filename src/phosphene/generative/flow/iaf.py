"""Inverse autoregressive flow."""

from phosphene.core.settings import pinned
from phosphene.generative.flow.flow import Flow
from phosphene.generative.flow.layers.autoregressive import MaskedAutoregressive
from phosphene.generative.flow.layers.transform import Composition, Inverted
from phosphene.generative.flow.maf import monotone_named, order_named
from phosphene.generative.flow.settings import MaskedFlowSettings

__all__ = ["IAF"]


class IAF(MaskedFlowSettings, Flow):
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

    Raises:
        ConfigError: There is no layer, or a width is out of range.
        UnknownNameError: There is no such monotone function, order, activation or base.
        EventError: The event is neither real nor an image, or the context an image or a text.

    Example:
        >>> from phosphene.core.event import Event
        >>> flow = IAF(Event.real(3), layers=2, hidden=(8,))
        >>> x, log_prob = flow.rsample_and_log_prob(5)
        >>> x.shape, log_prob.shape
        (torch.Size([5, 3]), torch.Size([5]))
    """

    dequantization: str = pinned(default="uniform")

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        if self.context.image is not None or self.context.text is not None:
            self.refuse("it is conditioned on a label or a vector, not on an image or a text")
        h = monotone_named(self.monotone, self.limit, self.bins, self.bound)
        transforms = [
            MaskedAutoregressive(
                self.event.dimensions,
                h,
                hidden=self.hidden,
                order=order_named(self.order, self.event.dimensions, i),
                activation=self.activation_name,
                residual=self.residual,
                context=self.context,
            )
            for i in range(self.layers)
        ]
        self.build(Inverted(Composition(transforms)))
