"""Multilayer perceptron."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from phosphene.core.errors import ConfigError
from phosphene.nn.activations import activation_named
from phosphene.nn.noise import Uniform, check_probability, dropout

__all__ = ["MLP", "check_widths"]


class MLP(nn.Module):
    """Linear layers with an activation between them: h <- dropout(a(W h + b)), out = W h + b.

    Args:
        inputs: Size of the flattened input; events of any shape are flattened in raster order.
        hidden: Widths of the hidden layers; empty for one linear map.
        outputs: Size of the output.
        activation: Its name, see ``phosphene.nn.activations``.
        dropout: Probability that a hidden unit is dropped where noise is given.
        condition: Size of the vector that is concatenated to the input; 0 for none.

    Example:
        >>> MLP(784, (400, 400), 20)(torch.zeros(3, 1, 28, 28)).shape
        torch.Size([3, 20])
    """

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        outputs: int,
        *,
        activation: str = "relu",
        dropout: float = 0.0,
        condition: int = 0,
    ) -> None:
        super().__init__()
        check_widths(hidden)
        widths = (inputs + condition, *hidden, outputs)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.activation = activation_named(activation)
        self.dropout = check_probability("dropout", dropout)

    def forward(
        self, x: Tensor, condition: Tensor | None = None, uniform: Uniform | None = None
    ) -> Tensor:
        """Map (n, ...) to (n, outputs); dropout acts where ``uniform`` is given."""
        h = x.flatten(1)
        if condition is not None:
            h = torch.cat((h, condition), dim=1)
        *body, head = self.layers
        for layer in body:
            h = dropout(self.activation(layer(h)), self.dropout, uniform)
        out: Tensor = head(h)
        return out


def check_widths(hidden: Sequence[int]) -> None:
    """Raise ConfigError if a width is not a positive whole number."""
    for width in hidden:
        if int(width) != width or width < 1:
            raise ConfigError(f"hidden widths must be positive whole numbers, got {tuple(hidden)}")
