"""Dequantization: uniform or learned noise that places a code within its bin."""

from dataclasses import replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import UnknownNameError
from phosphene.core.event import Event
from phosphene.generative.flow.layers.conditioner import ImageConditioner
from phosphene.generative.flow.layers.transform import total
from phosphene.nn.monotone import Affine

__all__ = [
    "DEQUANTIZATIONS",
    "DequantizationName",
    "Dequantizer",
    "VariationalDequantizer",
    "build_dequantizer",
]

DequantizationName = Literal["uniform", "variational"]
DEQUANTIZATIONS: tuple[DequantizationName, ...] = ("uniform", "variational")


class Dequantizer(nn.Module):
    """q(u | x) on the unit cube: the place of a code in its bin, here uniform.

    log P(x) = log E_q p(x + u) / q(u | x) >= E_q[log p(x + u) - log q(u | x)] (Uria, Murray and
    Larochelle, 2013; Theis, van den Oord and Bethge, 2016).
    """

    def forward(self, x: Tensor, noise: Tensor, context: Context) -> tuple[Tensor, Tensor]:
        """u (n, ...) and log q(u | x) (n,), from uniform numbers of the shape of u.

        Args:
            x: Codes (n, ...).
            noise: Uniform numbers in [0, 1), in the type of the result.
            context: What the model is conditioned on.
        """
        return noise, noise.new_zeros(len(noise))


class VariationalDequantizer(Dequantizer):
    """A conditional flow on the unit cube, by which a bound is tightened (Flow++; Ho et al., 2019).

    u = sigmoid(v), v = g(logit(noise); x), and
    log q(u | x) = log l(logit(noise)) - log |det g'| - log l(v), where l is the logistic density,
    the slope of the sigmoid. g is an affine map whose shift and scale the codes decide, and after
    it affine couplings on a checkerboard, in turns on either color, which see the codes too. It
    starts as the identity, where q is exactly uniform: hence logistic noise, and not the normal
    noise of the paper.

    Args:
        event: An image of codes.
        context: What the model is conditioned on; its labels and vectors are used.
        layers: Couplings; none leaves the affine map, by which the dimensions are independent.
        hidden: Channels of the hidden layers of each network.

    Example:
        >>> q = VariationalDequantizer(Event.image(1, 2, levels=4), hidden=8)
        >>> x = torch.tensor([[[[0, 1], [2, 3]]]])
        >>> u, log_q = q(x, torch.full((1, 1, 2, 2), 0.25), Context())
        >>> u.shape, float(log_q.abs() < 1e-5)
        (torch.Size([1, 1, 2, 2]), 1.0)
    """

    def __init__(
        self,
        event: Event,
        *,
        context: ContextSpec | None = None,
        layers: int = 4,
        hidden: int = 32,
    ) -> None:
        super().__init__()
        channels, height, width = event.shape
        spec = replace(context or ContextSpec(), image=event, text=None)
        self.affine = Affine(limit=5.0)
        color = (torch.arange(height)[:, None] + torch.arange(width)) % 2
        # The first map moves every dimension and sees none of them, whatever the color.
        moved = [torch.ones_like(color), *(color == i % 2 for i in range(layers))]
        moved = [m for m in moved if m.any() and (m is moved[0] or not m.all())]
        self.register_buffer("moved", torch.stack(moved).bool(), persistent=False)
        self.networks = nn.ModuleList(
            ImageConditioner(channels, hidden, 2 * channels, context=spec) for _ in moved
        )

    moved: Tensor

    def forward(self, x: Tensor, noise: Tensor, context: Context) -> tuple[Tensor, Tensor]:
        """u and log q(u | x), differentiable in the parameters of q."""
        context = replace(context, image=x)
        tiny = torch.finfo(noise.dtype).eps
        v = torch.logit(noise, eps=tiny)
        log_q = -total(_to_cube(v))
        for moved, network in zip(self.moved, self.networks, strict=True):
            params = network(v.masked_fill(moved, 0.0), context)
            params = params.unflatten(1, (2, v.shape[1])).movedim(1, -1)
            y, log_slope = self.affine.forward(v, params)
            v = torch.where(moved, y, v)
            log_q = log_q - total(log_slope.masked_fill(~moved, 0.0))
        return v.sigmoid(), log_q + total(_to_cube(v))


def _to_cube(v: Tensor) -> Tensor:
    """Minus log sigmoid'(v)."""
    return F.softplus(v) + F.softplus(-v)


def build_dequantizer(name: str, event: Event, context: ContextSpec) -> Dequantizer:
    """A dequantizer by its name.

    Args:
        name: One of ``DEQUANTIZATIONS``.
        event: An image of codes.
        context: What the model is conditioned on.

    Raises:
        UnknownNameError: There is no such dequantization.
    """
    if name not in DEQUANTIZATIONS:
        raise UnknownNameError("dequantization", name, DEQUANTIZATIONS)
    return Dequantizer() if name == "uniform" else VariationalDequantizer(event, context=context)
