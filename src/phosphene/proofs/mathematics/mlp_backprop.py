"""The delta recursion gives all gradients of a perceptron of several layers."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.learning.backprop.activations import ACTIVATIONS, Activation
from phosphene.learning.backprop.mlp import Delta, delta_below, mlp_forward, mlp_gradients
from phosphene.proofs.proof import Proof, Wrong, below

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "With a_l = W_l z_(l-1) + b_l and z_l = f_l(a_l), delta_l = dL/da_l obeys delta_L = dL/dz_L "
    "f_L'(a_L), delta_l = (W_(l+1)^T delta_(l+1)) f_l'(a_l), and dL/dW_l = delta_l z_(l-1)^T, "
    "dL/db_l = delta_l (Rumelhart, Hinton and Williams, 1986)."
)
_SIZES = (5, 8, 7, 6, 3)
_NAMES = ("tanh", "gelu", "sigmoid", "softmax")


def prove(seed: int = 0, *, formula: Delta = delta_below) -> Proof:
    """Compare with automatic differentiation and with finite differences.

    Four layers with different activations, the last a softmax, and mean squared errors.

    Args:
        seed: Of weights and examples.
        formula: delta of a layer from that above it.

    Example:
        >>> prove().holds
        True
    """
    x, target, weights, biases = _network(seed)
    fs = [ACTIVATIONS[name] for name in _NAMES]
    by_weight, by_bias, by_x = mlp_gradients(
        x, weights, biases, fs, lambda z: z - target, below=formula
    )
    leaves = [t.clone().requires_grad_() for t in (*weights, *biases, x)]
    many = len(weights)
    loss = _loss(leaves[-1], leaves[:many], leaves[many:-1], fs, target)
    found = torch.autograd.grad(loss, leaves)
    differences = _differences(x, target, weights, biases, fs)
    rows = [
        below(
            f"dL/dW_{k + 1} against automatic differentiation", _gap(by_weight[k], found[k]), 1e-12
        )
        for k in range(many)
    ]
    rows += [
        below("dL/db of all layers, worst gap", max(map(_gap, by_bias, found[many:-1])), 1e-12),
        below("dL/dx", _gap(by_x, found[-1]), 1e-12),
        below(
            "dL/dW of all layers against central differences, worst gap",
            max(map(_gap, by_weight, differences)),
            1e-6,
        ),
    ]
    sizes = torch.stack([torch.linalg.matrix_norm(g) for g in by_weight])
    figure = {"x": torch.arange(1.0, many + 1), "norm of dL/dW": sizes}
    return Proof("mlp-backprop", "Backpropagation", _STATEMENT, rows, figure)


def _network(seed: int) -> tuple[Tensor, Tensor, list[Tensor], list[Tensor]]:
    g = generator(seed)
    x = torch.randn(12, _SIZES[0], generator=g, dtype=torch.float64)
    target = torch.rand(12, _SIZES[-1], generator=g, dtype=torch.float64)
    pairs = list(pairwise(_SIZES))
    weights = [torch.randn(o, i, generator=g, dtype=torch.float64) / i**0.5 for i, o in pairs]
    biases = [torch.randn(o, generator=g, dtype=torch.float64) / 2 for _, o in pairs]
    return x, target, weights, biases


def _loss(
    x: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    fs: Sequence[Activation],
    target: Tensor,
) -> Tensor:
    return (mlp_forward(x, weights, biases, fs)[1][-1] - target).square().sum() / 2


def _differences(
    x: Tensor,
    target: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    fs: Sequence[Activation],
) -> list[Tensor]:
    """Central differences of the loss in every weight."""
    h, found = 1e-5, []
    for k, weight in enumerate(weights):
        slope = torch.zeros_like(weight)
        for place in range(weight.numel()):
            ends = []
            for step in (h, -h):
                moved = weight.clone()
                moved.view(-1)[place] += step
                tried = [*weights[:k], moved, *weights[k + 1 :]]
                ends.append(_loss(x, tried, biases, fs, target))
            slope.view(-1)[place] = (ends[0] - ends[1]) / (2 * h)
        found.append(slope)
    return found


def _gap(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())


def _without_the_slope(weight: Tensor, delta: Tensor, a: Tensor, f: Activation) -> Tensor:
    return delta @ weight


WRONG = Wrong(
    "delta_l = W_(l+1)^T delta_(l+1): the factor f'(a_l) is lost, as if the layer were linear",
    {"formula": _without_the_slope},
)
