"""The gradient of a mini-batch is right on average, and varies as 1 / m."""

from collections.abc import Callable
from math import comb

import torch
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.learning.optimizers.mini_batch import (
    all_batches,
    batch_gradients,
    variance_of_batches,
)
from phosphene.proofs.proof import Proof, Row, Wrong, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "g_B = (1/m) sum_(i in B) g_i. Over all (n choose m) batches E g_B = g, the full gradient, "
    "exactly, whatever m; Var g_B = S / m with replacement and S / m (n - m) / (n - 1) without, S "
    "the variance of one example's gradient."
)
_N = 10


def prove(seed: int = 0, *, formula: Callable[[Tensor, Tensor], Tensor] = batch_gradients) -> Proof:
    """Go through all batches of 10 examples.

    Robbins and Monro (1951) ask of a stochastic gradient that it be unbiased, of bounded variance.

    Args:
        seed: Of the gradients, whole numbers, so that sums are exact.
        formula: The gradients of batches.

    Example:
        >>> prove().holds
        True
    """
    g = generator(seed)
    each = torch.randint(-1000, 1000, (_N, 3), generator=g).double()
    one = float(each.var(0, correction=0).sum())
    rows: list[Row] = []
    for m in (1, 2, 5, 9):
        batches = all_batches(_N, m)
        drawn = formula(each, batches)
        total = (m * drawn).round().sum(0)  # whole numbers again
        gap = (total - comb(_N - 1, m - 1) * each.sum(0)).abs().max()
        variance = float((drawn - each.mean(0)).square().sum(1).mean())
        expected = variance_of_batches(each, m)
        rows += [
            equal(f"m = {m}: m sum_B g_B less (n-1 choose m-1) sum_i g_i", gap, 0, 0),
            equal(f"m = {m}: variance / S", variance / one, expected / one, 1e-12),
        ]
    pairs = formula(each, torch.cartesian_prod(torch.arange(_N), torch.arange(_N)))
    variance = float((pairs - each.mean(0)).square().sum(1).mean())
    rows.append(equal("m = 2 with replacement: variance / S", variance / one, 1 / 2, 1e-12))
    return Proof("unbiased-batches", "Mini-batches", _STATEMENT, rows)


def _divided_by_all(gradients: Tensor, batches: Tensor) -> Tensor:
    return gradients[batches].sum(1) / len(gradients)


WRONG = Wrong(
    "g_B = (1/n) sum_(i in B) g_i: divided by all examples, as if the batch were the sum over all",
    {"formula": _divided_by_all},
)
