"""Streaming first and second moments in float64 that merge exactly."""

import torch
from torch import Tensor

__all__ = ["Moments"]


class Moments:
    r"""Count, mean and scatter of vectors, updated by batches and merged across ranks.

    .. math::
        \delta = \mu_b - \mu_a, \quad \mu = \mu_a + \delta\, n_b / n, \quad
        S = S_a + S_b + \delta \delta^\top n_a n_b / n

    (Chan, Golub and LeVeque, 1983.) The result does not depend on how the examples were cut into
    batches, up to float64 rounding, and does not lose digits when the mean is far from zero.

    Args:
        dimensions: d, the length of a vector.

    Example:
        >>> a, b = Moments(1), Moments(1)
        >>> _ = a.update(torch.tensor([[1.0], [2.0]])), b.update(torch.tensor([[6.0]]))
        >>> a.merge(b).mean.item(), a.covariance.item()
        (3.0, 7.0)
    """

    def __init__(self, dimensions: int) -> None:
        self.n = 0
        self.mean = torch.zeros(dimensions, dtype=torch.float64)
        self.scatter = torch.zeros(dimensions, dimensions, dtype=torch.float64)

    @classmethod
    def of(cls, x: Tensor) -> "Moments":
        """The moments of vectors (n, d)."""
        return cls(x.shape[1]).update(x)

    def update(self, x: Tensor) -> "Moments":
        """Take in vectors (n, d)."""
        if len(x) == 0:
            return self
        part = Moments(x.shape[1])
        x = x.double()
        part.n, part.mean = len(x), x.mean(0)
        centred = x - part.mean
        part.scatter = centred.T @ centred
        return self.merge(part)

    def merge(self, other: "Moments") -> "Moments":
        """Take in what another has seen."""
        assert len(self.mean) == len(other.mean), "moments of vectors of the same length"
        n = self.n + other.n
        if n:
            delta = other.mean - self.mean
            self.mean = self.mean + delta * (other.n / n)
            outer = torch.outer(delta, delta) * (self.n * other.n / n)
            self.scatter = self.scatter + other.scatter + outer
        self.n = n
        return self

    @property
    def covariance(self) -> Tensor:
        """Unbiased covariance (d, d)."""
        assert self.n > 1, "a covariance needs two vectors"
        return self.scatter / (self.n - 1)
