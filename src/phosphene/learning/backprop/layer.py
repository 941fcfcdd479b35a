"""A layer with its forward and its backward pass written out, and layers in a chain.

A layer is a function y = f(x; w). Backpropagation goes through a chain of them from the end: what
arrives is dL/dy, and a layer gives back dL/dx = (dy/dx)^T dL/dy and, for its own parameters,
dL/dw = (dy/dw)^T dL/dy (Rumelhart, Hinton and Williams, 1986). Nothing here asks autograd for a
gradient.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError

__all__ = ["Flatten", "Layer", "Network", "numeric_gradient", "whole"]


class Layer:
    """The base of layers: parameters, their gradients, and two passes.

    ``forward`` keeps what ``backward`` needs; ``backward`` uses it, and overwrites ``grads``.

    Subclasses fill ``parameters``, and write ``forward(x)`` and ``backward(dy)``. What is handed to
    these is looked at here, before they see it.

    Raises:
        ConfigError: x is no tensor of the parameters' type; dy has not the shape of y; or there was
            no forward before a backward.
    """

    def __init_subclass__(cls, *, checked: bool = True) -> None:
        """Put the checks before a class's own two passes.

        Args:
            checked: Whether it has any; a class may have checks of its own.
        """
        super().__init_subclass__()
        own = vars(cls)
        if checked and "forward" in own and "backward" in own:
            cls.forward = _checked_forward(cls, own["forward"])  # type: ignore[method-assign]
            cls.backward = _checked_backward(cls, own["backward"])  # type: ignore[method-assign]

    def __init__(self) -> None:
        self.parameters: dict[str, Tensor] = {}
        self.grads: dict[str, Tensor] = {}
        self.buffers: dict[str, Tensor] = {}
        self.training = True

    def forward(self, x: Tensor) -> Tensor:
        """The value y = f(x)."""
        raise NotImplementedError

    def backward(self, dy: Tensor) -> Tensor:
        """dL/dx from dL/dy; the gradients of the parameters go into ``grads``."""
        raise NotImplementedError

    def __call__(self, x: Tensor) -> Tensor:
        """The same as ``forward``."""
        return self.forward(x)

    def to(self, dtype: torch.dtype) -> "Layer":
        """Change the number type of parameters and buffers, in this layer.

        Example:
            >>> from phosphene.learning.backprop.linear import Linear
            >>> Linear(2, 3).to(torch.float64).parameters["weight"].dtype
            torch.float64
        """
        for kept in (self.parameters, self.buffers):
            for name, value in kept.items():
                if value.is_floating_point():
                    kept[name] = value.to(dtype)
        return self


def _checked_forward(cls: type, forward: Callable[[Any, Tensor], Tensor]) -> Any:
    @wraps(forward)
    def look_first(layer: Layer, x: Tensor) -> Tensor:
        if not isinstance(x, Tensor) or not x.is_floating_point():
            kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
            raise ConfigError(f"x must be a tensor of floating-point numbers, got {kind}")
        for name, value in layer.parameters.items():
            if value.dtype != x.dtype:
                wanted = f"layer.to({x.dtype}) changes the layer"
                raise ConfigError(f"x is of {x.dtype}, and {name} of {value.dtype}; {wanted}")
        y = forward(layer, x)
        layer.__dict__.setdefault("_shapes", {})[cls] = y.shape
        return y

    return look_first


def _checked_backward(cls: type, backward: Callable[[Any, Tensor], Tensor]) -> Any:
    @wraps(backward)
    def look_first(layer: Layer, dy: Tensor) -> Tensor:
        shape = layer.__dict__.get("_shapes", {}).get(cls)
        if shape is None:
            raise ConfigError(f"backward of {type(layer).__name__} needs a forward before it")
        if not isinstance(dy, Tensor) or dy.shape != shape:
            got = tuple(dy.shape) if isinstance(dy, Tensor) else type(dy).__name__
            raise ConfigError(f"dy must be of the shape of y, {tuple(shape)}, got {got}")
        return backward(layer, dy)

    return look_first


def whole(**values: Any) -> None:
    """Refuse what is no whole number of at least 1.

    Raises:
        ConfigError: It is not.

    Example:
        >>> whole(inputs=3, outputs=0)
        Traceback (most recent call last):
        ...
        phosphene.core.errors.ConfigError: outputs must be a whole number of at least 1, got 0
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ConfigError(f"{name} must be a whole number of at least 1, got {value!r}")


