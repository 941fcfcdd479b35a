"""Monotone functions of one number whose parameters a network gives: what couplings are made of.

The same functions serve coupling layers and masked autoregressive ones.
"""

import math
from typing import Literal, Protocol, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from phosphene.core.errors import ConfigError, UnknownNameError

__all__ = ["Additive", "Affine", "FlooredAffine", "Monotone", "held"]


_FREE = 4.0


def held(s: Tensor) -> Tensor:
    """A log-scale s where |s| <= 4, and within 8 beyond: sign(s) (4 + 4 tanh((|s| - 4) / 4)).

    Twice differentiable. Scales of priors that are learned are exact wherever data have led them,
    and finite where a network that gives them is far from its data.

    Example:
        >>> held(torch.tensor([-3.0, 4.0, 6.0, 1e9]))
        tensor([-3.0000,  4.0000,  5.8485,  8.0000])
    """
    inside = s.clamp(-_FREE, _FREE)
    return inside + _FREE * torch.tanh((s - inside) / _FREE)


class Monotone(Protocol):
    """y = h(x; parameters), increasing in each x alone; the identity where parameters are 0.

    Attributes:
        size: How many parameters h takes, S.
    """

    size: int

    def forward(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """h and log h' of x (...), both of x's shape, with parameters (..., S)."""
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

    def scaling(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """exp(s), s and ds/dr."""
        if not self.limit:
            return raw.exp(), raw, torch.ones_like(raw)
        bend = (raw.abs() / self.limit).add_(1).reciprocal_()
        s = raw * bend
        return s.exp(), s, bend * bend


GateName = Literal["softplus", "sigmoid"]


class FlooredAffine:
    """h(x) = a x + t with a = floor + g(r + offset), g a softplus or a sigmoid.

    Parameters are (t, r). The sigmoid keeps the scale below 1 + floor, as the gate of Kingma et al.
    (2016) does; other libraries' masked autoregressive flows take one or the other.

    Args:
        gate: ``softplus`` or ``sigmoid``.
        floor: The smallest scale, above 0 and below 1.
        offset: Added to r; None for the number that makes the scale 1 at r = 0.

    Raises:
        UnknownNameError: There is no such gate.
        ConfigError: The floor is out of its range.

    Example:
        >>> y, log_slope = FlooredAffine().forward(torch.ones(1), torch.tensor([[3.0, 0.0]]))
        >>> torch.allclose(y, torch.tensor([4.0]))
        True
    """

    size = 2

    def __init__(
        self, gate: GateName = "softplus", floor: float = 1e-3, *, offset: float | None = None
    ) -> None:
        if gate not in get_args(GateName):
            raise UnknownNameError("gate", gate, get_args(GateName))
        if not 0 < floor < 1:
            raise ConfigError(f"the floor of scales must lie in (0, 1), got {floor}")
        self.gate, self.floor = gate, floor
        rest = 1 - floor
        one = math.log(math.expm1(rest)) if gate == "softplus" else math.log(rest / floor)
        self.offset = one if offset is None else offset

    def _scale(self, raw: Tensor) -> Tensor:
        g = F.softplus if self.gate == "softplus" else torch.sigmoid
        return self.floor + g(raw + self.offset)

    def forward(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and shift."""
        scale = self._scale(params[..., 1])
        return torch.addcmul(params[..., 0], x, scale), scale.log()

    def inverse(self, y: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """Shift and scale back."""
        scale = self._scale(params[..., 1])
        return (y - params[..., 0]) / scale, -scale.log()

    def scaling(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """a, s = log a and ds/dr."""
        raw = raw + self.offset
        gate = raw.sigmoid()
        if self.gate == "sigmoid":
            scale = gate + self.floor
            return scale, scale.log(), gate * (1 - gate) / scale
        scale = F.softplus(raw) + self.floor
        return scale, scale.log(), gate / scale
