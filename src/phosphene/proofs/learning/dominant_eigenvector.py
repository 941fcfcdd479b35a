"""A linear recurrent network turns its state into the dominant eigenvector."""

from collections.abc import Callable

import torch
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.learning.recurrent.spectrum import (
    eigenvector_form,
    linear_states,
    normality_gap,
    power_iteration,
)
from phosphene.proofs.proof import Proof, Row, Wrong, above, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "W = Q L Q^-1 for any diagonalizable W, so that h_t = W^t h_1 = Q L^t Q^-1 h_1 turns into the "
    "eigenvector of the largest |lambda|; the angle falls by |lambda_2 / lambda_1| a step. Q^-1 = "
    "Q^T, with a real Q, only where W is symmetric; the conjugate transpose where W is normal."
)


def prove(
    seed: int = 0, *, formula: Callable[[Tensor, Tensor], Tensor] = eigenvector_form
) -> Proof:
    """Rebuild a symmetric matrix and one that is not from their eigenvectors, and iterate both.

    von Mises and Pollaczek-Geiringer (1929) for the iteration.

    Args:
        seed: Of the eigenvectors.
        formula: W from its eigenvalues and eigenvectors.

    Example:
        >>> prove().holds
        True
    """
    g = generator(seed)
    lambdas = torch.tensor([1.1, 0.9, -0.6, 0.5, 0.2, -0.1], dtype=torch.float64)
    skewed = torch.randn(6, 6, generator=g, dtype=torch.float64)
    skewed = skewed / skewed.norm(dim=0)  # columns that are not at right angles
    rows: list[Row] = []
    for name, Q in (("symmetric", torch.linalg.qr(skewed)[0]), ("not normal", skewed)):
        W = Q @ torch.diag(lambdas) @ torch.linalg.inv(Q)
        values, vectors = torch.linalg.eig(W)
        gap = (formula(values, vectors) - W).abs().max()
        h = torch.ones(6, dtype=torch.float64)
        tenth = formula(values**10, vectors).real @ h
        value, vector = power_iteration(W, 400, seed=seed)
        off = _sine(linear_states(W, h, 120), Q[:, 0])
        rows += [
            equal(f"{name}: W less its form", gap, 0, 1e-12),
            equal(
                f"{name}: W^10 h less its form",
                (linear_states(W, h, 10)[-1] - tenth).abs().max(),
                0,
                1e-10,
            ),
            equal(f"{name}: eigenvalue found", value, 1.1, 1e-10),
            equal(
                f"{name}: angle to the eigenvector, sine", _sine(vector[None], Q[:, 0])[0], 0, 1e-7
            ),
            equal(
                f"{name}: factor of the angle a step",
                (off[120] / off[80]) ** (1 / 40),
                0.9 / 1.1,
                1e-3,
            ),
        ]
        gap = normality_gap(W)
        rows.append(
            below("symmetric: |W W^T - W^T W|", gap, 1e-12)
            if name == "symmetric"
            else above("not normal: |W W^T - W^T W|", gap, 0.01)
        )
    return Proof("dominant-eigenvector", "The dominant eigenvector", _STATEMENT, rows)


def _sine(states: Tensor, direction: Tensor) -> Tensor:
    """Of the angle to a direction of length 1, from what is left at right angles to it."""
    along = (states @ direction)[:, None] * direction
    sine: Tensor = (states - along).norm(dim=1) / states.norm(dim=1)
    return sine


def _transposed(values: Tensor, vectors: Tensor) -> Tensor:
    return vectors @ torch.diag(values) @ vectors.T


WRONG = Wrong(
    "W = Q L Q^T for any diagonalizable W, as the notes print it: true of symmetric W",
    {"formula": _transposed},
)
