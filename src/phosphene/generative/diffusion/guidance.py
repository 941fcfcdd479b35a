"""Guidance: a network that is pushed toward its condition."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError
from phosphene.generative.diffusion.level import Level
from phosphene.generative.diffusion.samplers.table import Asked
from phosphene.generative.diffusion.target import Target

__all__ = ["ClassifierFree", "ClassifierGuidance", "Conditioned", "Guidance"]


class Conditioned(Asked, Protocol):
    """A network under a condition, which can also be asked without it."""

    target: Target
    """What it gives."""

    def both(self, x: Tensor, level: Level[float]) -> tuple[Tensor, Tensor]:
        """With the condition, and without it, in one pass."""
        ...


class Guidance(ABC):
    """Makes of a conditioned network one that is pushed toward the condition."""

    @abstractmethod
    def of(self, network: Conditioned) -> Asked:
        """The guided network."""


@dataclass(frozen=True)
class ClassifierFree(Guidance):
    """m = (1 + w) m(x, c) - w m(x): classifier-free guidance (Ho and Salimans, 2022).

    w = 0 is the conditional model itself; papers that write s = 1 + w have it at 1. Larger w makes
    samples agree more with their condition, and makes them less diverse. They are not draws from
    p(x | c)^(1 + w) / p(x)^w, whose score is that only at the data.

    With ``rescale`` r, m becomes r m std(m_c) / std(m) + (1 - r) m, the deviations being those of
    each example, so that large weights do not wash out contrast (Lin, Liu, Li and Yang, 2024).

    Args:
        weight: w.
        rescale: r, from 0 to 1.

    Raises:
        ConfigError: A number is out of range.

    Example:
        >>> both = torch.tensor([[1.0, 3.0]]), torch.tensor([[0.0, 1.0]])
        >>> ClassifierFree(2.0).mixed(*both)
        tensor([[3., 7.]])
    """

    weight: float
    rescale: float = 0.0

    def __post_init__(self) -> None:
        if not self.weight > -1:
            raise ConfigError(f"the weight of guidance must be above -1, got {self.weight}")
        if not 0 <= self.rescale <= 1:
            raise ConfigError(f"rescale must be from 0 to 1, got {self.rescale}")

    def mixed(self, told: Tensor, untold: Tensor) -> Tensor:
        """What the network gives with the condition and without it, as one."""
        m = torch.lerp(untold, told, 1 + self.weight)
        if self.rescale == 0:
            return m
        axes = tuple(range(1, m.ndim))
        spread = told.std(axes, keepdim=True) / m.std(axes, keepdim=True).clamp(min=1e-8)
        return m * (self.rescale * spread + 1 - self.rescale)

    def of(self, network: Conditioned) -> Asked:
        """The guided network; of weight 0, the network itself."""
        if self.weight == 0:
            return network
        return lambda x, level: self.mixed(*network.both(x, level))


@dataclass(frozen=True)
class ClassifierGuidance(Guidance):
    """D + w sigma^2 / alpha grad log p(c | x_t): guidance by a classifier of noised data.

    By Dhariwal and Nichol (2021): the score of x_t gains w times the gradient of the classifier's
    log-probability, and D = (x_t + sigma^2 score) / alpha.

    Args:
        log_prob: log p(c | x_t) (n,), differentiable, of x_t (n, ...) and a level.
        weight: w; 0 leaves the network as it is.
    """

    log_prob: Callable[[Tensor, Level[float]], Tensor]
    weight: float = 1.0

    def of(self, network: Conditioned) -> Asked:
        """The guided network."""

        def guided(x: Tensor, level: Level[float]) -> Tensor:
            with torch.enable_grad():
                free = x.detach().requires_grad_()
                (slope,) = torch.autograd.grad(self.log_prob(free, level).sum(), free)
            _, q = network.target.linear(level)
            more = self.weight * level.sigma**2 / level.alpha / q
            return network(x, level).add(slope, alpha=more)

        return guided if self.weight else network
