"""The chain of T steps from data to noise: its schedules, its marginals and its posterior."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.generative.diffusion.level import CLEAN, Level

__all__ = ["SCHEDULES", "Between", "Schedule", "between", "build_schedule", "marginal", "posterior"]


def linear(steps: int) -> Tensor:
    """beta_t linear from 1e-4 to 0.02, for 1000 steps (Ho, Jain and Abbeel, 2020).

    For other numbers of steps both ends are scaled by 1000 / T, so that the end is as noisy.

    Example:
        >>> bars = (1 - linear(1000)).cumprod(0)
        >>> f"{float(bars[-1]):.3g}"
        '4.04e-05'
    """
    scale = 1000 / steps
    return torch.linspace(1e-4 * scale, 0.02 * scale, steps, dtype=torch.float64).clamp(max=0.999)


def cosine(steps: int, offset: float = 0.008) -> Tensor:
    """alpha_bar_t = f(t) / f(0), f(t) = cos^2((t / T + s) / (1 + s) pi / 2).

    By Nichol and Dhariwal (2021), beta cut at .999.
    """
    return _betas(steps, lambda u: torch.cos((u + offset) / (1 + offset) * math.pi / 2) ** 2)


def sigmoid(steps: int, start: float = -3.0, end: float = 3.0, temperature: float = 1.0) -> Tensor:
    """alpha_bar_t = (s(end) - s(x)) / (s(end) - s(start)), x from start to end, s the sigmoid.

    By Jabri, Fleet and Chen (2023).
    """
    first, last = (torch.tensor(v / temperature).double().sigmoid() for v in (start, end))
    return _betas(
        steps,
        lambda u: (last - ((u * (end - start) + start) / temperature).sigmoid()) / (last - first),
    )


def _betas(steps: int, alpha_bar: Callable[[Tensor], Tensor]) -> Tensor:
    bars = alpha_bar(torch.linspace(0, 1, steps + 1, dtype=torch.float64))
    return (1 - bars[1:] / bars[:-1]).clamp(max=0.999)


SCHEDULES: dict[str, Callable[[int], Tensor]] = {
    "linear": linear,
    "cosine": cosine,
    "sigmoid": sigmoid,
}
"""beta_1 .. beta_T by name, in float64."""


class Between(NamedTuple):
    """Two levels of one process, s the noisier.

    Args:
        alpha: x_s = alpha x_t + sqrt(variance) eps.
        variance: Of one step forward, beta where t and s are neighbors and alpha^2 + sigma^2 = 1.
        from_x: Of x_s in the mean of q(x_t | x_s, x_0).
        from_data: Of x_0 in it.
        posterior: The variance of it.
    """

    alpha: float
    variance: float
    from_x: float
    from_data: float
    posterior: float


def between(s: Level[float], t: Level[float]) -> Between:
    """The step from t to s, and its reversal given the data.

    Of q(x_s | x_t) = N(alpha_s / alpha_t x_t, v), v = sigma_s^2 - (alpha_s / alpha_t)^2 sigma_t^2,
    Bayes' rule makes q(x_t | x_s, x_0) with mean
    (alpha_s sigma_t^2 / (alpha_t sigma_s^2)) x_s + (alpha_t v / sigma_s^2) x_0 and variance
    v sigma_t^2 / sigma_s^2: equation 7 of Ho, Jain and Abbeel (2020), for any two levels.

    Example:
        >>> step = between(Level(1.0, 0.6, 0.8), CLEAN)
        >>> step.from_x, step.from_data, step.posterior  # only the data are left
        (0.0, 1.0, 0.0)
    """
    ratio = s.alpha / t.alpha
    v = s.sigma**2 - (ratio * t.sigma) ** 2
    return Between(
        ratio,
        v,
        ratio * t.sigma**2 / s.sigma**2,
        t.alpha * v / s.sigma**2,
        v * t.sigma**2 / s.sigma**2,
    )


class Schedule:
    """q(x_t | x_{t-1}) = N(sqrt(1 - beta_t) x_{t-1}, beta_t), t = 1..T.

    So x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps, alpha_bar_t = prod (1 - beta_s)
    (Sohl-Dickstein et al., 2015; Ho, Jain and Abbeel, 2020). Computed in float64.

    Args:
        betas: beta_1 .. beta_T, each in (0, 1).

    Raises:
        ConfigError: There is none, or one is out of range.

    Example:
        >>> chain = Schedule(torch.tensor([0.1, 0.2]))
        >>> chain.alpha_bar
        tensor([1.0000, 0.9000, 0.7200], dtype=torch.float64)
    """

    def __init__(self, betas: Tensor) -> None:
        betas = betas.double()
        if betas.ndim != 1 or len(betas) == 0:
            raise ConfigError(f"a schedule has betas (T,), got shape {tuple(betas.shape)}")
        if not bool(((betas > 0) & (betas < 1)).all()):
            raise ConfigError("every beta of a schedule must be above 0 and below 1")
        self.betas = betas
        # Summed logarithms: 1 - alpha_bar keeps its digits where beta is small.
        logs = torch.cat((betas.new_zeros(1), torch.log1p(-betas).cumsum(0)))
        self.alpha_bar = logs.exp()
        """Of t = 0..T."""
        self.alphas, self.sigmas = (logs / 2).exp(), (-logs.expm1()).sqrt()

    @property
    def steps(self) -> int:
        """T."""
        return len(self.betas)

    def level(self, t: int) -> Level[float]:
        """That of step t; 0 for the data."""
        if t == 0:
            return CLEAN
        return Level(t / self.steps, float(self.alphas[t]), float(self.sigmas[t]))

    def levels(self, steps: int) -> list[Level[float]]:
        """From noise to data: T, and so many of the T steps, as evenly as can be; the data last.

        Raises:
            ConfigError: There are not so many.

        Example:
            >>> chain = Schedule(linear(10))
            >>> [round(10 * level.time) for level in chain.levels(4)]
            [10, 8, 5, 2, 0]
        """
        if not 1 <= steps <= self.steps:
            raise ConfigError(f"steps must be from 1 to the chain's {self.steps}, got {steps}")
        chosen = [round(self.steps - i * self.steps / steps) for i in range(steps)]
        return [*map(self.level, chosen), CLEAN]


def build_schedule(name: str, steps: int) -> Schedule:
    """A schedule by its name.

    Raises:
        UnknownNameError: There is no such schedule.
    """
    if name not in SCHEDULES:
        raise UnknownNameError("schedule", name, SCHEDULES)
    return Schedule(SCHEDULES[name](steps))


def marginal(schedule: Schedule, x: Tensor, t: int) -> tuple[Tensor, float]:
    """The mean and the standard deviation of q(x_t | x_0).

    Example:
        >>> mean, std = marginal(Schedule(torch.tensor([0.36])), torch.ones(1), 1)
        >>> mean, std
        (tensor([0.8000]), 0.6)
    """
    level = schedule.level(t)
    return level.alpha * x, level.sigma


def posterior(schedule: Schedule, x_t: Tensor, x: Tensor, t: int) -> tuple[Tensor, float]:
    """The mean and the standard deviation of q(x_{t-1} | x_t, x_0), 0 at t = 1.

    Example:
        >>> mean, std = posterior(Schedule(torch.tensor([0.36])), torch.ones(1), torch.ones(1), 1)
        >>> mean, std
        (tensor([1.]), 0.0)
    """
    step = between(schedule.level(t), schedule.level(t - 1))
    return step.from_x * x_t + step.from_data * x, step.posterior**0.5
