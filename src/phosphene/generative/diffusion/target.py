"""What a network is trained to give, and the estimate of the data that follows from it."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from phosphene.core.errors import UnknownNameError
from phosphene.generative.diffusion.level import Level, N

__all__ = ["TARGETS", "Target", "build_target"]


class Target(ABC):
    """m, from which the estimate of the data is linear: D = p x_t + q m.

    At the optimum m is the conditional mean of its target, and so D is that of the data.
    """

    @abstractmethod
    def linear(self, level: Level[N]) -> tuple[N, N]:
        """p and q at a level, for floats and for tensors alike."""

    @abstractmethod
    def of(self, x: Tensor, eps: Tensor, level: Level[Tensor]) -> Tensor:
        """The target itself, of data and of the noise that was added to them."""


class Noise(Target):
    """m = eps, D = (x_t - sigma m) / alpha (Ho, Jain and Abbeel, 2020)."""

    def linear(self, level: Level[N]) -> tuple[N, N]:
        """1 / alpha and -sigma / alpha."""
        return 1 / level.alpha, -level.sigma / level.alpha

    def of(self, x: Tensor, eps: Tensor, level: Level[Tensor]) -> Tensor:
        """The noise."""
        return eps


class Data(Target):
    """m = x_0 = D."""

    def linear(self, level: Level[N]) -> tuple[N, N]:
        """0 and 1."""
        return 0 * level.alpha, 0 * level.alpha + 1

    def of(self, x: Tensor, eps: Tensor, level: Level[Tensor]) -> Tensor:
        """The data."""
        return x


class V(Target):
    """m = alpha eps - sigma x_0, D = (alpha x_t - sigma m) / (alpha^2 + sigma^2).

    By Salimans and Ho (2022): the slope along the circle on which alpha^2 + sigma^2 = 1.
    """

    def linear(self, level: Level[N]) -> tuple[N, N]:
        """alpha and -sigma over alpha^2 + sigma^2."""
        whole = level.alpha**2 + level.sigma**2
        return level.alpha / whole, -level.sigma / whole

    def of(self, x: Tensor, eps: Tensor, level: Level[Tensor]) -> Tensor:
        """alpha eps - sigma x_0."""
        return level.alpha * eps - level.sigma * x


class Velocity(Target):
    """m = alpha' x_0 + sigma' eps, the slope of x_t in time (Lipman et al., 2023).

    D = (sigma m - sigma' x_t) / (sigma alpha' - sigma' alpha).
    """

    def linear(self, level: Level[N]) -> tuple[N, N]:
        """-sigma' and sigma over sigma alpha' - sigma' alpha."""
        whole = level.sigma * level.d_alpha - level.d_sigma * level.alpha
        return -level.d_sigma / whole, level.sigma / whole

    def of(self, x: Tensor, eps: Tensor, level: Level[Tensor]) -> Tensor:
        """The slope."""
        return level.d_alpha * x + level.d_sigma * eps


class Preconditioned(Target):
    """D = c_skip x_t / alpha + c_out m, with s = sigma / alpha and data of unit variance.

    c_skip = 1 / (s^2 + 1) and c_out = s / sqrt(s^2 + 1) (Karras et al., 2022): m has unit variance
    at every level, and its errors are scaled up as little as can be.
    """

    def linear(self, level: Level[N]) -> tuple[N, N]:
        """c_skip / alpha and c_out."""
        s = level.sigma / level.alpha
        whole = s**2 + 1
        return 1 / (whole * level.alpha), s / whole**0.5

    def of(self, x: Tensor, eps: Tensor, level: Level[Tensor]) -> Tensor:
        """(s x_0 - eps) / sqrt(s^2 + 1)."""
        s = level.sigma / level.alpha
        return (s * x - eps) / torch.sqrt(s**2 + 1)


TARGETS: dict[str, type[Target]] = {
    "noise": Noise,
    "data": Data,
    "v": V,
    "velocity": Velocity,
    "edm": Preconditioned,
}
"""By name."""


def build_target(name: str) -> Target:
    """A target by its name.

    Raises:
        UnknownNameError: There is no such target.

    Example:
        >>> p, q = build_target("v").linear(Level(0.5, 0.8, 0.6))
        >>> round(p, 4), round(q, 4)
        (0.8, -0.6)
    """
    if name not in TARGETS:
        raise UnknownNameError("target", name, TARGETS)
    return TARGETS[name]()
