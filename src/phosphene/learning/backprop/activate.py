"""A layer that applies an activation function to each entry.

After Nair and Hinton (2010).
"""

from torch import Tensor

from phosphene.core.errors import ConfigError
from phosphene.learning.backprop.activations import activation
from phosphene.learning.backprop.layer import Layer

__all__ = ["Activate"]


class Activate(Layer):
    """y = f(x), entry by entry; dL/dx = dL/dy f'(x).

    Args:
        name: Of :data:`~phosphene.learning.backprop.activations.ACTIVATIONS`.

    Raises:
        UnknownNameError: There is no such activation.
        ConfigError: The name is no text.

    Example:
        >>> import torch
        >>> layer = Activate("relu")
        >>> layer(torch.tensor([[-1.0, 2.0]])), layer.backward(torch.tensor([[5.0, 5.0]]))
        (tensor([[0., 2.]]), tensor([[0., 5.]]))
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        if not isinstance(name, str):
            raise ConfigError(f"an activation is named by text, such as 'relu', got {name!r}")
        self.activation = activation(name)

    def forward(self, x: Tensor) -> Tensor:
        """f(x)."""
        self._x = x
        return self.activation.value(x)

    def backward(self, dy: Tensor) -> Tensor:
        """dy f'(x)."""
        return self.activation.backward(self._x, dy)
