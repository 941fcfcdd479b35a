"""What the references in torch share: activations, and values by uniform numbers."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["ACTIVATIONS", "bernoulli", "categorical"]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "elu": F.elu,
    "identity": lambda x: x,
    "leaky-relu": lambda x: F.leaky_relu(x, 0.2),
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}
"""Those of library.ACTIVATION_CODES."""


def bernoulli(logit: Tensor, u: Tensor, temperature: float) -> Tensor:
    """1 where u is at least the probability of 0; temperature 0 is greedy.

    Example:
        >>> bernoulli(torch.zeros(2), torch.tensor([0.4, 0.6]), 1.0)
        tensor([0., 1.])
    """
    if temperature == 0.0:
        return (logit > 0).to(logit.dtype)
    return (u >= torch.sigmoid(-logit / temperature)).to(logit.dtype)


def categorical(logits: Tensor, u: Tensor, temperature: float) -> Tensor:
    """The code (n,) at which the cumulated probability passes u.

    Example:
        >>> categorical(torch.zeros(2, 4), torch.tensor([0.3, 0.8]), 1.0)
        tensor([1, 3])
    """
    if temperature == 0.0:
        return logits.argmax(-1)
    p = torch.softmax(logits / temperature, -1)
    below = p.cumsum(-1)
    code = (below <= u[:, None] * below[:, -1:]).sum(-1)
    last = p.shape[-1] - 1 - (p > 0).flip(-1).to(torch.uint8).argmax(-1)
    return torch.minimum(code, last)
