"""All states of a few binary units."""

import torch
from torch import Tensor

__all__ = ["FEW", "binary_states"]

FEW = 16
"""Up to this many units, all states are enumerated."""


def binary_states(units: int, like: Tensor) -> Tensor:
    """All 2^units states (2^units, units) of zeros and ones, the first unit slowest.

    Example:
        >>> binary_states(2, torch.zeros(1)).tolist()
        [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    """
    number = torch.arange(2**units, device=like.device)[:, None]
    place = torch.arange(units - 1, -1, -1, device=like.device)
    return (number >> place & 1).to(like.dtype)
