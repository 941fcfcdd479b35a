"""Networks that give the parameters of a coupling, perhaps given a context."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.context import Context, ContextSpec
from phosphene.core.derivatives import batched, transformed
from phosphene.core.errors import ConfigError, EventError
from phosphene.kernels.image_net import (
    ImageNetArrays,
    Packed,
    image_net,
    image_net_usable,
    packed,
)
from phosphene.kernels.library import backend
from phosphene.nn.activations import activation_named
from phosphene.nn.cached import Kept
from phosphene.nn.context_embedding import ConditionBias, FlatImage
from phosphene.nn.mlp import check_widths

__all__ = ["ImageConditioner", "VectorConditioner", "channels_last", "resized"]

_NATIVE_UP_TO = 256
"""Hidden channels. Up to 128 the kernel takes 0.3 to 0.9 of torch's time, at 512 as much."""


class VectorConditioner(nn.Module):
    """A multilayer perceptron; labels and vectors add to every hidden layer, images enter flat.

    The last layer starts at zero, so that what it is the conditioner of starts as the identity.

    Args:
        inputs: Size of what it sees of the example.
        hidden: Widths of the hidden layers.
        outputs: Numbers it gives.
        activation: Its name.
        context: What it is conditioned on.
    """

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        outputs: int,
        *,
        activation: str = "relu",
        context: ContextSpec | None = None,
    ) -> None:
        super().__init__()
        check_widths(hidden)
        spec = context or ContextSpec()
        self.image = None if spec.image is None else FlatImage(spec.image)
        more = 0 if self.image is None else self.image.width
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise((inputs + more, *hidden)))
        last = hidden[-1] if hidden else inputs + more
        self.head = nn.Linear(last, outputs)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.conditions = nn.ModuleList(ConditionBias(spec, w) for w in (*hidden, outputs))
        self._told = spec.label is not None or spec.vector is not None
        last_condition = self.conditions[-1]
        assert isinstance(last_condition, ConditionBias)
        if last_condition.map is not None:
            nn.init.zeros_(last_condition.map.weight)
        self.activation = activation_named(activation)

    def forward(self, x: Tensor, context: Context | None = None) -> Tensor:
        """(n, inputs) to (n, outputs)."""
        h = x
        if self.image is not None:
            h = torch.cat((h, self.image(context, h.dtype)), 1)
        if not self._told:  # a call that gives nothing takes as long as a small operator
            for layer in self.layers:
                h = self.activation(layer(h))
            plain: Tensor = self.head(h)
            return plain
        for layer, condition in zip(self.layers, self.conditions, strict=False):
            h = self.activation(_plus(layer(h), condition(context)))
        out: Tensor = _plus(self.head(h), self.conditions[-1](context))
        return out


