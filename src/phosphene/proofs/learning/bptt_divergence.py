"""When gradients vanish and when they may explode: a bound by singular values."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.learning.recurrent.rnn import RNN
from phosphene.learning.recurrent.spectrum import (
    STEEPEST,
    growth,
    growth_bound,
    jacobian_product,
    spectral_radius,
)
from phosphene.proofs.proof import Proof, Row, Wrong, above, below

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "|dh_t/dh_k| <= (gamma s)^(t-k), s the largest singular value of W_hh, gamma = max f': 1 for "
    "tanh, 1/4 for sigmoid. So gamma s < 1 is sufficient for gradients to vanish, and gamma s > 1 "
    "is necessary for them to explode, not sufficient: where f is saturated they vanish all the "
    "same. The largest |eigenvalue| bounds nothing at a finite t: W that is not normal may "
    "stretch first."
)
Bound = Callable[[Tensor, float, int], Tensor]
_T = 20


def prove(seed: int = 0, *, formula: Bound = growth_bound) -> Proof:
    """Compare products of Jacobians with the bound, over activations and matrices.

    Pascanu, Mikolov and Bengio (2013).

    Args:
        seed: Of weights and inputs.
        formula: The bound, from W_hh, gamma and t - k.

    Example:
        >>> prove().holds
        True
    """
    rows: list[Row] = []
    for name in ("tanh", "sigmoid", "relu"):
        rows.append(
            below(f"{name}: worst |dh_t/dh_k| / bound", _worst(name, seed, formula), 1, 1e-9)
        )
    # Not normal: both eigenvalues 1/2, and yet a stretch in the first steps.
    W = torch.tensor([[0.5, 4.0], [0.0, 0.5]], dtype=torch.float64)
    layer = _still(W)
    lengths = [float(_norm(layer, lag)) for lag in range(1, _T + 1)]
    ratio = max(n / float(formula(W, 1.0, k)) for k, n in enumerate(lengths, 1))
    rows += [
        below("not normal: its largest |eigenvalue|", spectral_radius(W), 1),
        above("not normal: its largest singular value", growth(W), 1),
        above("not normal: max_t |dh_t/dh_0|", max(lengths), 2),
        below("not normal: |dh_20/dh_0|", lengths[-1], 1e-3),
        below("not normal: worst |dh_t/dh_0| / bound", ratio, 1, 1e-9),
    ]
    # Saturated: far above the threshold, and yet nothing comes back.
    saturated = _still(3 * torch.eye(2, dtype=torch.float64), bias=10.0)
    rows += [
        above("saturated: gamma s", growth(saturated.parameters["W_hh"]), 2.5),
        below("saturated: |dh_20/dh_0|", _norm(saturated, _T), 1e-12),
    ]
    small = _still(
        0.9 * torch.linalg.qr(torch.randn(4, 4, generator=generator(seed), dtype=torch.float64))[0]
    )
    rows.append(below("gamma s = 0.9: |dh_20/dh_0|", _norm(small, _T), 0.9**_T, 1e-9))
    figure = {"x": torch.arange(1, _T + 1), "|dh_t/dh_0|, not normal": torch.tensor(lengths)}
    return Proof("bptt-divergence", "Vanishing and exploding gradients", _STATEMENT, rows, figure)


def _worst(activation: Literal["tanh", "relu", "sigmoid"], seed: int, formula: Bound) -> float:
    """Over weights of several scales, and all pairs of times."""
    worst = 0.0
    for scale in (0.5, 1.0, 3.0):
        layer = RNN(2, 6, activation=activation, seed=seed, dtype=torch.float64)
        layer.parameters["W_hh"] *= scale
        x = torch.randn(6, 1, 2, generator=generator(seed, 1), dtype=torch.float64)
        layer.forward(0.1 * x)
        W, gamma = layer.parameters["W_hh"], STEEPEST[activation]
        for k in range(6):
            for t in range(k + 1, 7):
                length = torch.linalg.matrix_norm(jacobian_product(layer, k, t), 2)
                worst = max(worst, float(length / formula(W, gamma, t - k)))
    return worst


def _still(W: Tensor, bias: float = 0.0) -> RNN:
    """A tanh network that rests at 0, or with a bias at the end of tanh."""
    layer = RNN(1, len(W), dtype=torch.float64)
    layer.parameters["W_hh"].copy_(W)
    layer.parameters["b"].fill_(bias)
    layer.forward(torch.zeros(_T, 1, 1, dtype=torch.float64))
    return layer


def _norm(layer: RNN, lag: int) -> Tensor:
    found: Tensor = torch.linalg.matrix_norm(jacobian_product(layer, 0, lag), 2)
    return found


def _by_eigenvalues(W: Tensor, gamma: float, lag: int) -> Tensor:
    return (gamma * spectral_radius(W)) ** lag


WRONG = Wrong(
    "(gamma lambda_1)^(t-k) with lambda_1 the largest |eigenvalue|, as the notes' \"lambda_1 > 1 / "
    'gamma: explodes" reads',
    {"formula": _by_eigenvalues},
)
