"""Backpropagation through time: a sum over all losses, and of each over all paths."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.learning.recurrent.bptt import (
    gradient_by_paths,
    gradients_of_each_loss,
    total_gradient,
)
from phosphene.learning.recurrent.gru import GRU
from phosphene.learning.recurrent.layer import Recurrent
from phosphene.learning.recurrent.lstm import LSTM
from phosphene.learning.recurrent.rnn import RNN
from phosphene.proofs.proof import Proof, Row, Wrong, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "L = sum_t L_t, so that dL/dW = sum_t dL_t/dW, and dL_t/dW = sum_(k<=t) dL_t/dh_t "
    "(prod_(k<j<=t) dh_j/dh_(j-1)) d+h_k/dW with dh_j/dh_(j-1) = diag(f'(a_j)) W_hh. One pass "
    "from the last time to the first adds all of it up: dL/dh_t = dL_t/dh_t + W_hh^T dL/da_(t+1), "
    "dL/da_t = dL/dh_t f'(a_t)."
)
_T, _N = 8, 3


def prove(
    seed: int = 0, *, formula: Callable[[Sequence[Tensor]], Tensor] = total_gradient
) -> Proof:
    """Compare the pass, the sum over losses, the sum over paths, and autograd.

    Werbos (1990).

    Args:
        seed: Of weights, sequences and losses.
        formula: The whole gradient from those of the losses.

    Example:
        >>> prove().holds
        True
    """
    g = generator(seed, 1)
    x = torch.randn(_T, _N, 2, generator=g, dtype=torch.float64)
    dy = torch.randn(_T, _N, 5, generator=g, dtype=torch.float64)
    rows: list[Row] = []
    for name, layer in _layers(seed).items():
        layer.forward(x)
        each = gradients_of_each_loss(layer, dy)
        layer.backward(dy)
        whole = layer.grads["W_hh"]
        rows.append(
            equal(
                f"{name}: one pass less the sum over losses", _gap(whole, formula(each)), 0, 1e-12
            )
        )
        if isinstance(layer, RNN):
            paths = [gradient_by_paths(layer, dy, t) for t in range(_T)]
            rows.append(
                equal(
                    f"{name}: less the sum over losses and paths",
                    _gap(whole, formula(paths)),
                    0,
                    1e-12,
                )
            )
        if not isinstance(layer, RNN) or layer.activation != "sigmoid":
            peer = layer.to_torch()
            (peer(x)[0] * dy).sum().backward()
            found = layer.torch_names(layer.grads)
            gap = max(
                _gap(found[n], p.grad) for n, p in peer.named_parameters() if p.grad is not None
            )
            rows.append(equal(f"{name}: all gradients less autograd's", gap, 0, 1e-12))
    return Proof("bptt", "Backpropagation through time", _STATEMENT, rows)


def _layers(seed: int) -> dict[str, Recurrent]:
    double = torch.float64
    return {
        "RNN": RNN(2, 5, seed=seed, dtype=double),
        "sigmoid RNN": RNN(2, 5, activation="sigmoid", seed=seed, dtype=double),
        "LSTM": LSTM(2, 5, seed=seed, dtype=double),
        "GRU": GRU(2, 5, seed=seed, dtype=double),
    }


def _gap(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())


def _the_last(of_each: Sequence[Tensor]) -> Tensor:
    return of_each[-1]


WRONG = Wrong(
    "dL/dW = dL_t/dW of one t, the last: the sum over t is missing, as the notes print it",
    {"formula": _the_last},
)
