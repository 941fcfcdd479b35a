"""Activations whose derivative is a function of their value, so that the input need not be kept."""

from collections.abc import Callable

import torch
from torch import Tensor

from phosphene.core.errors import UnknownNameError

__all__ = ["ACTIVATIONS", "check_activation"]

_Activate = Callable[[Tensor], Tensor]
_Differentiate = Callable[[Tensor, Tensor], Tensor]


def _relu_backward(grad: Tensor, h: Tensor) -> Tensor:
    out: Tensor = torch.ops.aten.threshold_backward(grad, h, 0)
    return out


ACTIVATIONS: dict[str, tuple[_Activate, _Differentiate]] = {
    "relu": (torch.relu_, _relu_backward),
    "sigmoid": (torch.sigmoid_, torch.ops.aten.sigmoid_backward),
    "tanh": (torch.tanh_, torch.ops.aten.tanh_backward),
}
"""In place, and the gradient of the input given that of the output and the output itself."""


def check_activation(name: str) -> str:
    """Return the name if it is one of these, or say which ones are.

    Example:
        >>> check_activation("tanh")
        'tanh'
    """
    if name not in ACTIVATIONS:
        raise UnknownNameError("activation", name, ACTIVATIONS)
    return name
