"""Activations, their derivatives by hand, and where these are next to 0.

(Glorot and Bengio, 2010; Hendrycks and Gimpel, 2016.)
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.learning.backprop.activations import ACTIVATIONS, Activation, Sigmoid
from phosphene.learning.backprop.universal import Function
from phosphene.proofs.proof import Proof, Row, Wrong, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "s' = s (1 - s) <= 1/4, tanh' = 1 - tanh^2 <= 1, relu' = [x > 0], gelu' = P(x) + x p(x), "
    "silu' = s (1 + x (1 - s)), softplus' = s. Sigmoid and tanh saturate on both sides, ReLU "
    "on the left, and a gradient through L sigmoids has shrunk by 4^L or more."
)
_TORCH: dict[str, Function] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": F.relu,
    "leaky-relu": F.leaky_relu,
    "elu": F.elu,
    "gelu": F.gelu,
    "gelu-tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "softplus": lambda x: F.softplus(x, threshold=100),
}


def prove(seed: int = 0, *, formula: Activation = ACTIVATIONS["sigmoid"]) -> Proof:
    """Compare values and derivatives with torch's and with differences, and probe the tails.

    Args:
        seed: Of the points.
        formula: The sigmoid, with its derivative.

    Example:
        >>> prove().holds
        True
    """
    known: Mapping[str, Activation] = ACTIVATIONS | {"sigmoid": formula}
    x = 3 * torch.randn(2000, generator=generator(seed), dtype=torch.float64)
    values = {n: _gap(known[n].value(x), f(x)) for n, f in _TORCH.items()}
    slopes = {n: _gap(known[n].derivative(x), _automatic(f, x)) for n, f in _TORCH.items()}
    differences = {n: _difference_gap(known[n], x) for n in _TORCH}
    softmax, logits = known["softmax"], x.view(200, 10)
    jacobian = torch.func.vmap(torch.func.jacrev(lambda a: torch.softmax(a, 0)))(logits)
    rows: list[Row] = [
        below(
            f"values against torch, {len(_TORCH)} activations, worst gap",
            max(values.values()),
            1e-12,
        ),
        below("derivatives against torch's automatic ones, worst gap", max(slopes.values()), 1e-12),
        below(
            "derivatives against central differences, worst gap", max(differences.values()), 1e-7
        ),
        below("Jacobian of softmax, worst gap", _gap(softmax.derivative(logits), jacobian), 1e-12),
        equal("largest slope of the sigmoid", _steepest(known["sigmoid"]), 0.25, 1e-12),
        equal("largest slope of tanh", _steepest(known["tanh"]), 1.0, 1e-12),
        equal("least slope of gelu", _flattest(known["gelu"]), -0.1290, 1e-3),
        below("sigmoid' at |x| = 10", _tail(known["sigmoid"]), 5e-5),
        below("tanh' at |x| = 10", _tail(known["tanh"]), 1e-8),
        equal("relu' at 10", known["relu"].derivative(torch.tensor(10.0)), 1, 0),
        equal("relu' at -10", known["relu"].derivative(torch.tensor(-10.0)), 0, 0),
        equal(
            "leaky-relu' at -10", known["leaky-relu"].derivative(torch.tensor(-10.0)), 0.01, 1e-7
        ),
    ]
    line = torch.linspace(-6, 6, 121, dtype=torch.float64)
    figure = {"x": line} | {f"{n}'": known[n].derivative(line) for n in _TORCH}
    return Proof("activation-derivatives", "Activations", _STATEMENT, rows, figure)


def _automatic(f: Function, x: Tensor) -> Tensor:
    at = x.clone().requires_grad_()
    return torch.autograd.grad(f(at).sum(), at)[0]


def _difference_gap(f: Activation, x: Tensor) -> float:
    """Away from 0, where some have a corner."""
    h = 1e-5
    x = x[x.abs() > 2 * h]
    return _gap((f.value(x + h) - f.value(x - h)) / (2 * h), f.derivative(x))


def _steepest(f: Activation) -> Tensor:
    return f.derivative(torch.linspace(-5, 5, 10_001, dtype=torch.float64)).max()


def _flattest(f: Activation) -> Tensor:
    return f.derivative(torch.linspace(-5, 5, 10_001, dtype=torch.float64)).min()


def _tail(f: Activation) -> Tensor:
    return f.derivative(torch.tensor([-10.0, 10.0], dtype=torch.float64)).max()


def _gap(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())


class _OfTheValue(Sigmoid):
    """Takes the derivative at the value that the layer gave instead of at what it was given."""

    def derivative(self, x: Tensor) -> Tensor:
        return super().derivative(self.value(x))


WRONG = Wrong(
    "s'(z) with z = s(a), the value, where f'(a), a what the unit was given, is meant",
    {"formula": _OfTheValue()},
)
