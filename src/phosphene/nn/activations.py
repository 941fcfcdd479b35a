"""Activation functions by name."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from phosphene.core.errors import UnknownNameError

__all__ = ["ACTIVATIONS", "IN_PLACE", "activation_named"]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "elu": F.elu,
    "gelu": F.gelu,
    "identity": lambda x: x,
    "leaky-relu": lambda x: F.leaky_relu(x, 0.2),
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "softplus": F.softplus,
    "tanh": torch.tanh,
}

IN_PLACE: dict[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]] = {
    torch.relu: torch.relu_,
    torch.tanh: torch.tanh_,
    torch.sigmoid: torch.sigmoid_,
}
"""What does the same to a tensor that belongs to nobody else."""


def activation_named(name: str) -> Callable[[Tensor], Tensor]:
    """The function of that name; UnknownNameError with the nearest name otherwise.

    Example:
        >>> activation_named("relu")(torch.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """
    if name not in ACTIVATIONS:
        raise UnknownNameError("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]
