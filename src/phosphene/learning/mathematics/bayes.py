"""Bayes' rule on a table: p(h | e) = p(h) p(e | h) / sum_h' p(h') p(e | h').

(Bayes, 1763; Laplace, 1774.)
"""

from torch import Tensor

from phosphene.core.errors import DataError

__all__ = ["posterior"]


def posterior(prior: Tensor, likelihood: Tensor) -> Tensor:
    """p(h | e) of every hypothesis, for every piece of evidence.

    Args:
        prior: p(h) (h,).
        likelihood: p(e | h) (h, e), a row for each hypothesis.

    Returns:
        (h, e), whose columns sum to 1.

    Raises:
        DataError: They are no probabilities, or a piece of evidence cannot occur.

    Example:
        >>> import torch
        >>> ill = torch.tensor([0.01, 0.99])  # ill, well
        >>> test = torch.tensor([[0.9, 0.1], [0.05, 0.95]])  # positive, negative
        >>> posterior(ill, test)[:, 0]
        tensor([0.1538, 0.8462])
    """
    if likelihood.ndim != 2 or prior.shape != likelihood.shape[:1]:
        raise DataError(
            f"a prior (h,) needs a likelihood (h, e), got {tuple(prior.shape)} and "
            f"{tuple(likelihood.shape)}"
        )
    for name, table in (("prior", prior), ("likelihood", likelihood)):
        if not bool((table >= 0).all()) or not bool(((table.sum(-1) - 1).abs() < 1e-4).all()):
            raise DataError(f"the {name} must not be negative, and sum to 1 over its last axis")
    joint = prior[:, None] * likelihood
    evidence = joint.sum(0)
    if not bool((evidence > 0).all()):
        place = int((evidence <= 0).nonzero()[0])
        raise DataError(f"evidence {place} has probability 0: nothing follows from it")
    return joint / evidence
