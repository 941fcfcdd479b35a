"""The best discriminator between two densities, and what it is worth.

    V(D) = E_p[log D] + E_q[log(1 - D)],   D* = p / (p + q),   V(D*) = 2 JSD(p, q) - log 4

(Goodfellow et al., 2014, proposition 1.) At each x, a log y + b log(1 - y) with a = p(x), b = q(x)
has its only stationary point at y = a / (a + b), and its second derivative is negative everywhere.
"""

import torch
from torch import Tensor

__all__ = [
    "discriminator_curvature",
    "discriminator_value",
    "jensen_shannon",
    "optimal_discriminator",
]


def optimal_discriminator(p: Tensor, q: Tensor) -> Tensor:
    """p / (p + q): the probability that x is data, if as many are.

    Args:
        p: Densities of the data (...), not negative.
        q: Densities of the model (...); not both 0.

    Example:
        >>> optimal_discriminator(torch.tensor([0.3, 0.5, 0.0]), torch.tensor([0.1, 0.5, 0.2]))
        tensor([0.7500, 0.5000, 0.0000])
    """
    return p / (p + q)


def discriminator_value(d: Tensor, p: Tensor, q: Tensor) -> Tensor:
    """The terms p log D + q log(1 - D) (...), whose sum over x is V; 0 log 0 is 0.

    Args:
        d: What the discriminator says, 0 to 1.
        p: Probabilities of the data.
        q: Probabilities of the model.
    """
    return torch.xlogy(p, d) + torch.xlogy(q, 1 - d)


def discriminator_curvature(d: Tensor, p: Tensor, q: Tensor) -> Tensor:
    """The second derivative of a term in D: -p / D^2 - q / (1 - D)^2, below 0."""
    return -p / d.square() - q / (1 - d).square()


def jensen_shannon(p: Tensor, q: Tensor) -> Tensor:
    """(KL(p || m) + KL(q || m)) / 2 with m = (p + q) / 2, of tables (..., k), in nats.

    Example:
        >>> halves = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
        >>> jensen_shannon(*halves)
        tensor(0.6931)
    """
    m = (p + q) / 2
    first = torch.xlogy(p, p) - torch.xlogy(p, m)
    second = torch.xlogy(q, q) - torch.xlogy(q, m)
    return (first + second).sum(-1) / 2
