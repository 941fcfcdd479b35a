"""The variational bound of a chain of steps, term by term, and that of continuous time."""

import math

import torch
from torch import Tensor

from phosphene.generative.diffusion.level import Level
from phosphene.generative.diffusion.schedule import Between
from phosphene.nn.gaussian import log_code_mass

__all__ = [
    "code_log_prob",
    "continuous_rate",
    "discretized_log_prob",
    "normal_kl",
    "normal_log_prob",
    "prior_kl",
    "step_cost",
]


def _total(x: Tensor) -> Tensor:
    return x.flatten(1).sum(1)


def normal_kl(mean: Tensor, variance: float, other: Tensor, other_variance: float) -> Tensor:
    """KL(N(mean, variance) || N(other, other_variance)) (n,), summed over dimensions.

    Example:
        >>> normal_kl(torch.ones(1, 2), 1.0, torch.zeros(1, 2), 1.0)
        tensor([1.])
    """
    ratio = variance / other_variance
    apart = _total((mean - other).square()) / other_variance
    return 0.5 * (apart + mean[0].numel() * (ratio - 1 - math.log(ratio)))


def prior_kl(x: Tensor, level: Level[float], spread: float = 1.0) -> Tensor:
    """KL(q(x_T | x_0) || N(0, spread^2)) (n,), what the last level still knows of the data.

    Example:
        >>> prior_kl(torch.ones(1, 4), Level(1.0, 0.0, 1.0))
        tensor([0.])
    """
    mean = level.alpha * x
    return normal_kl(mean, level.sigma**2, torch.zeros_like(mean), spread**2)


def step_cost(step: Between, variance: str = "beta") -> tuple[float, float]:
    """w and c of KL(q(x_t | x_s, x_0) || p(x_t | x_s)) = w |x_0 - D|^2 + c each dimension.

    The means differ by ``from_data`` (x_0 - D) (Ho, Jain and Abbeel, 2020). With the variance
    ``beta`` the variances differ too, which costs c; with ``posterior`` they agree, and the errors
    of D cost more: on normal data the whole bound then loses .456 nats a dimension at T = 1000.

    Args:
        step: Between two noisy levels (:func:`~phosphene.generative.diffusion.schedule.between`).
        variance: That of p: ``beta`` or ``posterior``.

    Example:
        >>> from phosphene.generative.diffusion.schedule import between
        >>> step_cost(between(Level(1.0, 0.6, 0.8), Level(0.5, 0.8, 0.6)), "posterior")
        (0.4861111111111111, 0.0)
    """
    other = step.variance if variance == "beta" else step.posterior
    ratio = step.posterior / other
    return step.from_data**2 / (2 * other), 0.5 * (ratio - 1 - math.log(ratio))


def normal_log_prob(x: Tensor, mean: Tensor, std: float) -> Tensor:
    """log N(x; mean, std^2) (n,), the last step's for reals.

    Example:
        >>> normal_log_prob(torch.zeros(1, 1), torch.zeros(1, 1), 1.0)
        tensor([-0.9189])
    """
    constant = math.log(std) + 0.5 * math.log(2 * math.pi)
    return -_total((x - mean).square()) / (2 * std**2) - x[0].numel() * constant


def discretized_log_prob(codes: Tensor, mean: Tensor, std: float, levels: int) -> Tensor:
    """log of the normal's mass in the bins of codes (n,), the last step's for codes.

    Bins reach halfway to their neighbors, the outer ones to infinity, so that the codes'
    probabilities sum to 1 (Ho, Jain and Abbeel, 2020).

    Args:
        codes: 0..levels-1 (n, ...).
        mean: With the codes on [-1, 1].
        std: The same.
        levels: Of the codes.

    Example:
        >>> codes = torch.tensor([[0], [1], [2]])
        >>> round(float(discretized_log_prob(codes, torch.zeros(3, 1), 1.0, 3).exp().sum()), 4)
        1.0
    """
    half = (levels - 1) / 2
    return _total(log_code_mass(codes, (mean + 1) * half, 1 / (std * half), levels))


_CHUNK = 128
"""Dimensions whose codes are scored at once."""


def code_log_prob(z: Tensor, codes: Tensor, level: Level[float], levels: int) -> Tensor:
    """log p(code | z) (n,), p in proportion to N(z; alpha y(code), sigma^2).

    The decoder of codes from the first level in continuous time (Kingma et al., 2021), which knows
    the code all but surely where sigma is small beside the spacing of codes.

    Args:
        z: At the first level (n, ...).
        codes: 0..levels-1 (n, ...).
        level: The first level.
        levels: Of the codes.

    Example:
        >>> first = Level(0.0, 1.0, 0.01)
        >>> code_log_prob(torch.tensor([[-1.0]]), torch.tensor([[0]]), first, 256)
        tensor([-0.7410])
    """
    values = torch.linspace(-1, 1, levels, dtype=z.dtype, device=z.device)
    total = z.new_zeros(len(z))
    for i in range(0, max(1, z[0].numel()), _CHUNK):
        some = z.flatten(1)[:, i : i + _CHUNK, None]
        logits = -(some - level.alpha * values).square() / (2 * level.sigma**2)
        at = codes.flatten(1)[:, i : i + _CHUNK, None].long()
        total = total + logits.log_softmax(-1).gather(-1, at).sum((1, 2))
    return total


def continuous_rate(x: Tensor, D: Tensor, level: Level[Tensor]) -> Tensor:
    """-SNR'(t) |x - D|^2 / 2 (n,): the bound's integrand over t (Kingma et al., 2021).

    Its mean over t uniform on (0, 1) is what the steps of a chain cost in the limit of many.

    Args:
        x: The data.
        D: Their estimates at the levels of each example.
        level: Those levels, (n,).
    """
    snr = (level.alpha / level.sigma).square()
    slope = 2 * snr * (level.d_alpha / level.alpha - level.d_sigma / level.sigma)
    return -0.5 * slope * _total((x - D).square())
