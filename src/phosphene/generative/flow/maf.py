"""Masked autoregressive flow."""

from typing import Literal

import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.settings import pinned, setting
from phosphene.generative.flow.flow import Flow
from phosphene.generative.flow.layers.actnorm import ActNorm
from phosphene.generative.flow.layers.autoregressive import MaskedAutoregressive
from phosphene.generative.flow.layers.transform import Composition, Transform
from phosphene.generative.flow.settings import MaskedFlowSettings
from phosphene.nn.monotone import Affine, Monotone
from phosphene.nn.spline import RationalQuadratic

__all__ = ["MAF", "NormName", "monotone_named", "order_named"]

NormName = Literal["actnorm", "none"]


class MAF(MaskedFlowSettings, Flow):
    """z = f_L(... f_1(x)), each f masked autoregressive: z_k = exp(s(x_<k)) x_k + t(x_<k).

    Masked autoregressive flow (Papamakarios, Pavlakou and Murray, 2017); with splines in the place
    of affine functions, the autoregressive neural spline flow (Durkan et al., 2019). The density is
    parallel, one pass of each layer's network; a sample goes through the dimensions one after
    another, at the products of one pass all the same
    (:class:`phosphene.generative.flow.layers.autoregressive.MaskedAutoregressive`).

    The paper puts batch normalization before each layer. In training it makes the value for one
    example depend on the rest of the batch, so that it is not a density. ActNorm (Kingma and
    Dhariwal, 2018) replaces it here: it is initialized by the first batch, learned from there on,
    and the same in training and evaluation.

    Args:
        event: Reals, or images of codes; flattened in raster order, D dimensions.
        context: A label or a vector, or nothing.

    Raises:
        ConfigError: There is no layer, or a width is out of range.
        UnknownNameError: There is no such monotone function, order, norm, activation or base.
        EventError: The event is neither real nor an image, or the context an image or a text.

    Example:
        >>> from phosphene.core.event import Event
        >>> flow = MAF(Event.real(3), layers=2, hidden=(8,))
        >>> flow.log_prob(torch.zeros(5, 3)).shape
        torch.Size([5])
    """

    norm: NormName = setting(default="actnorm", help="``actnorm`` before each layer, or ``none``.")

    dequantization: str = pinned(default="uniform")

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        if self.context.image is not None or self.context.text is not None:
            self.refuse("it is conditioned on a label or a vector, not on an image or a text")
        h = monotone_named(self.monotone, self.limit, self.bins, self.bound)
        transforms: list[Transform] = []
        for i in range(self.layers):
            if self.norm == "actnorm":
                transforms.append(FlatActNorm(self.event.dimensions))
            layer = MaskedAutoregressive(
                self.event.dimensions,
                h,
                hidden=self.hidden,
                order=order_named(self.order, self.event.dimensions, i),
                activation=self.activation_name,
                residual=self.residual,
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
    """The function that moves each dimension."""
    return Affine(limit) if name == "affine" else RationalQuadratic(bins, bound)


def order_named(name: str, dimensions: int, layer: int) -> Tensor:
    """The order of one layer, the first being layer 0."""
    if name == "random":
        return torch.randperm(dimensions)
    ascending = torch.arange(dimensions)
    return ascending.flip(0) if name == "reversed" and layer % 2 else ascending