class Flatten(Layer):
    """(n, ...) to (n, all the rest); backward gives the shape back.

    Example:
        >>> Flatten()(torch.zeros(2, 3, 4)).shape
        torch.Size([2, 12])
    """

    def forward(self, x: Tensor) -> Tensor:
        """The rows of x."""
        self._shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, dy: Tensor) -> Tensor:
        """The gradient in the shape of x."""
        return dy.reshape(self._shape)


class Network(Layer):
    """Layers one after another: forward from the first to the last, backward from the last.

    The parameters of layer k are called ``"k.weight"`` and so on, as ``torch.nn.Sequential`` calls
    them where layers stand in the same order.

    Args:
        layers: One or more.

    Raises:
        ConfigError: There is no layer.

    Example:
        >>> from phosphene.learning.backprop.linear import Linear
        >>> from phosphene.learning.backprop.losses import SquaredError
        >>> network, loss = Network([Linear(3, 4, seed=0), Linear(4, 1, seed=1)]), SquaredError()
        >>> value = loss.forward(network(torch.ones(5, 3)), torch.zeros(5, 1))
        >>> network.backward(loss.backward()).shape
        torch.Size([5, 3])
        >>> sorted(network.grads)
        ['0.bias', '0.weight', '1.bias', '1.weight']
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        if not layers:
            raise ConfigError("a network needs at least one layer, got none")
        for layer in layers:
            if not isinstance(layer, Layer):
                raise ConfigError(f"a network is made of layers, got {type(layer).__name__}")
        self.layers = list(layers)
        self._training = True

    def forward(self, x: Tensor) -> Tensor:
        """The last layer's value."""
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy: Tensor) -> Tensor:
        """dL/dx; each layer keeps the gradients of its parameters."""
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return dy

    @property
    def parameters(self) -> dict[str, Tensor]:  # type: ignore[override]
        """Every layer's, by number and name."""
        return {
            f"{k}.{n}": v for k, own in enumerate(self.layers) for n, v in own.parameters.items()
        }

    @property
    def grads(self) -> dict[str, Tensor]:  # type: ignore[override]
        """Every layer's, by number and name."""
        return {f"{k}.{n}": v for k, own in enumerate(self.layers) for n, v in own.grads.items()}

    @property
    def buffers(self) -> dict[str, Tensor]:  # type: ignore[override]
        """Every layer's, by number and name."""
        return {f"{k}.{n}": v for k, own in enumerate(self.layers) for n, v in own.buffers.items()}

    @property
    def training(self) -> bool:
        """Whether layers that differ in training behave as in training."""
        return self._training

    @training.setter
    def training(self, value: bool) -> None:
        self._training = value
        for layer in self.layers:
            layer.training = value

    @contextlib.contextmanager
    def evaluating(self) -> Iterator[None]:
        """Behave as after training, inside a ``with``."""
        before, self.training = self._training, False
        try:
            yield
        finally:
            self.training = before

    def to(self, dtype: torch.dtype) -> "Network":
        """Change the number type of every layer."""
        for layer in self.layers:
            layer.to(dtype)
        return self


def numeric_gradient(f: Callable[[Tensor], Tensor], x: Tensor, step: float = 1e-6) -> Tensor:
    """df/dx of a scalar function by central differences, (f(x + h) - f(x - h)) / 2h.

    Its error is of the order of step squared, and of the rounding of f over step.

    Args:
        f: Takes a tensor of x's shape.
        x: Where; it is changed for a moment, and put back.
        step: h.

    Example:
        >>> x = torch.tensor([1.0, 2.0], dtype=torch.float64)
        >>> numeric_gradient(lambda v: (v**2).sum(), x).round(decimals=6)
        tensor([2., 4.], dtype=torch.float64)
    """
    gradient = torch.zeros_like(x)
    flat, out = x.view(-1), gradient.view(-1)
    for k in range(flat.numel()):
        kept = flat[k].item()
        flat[k] = kept + step
        above = float(f(x))
        flat[k] = kept - step
        below = float(f(x))
        flat[k] = kept
        out[k] = (above - below) / (2 * step)
    return gradient
