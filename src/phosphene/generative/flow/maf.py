"""Masked autoregressive flow."""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.core.event import Event
from phosphene.core.ranges import Count, NotNegative, Positive
from phosphene.generative.flow.flow import Flow
from phosphene.generative.flow.layers.actnorm import ActNorm
from phosphene.generative.flow.layers.autoregressive import MaskedAutoregressive
from phosphene.generative.flow.layers.transform import Composition, Transform
from phosphene.nn.monotone import Affine, Monotone
from phosphene.nn.spline import RationalQuadratic

__all__ = ["MAF", "MonotoneName", "NormName", "OrderName", "monotone_named", "order_named"]

MonotoneName = Literal["affine", "spline"]
NormName = Literal["actnorm", "none"]
OrderName = Literal["reversed", "random", "raster"]


class MAF(Flow):
    """z = f_L(... f_1(x)), each f masked autoregressive: z_k = exp(s(x_<k)) x_k + t(x_<k).

    Masked autoregressive flow (Papamakarios, Pavlakou and Murray, 2017); with splines in the place
    of affine functions, the autoregressive neural spline flow (Durkan et al., 2019). The density is
    parallel, one pass of each layer's network; a sample goes through the dimensions one after
    another, at the products of one pass all the same
    (:class:`phosphene.generative.flow.layers.autoregressive.MaskedAutoregressive`).

    The paper sets batch normalization before each layer. In training that makes the density of one
    example depend on the others of the batch, so that it is no density; here stands ActNorm in its
    place (Kingma and Dhariwal, 2018), which scales by the first batch and learns from there, and is
    the same in training as after it.

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
        norm: ``actnorm`` before each layer, or ``none``.
        limit: The largest |s| of affine functions, s = r / (1 + |r| / limit) of what the network
            gives; 0 for none.
        bins: Of splines.
        bound: Beyond this |x|, in units of the data's deviation, splines are the identity.
        base: The base distribution.
        components: Of a mixture base.
        codec: Of images, ``logit`` or ``centered``.
        alpha: The logit's margin.
        whiten: Begin with a linear map that whitens vectors, found in closed form.

    Raises:
        ConfigError: There is no layer, or a width is out of range.
        UnknownNameError: There is no such monotone function, order, norm, activation or base.
        EventError: The event is neither real nor an image, or the context an image or a text.

    Example:
        >>> flow = MAF(Event.real(3), layers=2, hidden=(8,))
        >>> flow.log_prob(torch.zeros(5, 3)).shape
        torch.Size([5])
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
        norm: NormName = "actnorm",
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
        if norm not in get_args(NormName):
            raise UnknownNameError("normalization", norm, get_args(NormName))
        transforms: list[Transform] = []
        for i in range(layers):
            if norm == "actnorm":
                transforms.append(FlatActNorm(event.dimensions))
            layer = MaskedAutoregressive(
                event.dimensions,
                h,
                hidden=hidden,
                order=order_named(order, event.dimensions, i),
                activation=activation,
                residual=residual,
                context=self.context,
            )
            transforms.append(layer)
        self.build(Composition(transforms))


class FlatActNorm(ActNorm):
    """ActNorm of every dimension of an example of any shape.

    Args:
        channels: The dimensions of one example, D.
    """

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Scale and shift."""
        z, log_det = super().forward_and_log_det(x.flatten(1), context)
        return z.view_as(x), log_det

    def inverse_and_log_det(
        self, z: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Shift and scale back."""
        x, log_det = super().inverse_and_log_det(z.flatten(1), context)
        return x.view_as(z), log_det

    def prepare(self, x: Tensor, context: Context | None = None) -> Tensor:
        """Set the scale and the shift by the batch, unless they have been set."""
        return super().prepare(x.flatten(1), context).view_as(x)


def monotone_named(name: str, limit: float, bins: int, bound: float) -> Monotone:
    """The function that moves each dimension.

    Raises:
        UnknownNameError: There is no such function.
    """
    if name not in get_args(MonotoneName):
        raise UnknownNameError("monotone function", name, get_args(MonotoneName))
    return Affine(limit) if name == "affine" else RationalQuadratic(bins, bound)


def order_named(name: str, dimensions: int, layer: int) -> Tensor:
    """The order of one layer, the first being layer 0.

    Raises:
        UnknownNameError: There is no such order.
    """
    if name not in get_args(OrderName):
        raise UnknownNameError("order", name, get_args(OrderName))
    if name == "random":
        return torch.randperm(dimensions)
    ascending = torch.arange(dimensions)
    return ascending.flip(0) if name == "reversed" and layer % 2 else ascending
