"""Maximum likelihood: the parameter under which the data are most likely, and how far off it is.

    theta_hat = argmax_theta sum_i log p(x_i | theta)

(Fisher, 1922.) It is consistent: its error shrinks as n^-1/2. No unbiased estimator has a smaller
variance than 1 / (n I(theta)), with I(theta) = E[(d log p(x | theta) / d theta)^2] (Cramer, 1946;
Rao, 1945). Maximum likelihood reaches that bound *asymptotically*: for few examples it may be
biased, and its variance above the bound or below it. The mean of a Gaussian and the probability of
a Bernoulli variable reach it for every n; a Gaussian's variance and an exponential's rate do not.
"""

import math

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError, DataError

__all__ = [
    "bernoulli_fit",
    "bernoulli_information",
    "cramer_rao",
    "exponential_fit",
    "exponential_information",
    "gaussian_fit",
    "gaussian_information",
]


def gaussian_fit(x: Tensor) -> tuple[Tensor, Tensor]:
    """The mean, and the variance *divided by n*, which is the likelihood's choice.

    Its expectation is (n - 1) / n of the true variance: it is biased, and less so with more
    examples.

    Args:
        x: Examples in the last axis (..., n).

    Example:
        >>> gaussian_fit(torch.tensor([1.0, 3.0]))
        (tensor(2.), tensor(1.))
    """
    mean = _examples(x).mean(-1)
    return mean, (x - mean[..., None]).square().mean(-1)


def bernoulli_fit(x: Tensor) -> Tensor:
    """The part of ones.

    Args:
        x: Zeros and ones in the last axis (..., n).

    Raises:
        DataError: There is something else.

    Example:
        >>> bernoulli_fit(torch.tensor([1.0, 0.0, 1.0, 1.0]))
        tensor(0.7500)
    """
    if not bool(((x == 0) | (x == 1)).all()):
        raise DataError("a Bernoulli variable is 0 or 1, and there is something else")
    return _examples(x).mean(-1)


def exponential_fit(x: Tensor) -> Tensor:
    """The rate, one over the mean.

    Args:
        x: Waiting times in the last axis (..., n), above 0.
    """
    return 1 / _examples(x).mean(-1)


def gaussian_information(variance: float) -> tuple[float, float]:
    """What one example says of the mean, and of the variance: 1 / v and 1 / (2 v^2).

    Example:
        >>> gaussian_information(2.0)
        (0.5, 0.125)
    """
    return 1 / _positive("variance", variance), 1 / (2 * variance**2)


def bernoulli_information(p: float) -> float:
    """1 / (p (1 - p)).

    Example:
        >>> bernoulli_information(0.5)
        4.0
    """
    if not 0 < p < 1:
        raise ConfigError(f"p must be above 0 and below 1, got {p}")
    return 1 / (p * (1 - p))


def exponential_information(rate: float) -> float:
    """1 / rate^2."""
    return 1 / _positive("rate", rate) ** 2


def cramer_rao(information: float, n: int) -> float:
    """1 / (n I): the least variance of an unbiased estimator from n independent examples.

    Args:
        information: I, of one example.
        n: Examples.

    Raises:
        ConfigError: One of them is not above 0.

    Example:
        >>> cramer_rao(bernoulli_information(0.5), 100)
        0.0025
    """
    return 1 / (_positive("n", n) * _positive("information", information))


def _examples(x: Tensor) -> Tensor:
    if x.ndim == 0 or x.shape[-1] == 0:
        raise DataError(f"there must be an example or more, got shape {tuple(x.shape)}")
    if not x.is_floating_point():
        raise DataError(f"examples must be reals, got {x.dtype}")
    if not bool(torch.isfinite(x).all()):
        raise DataError("examples must be finite")
    return x


def _positive(name: str, value: float) -> float:
    if not (value > 0 and math.isfinite(value)):
        raise ConfigError(f"{name} must be above 0, got {value}")
    return value
