r"""Distributions of actions, with no more operations than they need.

Each is made of what a network says, (n, parameters), and knows how to draw from numbers that are
given, so that a draw is a function of (seed, cycle, environment).
"""

import math
from typing import Protocol

import torch
from torch import Tensor

__all__ = ["Categorical", "Distribution", "Gaussian", "SquashedGaussian"]

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


class Distribution(Protocol):
    """A distribution of n actions."""

    def log_prob(self, action: Tensor) -> Tensor:
        """(n,) nats."""
        ...

    def entropy(self) -> Tensor:
        """(n,) nats."""
        ...

    def mode(self) -> Tensor:
        """The likeliest action."""
        ...


class Categorical:
    r"""One of A actions, :math:`\pi(a) = e^{l_a} / \sum_b e^{l_b}`.

    Args:
        logits: (n, A).

    Example:
        >>> round(float(Categorical(torch.zeros(1, 4)).entropy().exp()), 4)
        4.0
    """

    def __init__(self, logits: Tensor) -> None:
        self.log_probs = logits.log_softmax(1)

    def log_prob(self, action: Tensor) -> Tensor:
        """Of actions (n,): (n,)."""
        return self.log_probs.gather(1, action[:, None]).squeeze(1)

    def entropy(self) -> Tensor:
        """(n,)."""
        return -(self.log_probs.exp() * self.log_probs).sum(1)

    def mode(self) -> Tensor:
        """(n,)."""
        return self.log_probs.argmax(1)

    @staticmethod
    def draw(logits: Tensor, gumbel: Tensor) -> Tensor:
        """The largest of logits plus standard Gumbel noise (n, A): a draw (Gumbel, 1954)."""
        return (logits + gumbel).argmax(1)


class Gaussian:
    r"""A diagonal Gaussian :math:`N(\mu, \mathrm{diag}\,\sigma^2)` on d dimensions.

    Args:
        mean: (n, d).
        log_std: (d,) or (n, d).

    Example:
        >>> Gaussian(torch.zeros(1, 1), torch.zeros(1)).log_prob(torch.zeros(1, 1))
        tensor([-0.9189])
    """

    def __init__(self, mean: Tensor, log_std: Tensor) -> None:
        self.mean, self.log_std = mean, log_std

    def log_prob(self, action: Tensor) -> Tensor:
        """Of actions (n, d): (n,)."""
        z = (action - self.mean) * (-self.log_std).exp()
        d = action.shape[1]
        log_std = self.log_std.sum(-1)
        return -0.5 * z.square().sum(1) - log_std - d * _HALF_LOG_2PI

    def entropy(self) -> Tensor:
        """(n,)."""
        d = self.mean.shape[1]
        return (self.log_std.sum(-1) + d * (0.5 + _HALF_LOG_2PI)).expand(len(self.mean))

    def mode(self) -> Tensor:
        """(n, d)."""
        return self.mean

    def draw(self, noise: Tensor) -> Tensor:
        """mu + sigma noise, for standard normal noise (n, d)."""
        return self.mean + self.log_std.exp() * noise


class SquashedGaussian:
    r"""tanh of a Gaussian, within (-1, 1): :math:`\log \pi(a) = \log N(u) - \sum \log(1 - a^2)`.

    The last sum is the log-determinant of tanh; :math:`\log(1 - \tanh^2 u) = 2 (\log 2 - u -
    \mathrm{softplus}(-2u))` does not lose it where tanh is 1 in floating point (Haarnoja et al.,
    2018, appendix C).

    Args:
        mean: (n, d), before tanh.
        log_std: (n, d).
    """

    def __init__(self, mean: Tensor, log_std: Tensor) -> None:
        self.base = Gaussian(mean, log_std)

    def draw(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Actions (n, d) made of standard normal noise, and their log-density (n,)."""
        u, d = self.base.draw(noise), noise.shape[1]
        # (u - mu) / sigma is the noise itself: nothing is divided, and gradients have less to do.
        normal = -(0.5 * noise.square() + self.base.log_std).sum(1) - d * _HALF_LOG_2PI
        return u.tanh(), normal - _log_slope(u)

    def log_prob(self, action: Tensor) -> Tensor:
        """Of actions (n, d) within (-1, 1): (n,)."""
        u = torch.atanh(action)
        return self.base.log_prob(u) - _log_slope(u)

    def mode(self) -> Tensor:
        """tanh of the mean, (n, d): the median, which is what one takes for the best action."""
        return self.base.mean.tanh()


def _log_slope(u: Tensor) -> Tensor:
    return (2 * (math.log(2) - u - torch.nn.functional.softplus(-2 * u))).sum(1)
