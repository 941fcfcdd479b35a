"""The linear layer y = x W^T + b.

After Rumelhart, Hinton and Williams (1986).
"""

import math

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError
from phosphene.core.rng import generator
from phosphene.learning.backprop.layer import Layer, whole

__all__ = ["Linear", "linear", "linear_backward"]


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y = x W^T + b.

    Args:
        x: (n, inputs).
        weight: (outputs, inputs).
        bias: (outputs,).
    """
    return x @ weight.T if bias is None else torch.addmm(bias, x, weight.T)


def linear_backward(x: Tensor, weight: Tensor, dy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """dx = dy W, dW = dy^T x, db = the sum of dy over rows.

    Args:
        x: (n, inputs).
        weight: (outputs, inputs).
        dy: (n, outputs).

    Example:
        >>> x, dy = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0]])
        >>> linear_backward(x, torch.tensor([[5.0, 7.0]]), dy)
        (tensor([[15., 21.]]), tensor([[3., 6.]]), tensor([3.]))
    """
    return dy @ weight, dy.T @ x, dy.sum(0)


class Linear(Layer):
    """y = x W^T + b, for rows x.

    Weights begin normal with variance 2 / inputs (He and others, 2015), biases at 0.

    Args:
        inputs: Width of x.
        outputs: Width of y.
        bias: Whether there is a b.
        seed: Of the weights.

    Raises:
        ConfigError: A width is not above 0, or x has another width.

    Example:
        >>> layer = Linear(3, 2, seed=0)
        >>> layer(torch.ones(4, 3)).shape, layer.backward(torch.ones(4, 2)).shape
        (torch.Size([4, 2]), torch.Size([4, 3]))
    """

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True, seed: int = 0) -> None:
        super().__init__()
        whole(inputs=inputs, outputs=outputs)
        g = generator(seed, inputs, outputs)
        weight = torch.randn(outputs, inputs, generator=g)
        self.parameters["weight"] = weight * math.sqrt(2 / inputs)
        if bias:
            self.parameters["bias"] = torch.zeros(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """x (n, inputs) to y (n, outputs)."""
        weight = self.parameters["weight"]
        if x.ndim != 2 or x.shape[1] != weight.shape[1]:
            raise ConfigError(f"x must be (n, {weight.shape[1]}), got {tuple(x.shape)}")
        self._x = x
        return linear(x, weight, self.parameters.get("bias"))

    def backward(self, dy: Tensor) -> Tensor:
        """dy (n, outputs) to dx (n, inputs)."""
        dx, weight, bias = linear_backward(self._x, self.parameters["weight"], dy)
        self.grads = {"weight": weight, "bias": bias}
        if "bias" not in self.parameters:
            del self.grads["bias"]
        return dx
