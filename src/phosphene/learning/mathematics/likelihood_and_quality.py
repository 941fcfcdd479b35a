"""Likelihood is not quality, either way (Theis, van den Oord and Bethge, 2016).

A model that is 1 part p and 99 parts noise draws noise, and loses little likelihood:

    q = e p + (1 - e) noise   =>   log q(x) >= log p(x) - log(1 / e)

4.605 nats for e = 0.01, whatever the dimension. A kernel density with a small width draws the
training set again, and gives what it has not seen next to no density.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError

__all__ = ["KernelDensity", "diluted_log_prob"]


def diluted_log_prob(log_p: Tensor, log_noise: Tensor, share: float = 0.01) -> Tensor:
    """log(e p + (1 - e) noise), never below log p - log(1 / e).

    Args:
        log_p: log p at some points (n,).
        log_noise: Of the noise, at the same.
        share: e, above 0 and at most 1.

    Raises:
        ConfigError: The share is out of range.

    Example:
        >>> diluted_log_prob(torch.tensor([-10.0]), torch.tensor([-500.0]))
        tensor([-14.6052])
    """
    if not 0 < share <= 1:
        raise ConfigError(f"share must be above 0 and at most 1, got {share}")
    rest = math.log1p(-share) if share < 1 else -math.inf
    return torch.logaddexp(log_p + math.log(share), log_noise + rest)


@dataclass(frozen=True)
class KernelDensity:
    """(1/n) sum_i N(x; c_i, h^2 I): a Gaussian around every example (Parzen, 1962).

    Args:
        centers: The examples (n, d).
        width: h, above 0.

    Example:
        >>> density = KernelDensity(torch.zeros(1, 2, dtype=torch.float64), 1.0)
        >>> print(f"{float(density.log_prob(torch.zeros(1, 2))):.4f}")
        -1.8379
    """

    centers: Tensor
    width: float

    def __post_init__(self) -> None:
        if not self.width > 0:
            raise ConfigError(f"width must be above 0, got {self.width}")

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-densities (m,) of points (m, d), in nats, computed in float64."""
        n, d = self.centers.shape
        rows = x.double().split(512)
        exact = "donot_use_mm_for_euclid_dist"
        centers = self.centers.double()
        apart = torch.cat([torch.cdist(r, centers, compute_mode=exact) for r in rows])
        parts = torch.logsumexp(-apart.square() / (2 * self.width**2), 1)
        return parts - math.log(n) - d * math.log(self.width * math.sqrt(2 * math.pi))

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw (n, d): an example, and noise of width h."""
        which = torch.randint(len(self.centers), (n,), generator=generator)
        shape = (n, self.centers.shape[1])
        noise = torch.randn(shape, generator=generator, dtype=self.centers.dtype)
        return self.centers[which] + self.width * noise
