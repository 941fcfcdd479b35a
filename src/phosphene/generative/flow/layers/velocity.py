"""Networks that give the velocity of a continuous flow from x, the time and the context."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, EventError, UnknownNameError
from phosphene.generative.flow.layers.conditioner import resized
from phosphene.nn.activations import activation_named
from phosphene.nn.context_embedding import ConditionBias, FlatImage
from phosphene.nn.mlp import check_widths

__all__ = ["TIMED_LAYERS", "TimedLayer", "VelocityNetwork"]

_SQRT_2PI = math.sqrt(2 * math.pi)

_SLOPES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "elu": lambda x, y: torch.where(x > 0, torch.ones_like(x), y + 1),
    "gelu": lambda x, y: (
        0.5 * (1 + torch.erf(x / math.sqrt(2))) + x * torch.exp(-x.square() / 2) / _SQRT_2PI
    ),
    "identity": lambda x, y: torch.ones_like(x),
    "sigmoid": lambda x, y: y * (1 - y),
    "silu": lambda x, y: torch.sigmoid(x) + y * torch.sigmoid(-x),
    "softplus": lambda x, y: torch.sigmoid(x),
    "tanh": lambda x, y: 1 - y.square(),
}
"""a'(x) of each smooth activation, given x and y = a(x)."""

TIMED_LAYERS: tuple[Literal["concatsquash", "concat"], ...] = ("concatsquash", "concat")


class TimedLayer(nn.Module):
    """W h + b and the time t: one of two layers of FFJORD (Grathwohl et al., 2019).

    ``concat`` adds V t, as if t were one more input; ``concatsquash`` is
    (W h + b) sigmoid(V t + c) + V' t. A condition adds to what stands beside t.

    Args:
        inputs: Numbers, or channels, of h.
        outputs: Numbers, or channels, of the result.
        kind: Which of the two.
        convolution: W is a convolution 3x3 of images.
        context: Labels and vectors of the condition.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        kind: str = "concatsquash",
        convolution: bool = False,
        context: ContextSpec | None = None,
    ) -> None:
        super().__init__()
        self.squash, self.convolution = kind == "concatsquash", convolution
        self.map: nn.Conv2d | nn.Linear = (
            nn.Conv2d(inputs, outputs, 3, padding=1) if convolution else nn.Linear(inputs, outputs)
        )
        told = (2 if self.squash else 1) * outputs
        self.time = nn.Linear(1, told, bias=self.squash)
        self.condition = ConditionBias(context or ContextSpec(), told)

    def forward(self, h: Tensor, t: Tensor, context: Context | None = None) -> Tensor:
        """h (n, inputs, ...) and t (n,)."""
        gate, bias = self._told(t, context)
        out: Tensor = self.map(h)
        return out + bias if gate is None else out * gate + bias

    def pushed(
        self, h: Tensor, tangents: Tensor, t: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """The layer of h, and its derivative along tangents (n, K, at most inputs, ...)."""
        gate, bias = self._told(t, context)
        out: Tensor = self.map(h)
        weight = self.map.weight[:, : tangents.shape[2]]  # what stands behind them does not move
        if self.convolution:
            moved = F.conv2d(tangents.flatten(0, 1), weight, padding=1)
            moved = moved.unflatten(0, tangents.shape[:2])
        else:
            moved = F.linear(tangents, weight)
        if gate is None:
            return out + bias, moved
        return out * gate + bias, moved * gate[:, None]

    def _told(self, t: Tensor, context: Context | None) -> tuple[Tensor | None, Tensor]:
        """What the result is multiplied by, and what is added."""
        told: Tensor = self.time(t[:, None])
        more = self.condition(context)
        if more is not None:
            told = told + more
        if self.convolution:
            told = told[:, :, None, None]
        if not self.squash:
            return None, told
        gate, bias = told.chunk(2, 1)
        return torch.sigmoid(gate), bias

    def start_at_zero(self) -> None:
        """Make the layer's result 0 for every input, time and condition."""
        for tensor in (self.map.weight, self.map.bias):
            assert tensor is not None
            nn.init.zeros_(tensor)
        outputs = self.map.weight.shape[0]
        linears = (self.time, self.condition.map)
        with torch.no_grad():
            for linear in linears:
                if linear is not None:
                    linear.weight[-outputs:] = 0
            if self.squash:
                self.time.bias[-outputs:] = 0