class ImageConditioner(nn.Module):
    """Glow's network: three convolutions, 3x3, 1x1 and 3x3 (Kingma and Dhariwal, 2018).

    An image that it is conditioned on is resized to x's height and width (averaged where it is
    larger, interpolated where it is smaller) and concatenated to the channels; codes of L levels
    are first scaled to [-1, 1]. Labels and vectors add to each hidden channel. The last layer
    starts at zero. Channels lie last in memory, where convolutions on a CPU are up to twice as
    fast; what it gives has x's type, also under autocast. Without gradients it is a native kernel
    in float32 on a CPU (``phosphene.kernels.image_net``), where there is one.

    Args:
        inputs: Channels it sees of the example.
        hidden: Channels of the hidden layers.
        outputs: Channels it gives.
        activation: Its name.
        context: What it is conditioned on.
        kernels: Sides of the convolutions, odd.

    Example:
        >>> net = ImageConditioner(2, 8, 4, context=ContextSpec(label=10))
        >>> net(torch.zeros(3, 2, 4, 4), Context(label=torch.tensor([0, 1, 2]))).shape
        torch.Size([3, 4, 4, 4])
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        outputs: int,
        *,
        activation: str = "relu",
        context: ContextSpec | None = None,
        kernels: Sequence[int] = (3, 1, 3),
    ) -> None:
        super().__init__()
        check_widths((hidden,))
        if len(kernels) != 3 or any(k < 1 or k % 2 == 0 for k in kernels):
            raise ConfigError(f"kernels must be three odd sizes, got {tuple(kernels)}")
        spec = context or ContextSpec()
        self.image = spec.image
        if spec.image is not None and len(spec.image.shape) != 3:
            raise EventError(f"a context image is (channels, height, width), got {spec.image}")
        more = 0 if spec.image is None else spec.image.shape[0]
        widths = (inputs + more, hidden, hidden, outputs)
        self.first, self.second, self.head = (
            nn.Conv2d(a, b, k, padding=k // 2)
            for (a, b), k in zip(pairwise(widths), kernels, strict=True)
        )
        nn.init.zeros_(self.head.weight)
        assert self.head.bias is not None
        nn.init.zeros_(self.head.bias)
        self.conditions = nn.ModuleList(ConditionBias(spec, hidden) for _ in range(2))
        self._told = spec.label is not None or spec.vector is not None
        self.activation, self._activation = activation_named(activation), activation
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._kept: Kept[Packed | None] = Kept(self, (self.first, self.second, self.head))

    def forward(self, x: Tensor, context: Context | None = None) -> Tensor:
        """(n, inputs, h, w) to (n, outputs, h, w)."""
        if self.image is not None:
            assert context is not None
            assert context.image is not None
            x = torch.cat((x, resized(context.image, self.image.levels, x)), 1)
        first = second = None
        if self._told:
            first, second = (condition(context) for condition in self.conditions)
        if (net := self._packed(x)) is not None:
            return image_net(net, x, first, second)
        seen = channels_last(x)
        h = self.activation(_plus_channels(self.first(seen), first))
        h = self.activation(_plus_channels(self.second(h), second))
        out: Tensor = self.head(h)
        return out.to(x.dtype).contiguous()

    def _packed(self, x: Tensor) -> Packed | None:
        """The network as the kernel takes it, None where torch computes."""
        if (
            torch.is_grad_enabled()
            or torch.compiler.is_compiling()
            or transformed()
            or x.dtype != torch.float32
            or torch.is_autocast_enabled(x.device.type)
        ):
            return None
        return self._kept.get(backend().name, lambda: self._pack(x))

    def _pack(self, x: Tensor) -> Packed | None:
        layers = (self.first, self.second, self.head)
        biases = [layer.bias for layer in layers if layer.bias is not None]
        net = ImageNetArrays([layer.weight for layer in layers], biases, self._activation)
        narrow = self.first.out_channels <= _NATIVE_UP_TO
        return packed(net) if narrow and image_net_usable(net, x) else None


def resized(image: Tensor, levels: int | None, like: Tensor) -> Tensor:
    """A context image (n, c, h, w) as reals of the height and width of ``like``."""
    y = image.to(like.dtype)
    if levels is not None:
        y = y * (2 / (levels - 1)) - 1
    size = (like.shape[-2], like.shape[-1])
    if tuple(y.shape[-2:]) == size:
        return y
    if y.shape[-2] >= size[0] and y.shape[-1] >= size[1]:
        return F.adaptive_avg_pool2d(y, size)
    return F.interpolate(y, size=size, mode="bilinear", align_corners=False)


def channels_last(x: Tensor) -> Tensor:
    """The image with its channels last in memory, but under ``vmap``, which cannot move them."""
    return x if batched(x) else x.contiguous(memory_format=torch.channels_last)


def _plus(x: Tensor, more: Tensor | None) -> Tensor:
    return x if more is None else x + more


def _plus_channels(x: Tensor, more: Tensor | None) -> Tensor:
    return x if more is None else x + more[:, :, None, None]
