"""Jensen's inequality: f(E x) <= E f(x) for a convex f; the logarithm is concave, and turns it.

    log p(x) = log E_q[p(x, z) / q(z)] >= E_q[log p(x, z) - log q(z)]

(Jensen, 1906) is the evidence lower bound, and the gap is KL(q || p(z | x)).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from phosphene.core.errors import DataError

__all__ = ["evidence_bound", "jensen_gap"]


def jensen_gap(f: Callable[[Tensor], Tensor], x: Tensor, weights: Tensor) -> Tensor:
    """E f(x) - f(E x): not negative if f is convex, 0 if it is a line or x is one value.

    Args:
        f: Applied to each entry.
        x: Values (..., n).
        weights: Their probabilities (..., n).

    Returns:
        (...).

    Raises:
        DataError: The weights are no probabilities.

    Example:
        >>> jensen_gap(torch.square, torch.tensor([-1.0, 1.0]), torch.tensor([0.5, 0.5]))
        tensor(1.)
    """
    total = weights.sum(-1)
    if not bool((weights >= 0).all()) or not bool((total - 1).abs().max() < 1e-4):
        raise DataError("weights must not be negative and must sum to 1")
    return (weights * f(x)).sum(-1) - f((weights * x).sum(-1))


def evidence_bound(log_joint: Tensor, log_q: Tensor) -> Tensor:
    """sum_z q(z) (log p(x, z) - log q(z)), at most log p(x) = logsumexp_z log p(x, z).

    Args:
        log_joint: log p(x, z) over all z (..., n).
        log_q: log q(z) (..., n), normalized.

    Example:
        >>> joint = torch.tensor([0.1, 0.3])
        >>> bound = evidence_bound(joint.log(), torch.tensor([0.5, 0.5]).log())
        >>> bool(bound < joint.sum().log())
        True
    """
    q = log_q.exp()
    return (q * log_joint - torch.xlogy(q, q)).sum(-1)