class VelocityNetwork(nn.Module):
    """v(x, t; context): timed layers with a smooth activation between them, 0 at the start.

    Args:
        shape: Of one example; vectors (or anything flattened), or (channels, height, width) for
            convolutions.
        hidden: Widths, or channels, of the hidden layers.
        activation: A smooth one: the trace of dv/dx is trained through its second derivative.
        layer: ``concatsquash`` or ``concat``.
        convolution: Convolutions 3x3 instead of matrices.
        context: Labels and vectors are told to every layer, images are concatenated to the input.

    Raises:
        ConfigError: The activation has a kink.
        UnknownNameError: There is no such layer or activation.

    Example:
        >>> net = VelocityNetwork((2,), (8,))
        >>> net(torch.zeros(3, 2), torch.zeros(3))
        tensor([[0., 0.],
                [0., 0.],
                [0., 0.]], grad_fn=<ViewBackward0>)
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        hidden: Sequence[int],
        *,
        activation: str = "tanh",
        layer: str = "concatsquash",
        convolution: bool = False,
        context: ContextSpec | None = None,
    ) -> None:
        super().__init__()
        check_widths(hidden)
        if layer not in TIMED_LAYERS:
            raise UnknownNameError("layer of a velocity", layer, TIMED_LAYERS)
        self.activation = activation_named(activation)
        if activation not in _SLOPES:
            raise ConfigError(
                f"activation {activation!r} has a kink, and a velocity is trained through second "
                f"derivatives; use 'tanh', 'softplus' or 'silu'"
            )
        self.slope = _SLOPES[activation]
        spec = context or ContextSpec()
        self.image, self.convolution = spec.image, convolution
        inputs = shape[0] if convolution else int(torch.Size(shape).numel())
        more, self.flat = 0, None
        if spec.image is not None:
            self.flat = None if convolution else FlatImage(spec.image)
            if convolution and not spec.image.has_image_shape:
                raise EventError(f"a context image is (channels, height, width), got {spec.image}")
            more = spec.image.shape[0] if convolution else spec.image.dimensions
        self.layers = nn.ModuleList(
            TimedLayer(a, b, kind=layer, convolution=convolution, context=spec)
            for a, b in pairwise((inputs + more, *hidden, inputs))
        )
        last = self.layers[-1]
        assert isinstance(last, TimedLayer)
        last.start_at_zero()

    def forward(self, x: Tensor, t: Tensor, context: Context | None = None) -> Tensor:
        """x (n, *shape) and t (n,) to (n, *shape)."""
        h = self._input(x, context)
        *body, head = self.layers
        for layer in body:
            h = self.activation(layer(h, t, context))
        out: Tensor = head(h, t, context)
        return out.view_as(x)

    def pushed(
        self, x: Tensor, t: Tensor, tangents: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """v, and (dv/dx) e for K tangents e (n, K, *shape), carried along layer by layer.

        It is about twice as fast as products of reverse mode, and their derivatives, are.
        """
        h = self._input(x, context)
        moved = tangents if self.convolution else tangents.flatten(2)
        *body, head = self.layers
        for layer in body:
            assert isinstance(layer, TimedLayer)
            before, moved = layer.pushed(h, moved, t, context)
            h = self.activation(before)
            moved = moved * self.slope(before, h)[:, None]
        assert isinstance(head, TimedLayer)
        out, moved = head.pushed(h, moved, t, context)
        return out.view_as(x), moved.view_as(tangents)

    def _input(self, x: Tensor, context: Context | None) -> Tensor:
        h = x if self.convolution else x.flatten(1)
        if self.image is None:
            return h
        if self.flat is not None:
            return torch.cat((h, self.flat(context, h.dtype)), 1)
        assert context is not None
        assert context.image is not None
        return torch.cat((h, resized(context.image, self.image.levels, x)), 1)
