"""Monotone functions of one number whose parameters a network gives: what couplings are made of.

The same functions serve coupling layers and masked autoregressive ones.
"""

from typing import Protocol

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError

__all__ = ["Additive", "Affine", "Monotone"]


class Monotone(Protocol):
    """y = h(x; parameters), increasing in each x alone; the identity where parameters are 0.

    Attributes:
        size: How many parameters h takes, S.
    """

    size: int

    def forward(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """H and log h' of x (...), both of x's shape, with parameters (..., S)."""
        ...

    def inverse(self, y: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """The x with h(x) = y, and log dx/dy = -log h'(x), both of y's shape."""
        ...


class Additive:
    """h(x) = x + t, of slope 1 (NICE; Dinh, Krueger and Bengio, 2015)."""

    size = 1

    def forward(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Add the shift."""
        return x + params[..., 0], torch.zeros_like(x)

    def inverse(self, y: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Take the shift away."""
        return y - params[..., 0], torch.zeros_like(y)


class Affine:
    """h(x) = exp(s) x + t with s = r / (1 + |r| / limit) (RealNVP; Dinh et al., 2017).

    Parameters are (t, r). The bound on s keeps a slope that training drives to a border finite; its
    derivative is 1 at 0, and it bends less than a hyperbolic tangent.

    Args:
        limit: The largest |s|; 0 for none (s = r).

    Raises:
        ConfigError: The limit is negative.

    Example:
        >>> y, log_slope = Affine(0.0).forward(torch.ones(1), torch.tensor([[3.0, 0.0]]))
        >>> y, log_slope
        (tensor([4.]), tensor([0.]))
    """

    size = 2

    def __init__(self, limit: float = 5.0) -> None:
        if limit < 0:
            raise ConfigError(f"the limit of log-scales must be 0 (none) or more, got {limit}")
        self.limit = limit

    def _log_scale(self, raw: Tensor) -> Tensor:
        return raw / (1 + raw.abs() / self.limit) if self.limit else raw

    def forward(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and shift."""
        s = self._log_scale(params[..., 1])
        return torch.addcmul(params[..., 0], x, s.exp()), s

    def inverse(self, y: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Shift and scale back."""
        s = -self._log_scale(params[..., 1])
        return (y - params[..., 0]) * s.exp(), s
