"""How much the errors at each level count."""

from collections.abc import Callable

import torch
from torch import Tensor

from phosphene.core.errors import UnknownNameError
from phosphene.generative.diffusion.level import Level

__all__ = ["WEIGHTINGS", "build_weighting"]

Weighting = Callable[[Level[Tensor], Tensor], Tensor]
"""From a level and q, where D = p x_t + q m, to what multiplies (m - target)^2."""


def simple(level: Level[Tensor], q: Tensor) -> Tensor:
    """1: the error in the network's own target (Ho, Jain and Abbeel, 2020)."""
    return torch.ones_like(q)


def min_snr(level: Level[Tensor], q: Tensor, most: float = 5.0) -> Tensor:
    """min(SNR, 5) on the error in the data, SNR = (alpha / sigma)^2 (Hang et al., 2023)."""
    return (level.alpha / level.sigma).square().clamp(max=most) * q.square()


def variational(level: Level[Tensor], q: Tensor) -> Tensor:
    """-SNR'(t) / 2 on the error in the data: the bound itself in continuous time.

    By Kingma, Salimans, Poole and Ho (2021); SNR' = 2 SNR (alpha' / alpha - sigma' / sigma).
    """
    snr = (level.alpha / level.sigma).square()
    slope = level.d_alpha / level.alpha - level.d_sigma / level.sigma
    return -snr * slope * q.square()


def edm(level: Level[Tensor], q: Tensor) -> Tensor:
    """(s^2 + 1) / s^2 on the error in the data, s = sigma / alpha (Karras et al., 2022)."""
    s = (level.sigma / level.alpha).square()
    return (s + 1) / s * q.square()


WEIGHTINGS: dict[str, Weighting] = {
    "simple": simple,
    "min-snr": min_snr,
    "variational": variational,
    "edm": edm,
}
"""By name."""


def build_weighting(name: str) -> Weighting:
    """A weighting by its name.

    Raises:
        UnknownNameError: There is no such weighting.

    Example:
        >>> level = Level(*torch.tensor([[0.5], [0.8], [0.6], [0.0], [0.0]]))
        >>> build_weighting("min-snr")(level, torch.tensor([-0.75]))  # SNR 16/9, q^2 = 1 / SNR
        tensor([1.])
    """
    if name not in WEIGHTINGS:
        raise UnknownNameError("weighting", name, WEIGHTINGS)
    return WEIGHTINGS[name]
