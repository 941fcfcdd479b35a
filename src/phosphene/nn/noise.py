"""Dropout with noise given to it, so that ranks, accumulation and resume cannot change a result."""

from collections.abc import Callable

from torch import Tensor

from phosphene.core.errors import ConfigError

__all__ = ["Uniform", "check_probability", "dropout"]

Uniform = Callable[[tuple[int, ...]], Tensor]
"""Gives uniform numbers (n, *shape) for a shape, as ``batch.uniform`` does."""


def dropout(x: Tensor, p: float, uniform: Uniform | None, *, channels: bool = False) -> Tensor:
    """Zero entries with probability p and scale the rest by 1/(1-p) (Srivastava et al., 2014).

    Args:
        x: Activations (n, ...).
        p: The probability that an entry is zeroed, in [0, 1).
        uniform: The source of noise, usually ``batch.uniform``; None means evaluation, where
            nothing is dropped. There is no training mode: who gives noise gets dropout.
        channels: Drop whole channels of (n, c, h, w) together.

    Example:
        >>> import torch
        >>> dropout(torch.ones(1, 4), 0.5, lambda shape: torch.tensor([[0.1, 0.9, 0.6, 0.2]]))
        tensor([[0., 2., 2., 0.]])
    """
    if p == 0.0 or uniform is None:
        return x
    shape = (x.shape[1],) + (1,) * (x.ndim - 2) if channels else tuple(x.shape[1:])
    keep = (uniform(shape) >= p).to(x.dtype).mul_(1.0 / (1.0 - p))
    return x * keep


def check_probability(name: str, p: float) -> float:
    """Return p if it lies in [0, 1), or say so."""
    if not 0.0 <= p < 1.0:
        raise ConfigError(f"{name} must be in [0, 1), got {p}")
    return p
