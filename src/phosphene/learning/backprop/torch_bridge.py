"""Layers of ours inside torch: our backward is what autograd calls, and nothing else.

After Paszke and others (2019).
"""

from typing import Any

import torch
from torch import Tensor, nn

from phosphene.core.errors import ConfigError
from phosphene.learning.backprop.layer import Layer

__all__ = ["AsModule", "function_of"]


def function_of(layer: Layer, x: Tensor, *parameters: Tensor) -> Tensor:
    """The layer's value as an autograd function of x and of the parameters, in their order.

    The layer keeps what its backward needs until that is called: one backward for each forward, in
    the opposite order, as in a network that is trained.

    Args:
        layer: Whose forward and backward are called.
        x: Its input.
        parameters: Tensors that take the place of ``layer.parameters``.

    Raises:
        ConfigError: In the backward pass, if gradients of gradients are asked for.

    Example:
        >>> from phosphene.learning.backprop.linear import Linear
        >>> layer, x = Linear(2, 1), torch.ones(3, 2, requires_grad=True)
        >>> function_of(layer, x, *layer.parameters.values()).sum().backward()
        >>> x.grad.shape
        torch.Size([3, 2])
    """
    found: Tensor = _Bridge.apply(layer, x, *parameters)
    return found


class _Bridge(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, layer: Layer, x: Tensor, *parameters: Tensor) -> Tensor:
        ctx.layer, ctx.names = layer, list(layer.parameters)
        for name, value in zip(ctx.names, parameters, strict=True):
            _put(layer, name, value.detach())
        return layer.forward(x.detach())

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Any, ...]:
        if torch.is_grad_enabled():  # create_graph=True: somebody will differentiate once more
            raise ConfigError(
                "the gradients of a layer whose backward is written out are numbers, without "
                "gradients of their own; create_graph must be left out"
            )
        dx = ctx.layer.backward(dy)
        grads = ctx.layer.grads
        return (None, dx if ctx.needs_input_grad[1] else None, *(grads[n] for n in ctx.names))


def _put(layer: Layer, name: str, value: Tensor) -> None:
    """Set a parameter, also one of a layer within a network (``"2.weight"``)."""
    layers = getattr(layer, "layers", None)
    if layers is None:
        layer.parameters[name] = value
    else:
        k, _, rest = name.partition(".")
        _put(layers[int(k)], rest, value)


class AsModule(nn.Module):
    """A layer, or a network of layers, as a torch module; its parameters are torch parameters.

    Args:
        layer: What computes and differentiates.

    Example:
        >>> from phosphene.learning.backprop.linear import Linear
        >>> module = AsModule(Linear(2, 1))
        >>> module(torch.ones(3, 2)).sum().backward()
        >>> [name for name, p in module.named_parameters() if p.grad is not None]
        ['weight', 'bias']
    """

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        if not isinstance(layer, Layer):
            raise ConfigError(f"what becomes a module is a layer, got {type(layer).__name__}")
        self.layer = layer
        self._names = list(layer.parameters)
        for name, value in layer.parameters.items():
            self.register_parameter(name.replace(".", "_"), nn.Parameter(value.clone()))

    def forward(self, x: Tensor) -> Tensor:
        """The layer's value; differentiable in x and in the parameters."""
        self.layer.training = self.training
        own = (getattr(self, name.replace(".", "_")) for name in self._names)
        return function_of(self.layer, x, *own)
