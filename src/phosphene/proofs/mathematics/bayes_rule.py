"""Bayes' rule on tables (Bayes, 1763; Laplace, 1774)."""

from collections.abc import Callable

import torch
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.learning.mathematics.bayes import posterior
from phosphene.proofs.proof import Proof, Wrong, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "p(h | e) = p(h) p(e | h) / sum_h' p(h') p(e | h'): the column of the joint table that the "
    "evidence leaves, scaled to sum 1."
)


def prove(seed: int = 0, *, formula: Callable[[Tensor, Tensor], Tensor] = posterior) -> Proof:
    """Compare with conditioning a joint table, with counting draws, and one test after another.

    Args:
        seed: Of the tables and draws.
        formula: The posterior (h, e) from the prior (h,) and the likelihood (h, e).

    Example:
        >>> prove().holds
        True
    """
    g = generator(seed)
    joint = torch.rand(5, 4, generator=g, dtype=torch.float64)
    joint = joint / joint.sum()
    prior = joint.sum(1)
    likelihood = joint / prior[:, None]
    found = formula(prior, likelihood)
    draws = 200_000
    cells = torch.multinomial(joint.reshape(-1), draws, replacement=True, generator=g)
    counts = torch.bincount(cells, minlength=20).reshape(5, 4).double()
    ill = torch.tensor([0.01, 0.99], dtype=torch.float64)
    test = torch.tensor([[0.9, 0.1], [0.05, 0.95]], dtype=torch.float64)
    once = formula(ill, test)[:, 0]
    twice = formula(once, test)[:, 0]
    both = torch.stack((test[:, 0] ** 2, 1 - test[:, 0] ** 2), 1)
    rows = [
        below(
            "against the column of the joint table, worst gap",
            (found - joint / joint.sum(0)).abs().max(),
            1e-12,
        ),
        below("|sum_h p(h | e) - 1|, worst", (found.sum(0) - 1).abs().max(), 1e-12),
        below(
            "sum_e p(h | e) p(e) against p(h), worst gap",
            (found @ joint.sum(0) - prior).abs().max(),
            1e-12,
        ),
        below(
            f"against counts of {draws:,} draws, worst gap",
            (found - counts / counts.sum(0)).abs().max(),
            0.01,
        ),
        equal(
            "1 in 100 ill, 90 % found, 5 % false alarms: p(ill | positive)", once[0], 2 / 13, 1e-12
        ),
        equal(
            "two tests, one after the other, against both at once",
            twice[0],
            formula(ill, both)[0, 0],
            1e-12,
        ),
    ]
    share = torch.linspace(0.001, 0.5, 100, dtype=torch.float64)
    figure = {
        "x": share,
        "p(ill | positive)": torch.stack(
            [formula(torch.stack((s, 1 - s)), test)[0, 0] for s in share]
        ),
    }
    return Proof("bayes-rule", "Bayes' rule", _STATEMENT, rows, figure)


def _without_the_prior(prior: Tensor, likelihood: Tensor) -> Tensor:
    return likelihood / likelihood.sum(0)


WRONG = Wrong(
    "p(h | e) = p(e | h) / sum_h' p(e | h'): the prior is left out (the base rate's neglect)",
    {"formula": _without_the_prior},
)
