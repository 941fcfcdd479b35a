"""RNADE: NADE for real values, each conditional a mixture of Gaussians or logistics."""

from typing import Any, Literal

import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.moments import standardize
from phosphene.core.ranges import Count
from phosphene.core.settings import pinned, setting
from phosphene.generative.autoregressive.nade import NADEBase
from phosphene.nn.noise import Uniform
from phosphene.nn.scalar_distributions import (
    Conditional,
    ConditionalName,
    GaussianMixture,
    LogisticMixture,
)

__all__ = ["RNADE"]

_MIXTURES = {"gaussian": GaussianMixture, "logistic": LogisticMixture}


class RNADE(NADEBase):
    """p(x_i | x_{<i}) = sum_k pi_k N(x_i; mu_k, sigma_k^2), all three linear in h_i.

    By Uria, Murray and Larochelle (2013). The hidden layers are NADE's, h_i = f(rho_i a_i) with
    a_{i+1} = a_i + W_i x_i: the sums grow with i, and the learned factors rho_i bring them back to
    where f is sensitive. Data of any unit are standardized; log-densities are those of the data
    themselves.

    A component that becomes narrow gets gradients of its mean that grow as 1/sigma^2, and its
    learning rate would have to fall with it. In training the gradient of a mean is therefore
    multiplied by its sigma.

    Args:
        event: Reals of any shape, D dimensions in raster order.
        context: A label or a vector, or nothing; it adds to the biases.

    Raises:
        EventError: The event holds codes (``nade`` models them).
        ConfigError: A setting is out of range.

    Example:
        >>> from phosphene.core.event import Event
        >>> model = RNADE(Event.real(3), hidden=8, components=2)
        >>> model.log_prob(torch.zeros(5, 3)).shape
        torch.Size([5])
    """

    hidden: Count = setting(default=100, help="Hidden units.")
    mixture: Literal["gaussian", "logistic"] = setting(
        default="gaussian", help="``gaussian`` or ``logistic``."
    )
    scale_mean_gradient: bool = setting(
        default=True, help="Multiply gradients of means by their sigma in training."
    )

    conditional_name: ConditionalName = pinned(default="auto")
    scaled = True

    def distribution(self) -> Conditional:
        """A mixture."""
        return _MIXTURES[self.mixture](self.event, self.components)

    def shown(self) -> int:
        """One number."""
        return 1

    def features(self, x: Tensor, dimensions: Tensor) -> Tensor:
        """Standardized values."""
        shift, scale = self.conditional.shift, self.conditional.scale
        assert isinstance(shift, Tensor)
        assert isinstance(scale, Tensor)
        return standardize(x, shift[dimensions], scale[dimensions], self.dtype)[..., None]

    def member_log_prob(
        self,
        x: Tensor,
        context: Context | None = None,
        *,
        member: int = 0,
        uniform: Uniform | None = None,
    ) -> Tensor:
        """Log-density (n,) under one order; noise tells training, where means learn slower."""
        params = self.conditionals(x, context, member=member, uniform=uniform)
        if uniform is not None and self.scale_mean_gradient:
            weight, mean, log_scale = params.chunk(3, -1)
            mean = _ScaledGradient.apply(mean, log_scale.detach().clamp(max=8.0).exp())
            params = torch.cat((weight, mean, log_scale), -1)
        return self.conditional.log_prob(params, x.flatten(1)).sum(-1)


class _ScaledGradient(torch.autograd.Function):
    """The identity, whose gradient is multiplied by a factor."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, factor: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(inputs[1])
        ctx.save_for_forward(inputs[1])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (factor,) = ctx.saved_tensors
        return grads[0] * factor, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor) -> Tensor:
        (factor,) = ctx.saved_tensors
        moved: Tensor = tangents[0] * factor
        return moved
