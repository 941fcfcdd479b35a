"""Exploration: probabilities of actions from estimated values."""

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError

__all__ = ["draw", "epsilon_greedy", "greedy", "softmax"]


def greedy(q: Tensor, *, ties: str = "random") -> Tensor:
    """Probabilities of the best actions (..., A): equal among equals, or all on the ``first``."""
    best = q == q.amax(-1, keepdim=True)
    if ties == "first":
        best = best & (best.cumsum(-1) == 1)
    return best.double() / best.sum(-1, keepdim=True)


def epsilon_greedy(q: Tensor, epsilon: float, *, ties: str = "random") -> Tensor:
    """With probability epsilon an action drawn from all, the best included; else a best one.

    p(a) = epsilon / A + (1 - epsilon) [a is the best]

    Args:
        q: (..., A).
        epsilon: 0 to 1.
        ties: Among equally good actions any (``random``), or the ``first``.

    Returns:
        (..., A), float64.

    Example:
        >>> epsilon_greedy(torch.tensor([0.0, 2.0, 1.0, 2.0]), 0.2).tolist()
        [0.05, 0.45, 0.05, 0.45]
    """
    if not 0 <= epsilon <= 1:
        raise ConfigError(f"epsilon must be in [0, 1], got {epsilon:g}")
    return (1 - epsilon) * greedy(q, ties=ties) + epsilon / q.shape[-1]


def softmax(q: Tensor, temperature: float) -> Tensor:
    """Boltzmann exploration: p(a) = exp(q_a / T) / sum_b exp(q_b / T) (..., A), float64.

    Example:
        >>> softmax(torch.tensor([0.0, 1.0]), 1.0)[1] == torch.sigmoid(torch.tensor(1.0).double())
        tensor(True)
    """
    if not temperature > 0:
        raise ConfigError(f"temperature must be above 0, got {temperature:g}")
    return torch.softmax(q.double() / temperature, -1)


def draw(probabilities: Tensor, generator: torch.Generator) -> Tensor:
    """One action for each row of probabilities (n, A): (n,), int64."""
    return torch.multinomial(probabilities, 1, generator=generator).squeeze(-1)
