"""Networks that give the velocity of a continuous flow, told the time and the condition."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, EventError, UnknownNameError
from phosphene.nn.activations import activation_named
from phosphene.nn.condition import ConditionBias
from phosphene.nn.flow.conditioner import resized
from phosphene.nn.mlp import check_widths

__all__ = ["TIMED_LAYERS", "TimedLayer", "VelocityNetwork"]

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
        """H (n, inputs, ...) and t (n,)."""
        told: Tensor = self.time(t[:, None])
        more = self.condition(context)
        if more is not None:
            told = told + more
        if self.convolution:
            told = told[:, :, None, None]
        out: Tensor = self.map(h)
        if not self.squash:
            return out + told
        gate, bias = told.chunk(2, 1)
        return out * torch.sigmoid(gate) + bias

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
        if activation in ("relu", "leaky-relu"):
            raise ConfigError(
                f"activation {activation!r} has a kink, and a velocity is trained through second "
                f"derivatives; use 'tanh', 'softplus' or 'silu'"
            )
        spec = context or ContextSpec()
        self.image, self.convolution = spec.image, convolution
        inputs = shape[0] if convolution else int(torch.Size(shape).numel())
        more = 0
        if spec.image is not None:
            if convolution and not spec.image.is_image:
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
        """X (n, *shape) and t (n,) to (n, *shape)."""
        h = x if self.convolution else x.flatten(1)
        if self.image is not None:
            assert context is not None
            assert context.image is not None
            image = context.image
            beside = (
                resized(image, self.image.levels, x)
                if self.convolution
                else image.flatten(1).to(h.dtype)
            )
            h = torch.cat((h, beside), 1)
        *body, head = self.layers
        for layer in body:
            h = self.activation(layer(h, t, context))
        out: Tensor = head(h, t, context)
        return out.view_as(x)
