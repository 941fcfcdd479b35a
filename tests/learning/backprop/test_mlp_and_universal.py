"""The delta recursion against autograd, and one hidden layer against what it must reach."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from phosphene.core.errors import ConfigError, DataError
from phosphene.learning.backprop.activations import ACTIVATIONS
from phosphene.learning.backprop.mlp import mlp_forward, mlp_gradients
from phosphene.learning.backprop.universal import fitted, interpolating_relus
from phosphene.learning.linear.cross_entropy import cross_entropy_gradient


@pytest.mark.parametrize("name", list(ACTIVATIONS))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_delta_recursion_is_autograd(name, dtype):
    g = torch.Generator().manual_seed(0)
    sizes = (4, 6, 5, 3)
    pairs = list(pairwise(sizes))
    weights = [torch.randn(o, i, generator=g).to(dtype) / 2 for i, o in pairs]
    biases = [torch.randn(o, generator=g).to(dtype) / 2 for _, o in pairs]
    x, target = torch.randn(9, 4, generator=g).to(dtype), torch.randint(3, (9,), generator=g)
    fs = [ACTIVATIONS[name], ACTIVATIONS[name], ACTIVATIONS["identity"]]
    found = mlp_gradients(x, weights, biases, fs, lambda z: cross_entropy_gradient(z, target))
    leaves = [t.clone().requires_grad_() for t in (*weights, *biases, x)]
    logits = mlp_forward(leaves[-1], leaves[:3], leaves[3:-1], fs)[1][-1]
    peer = torch.autograd.grad(F.cross_entropy(logits, target, reduction="sum"), leaves)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    for own, other in zip((*found[0], *found[1], found[2]), peer, strict=True):
        assert own.shape == other.shape
        assert (own - other).abs().max() < tolerance


def test_a_lost_factor_is_noticed():
    x = torch.ones(1, 1)
    w, b = [torch.ones(1, 1)] * 2, [torch.zeros(1)] * 2
    fs = [ACTIVATIONS["tanh"]] * 2
    right = mlp_gradients(x, w, b, fs, lambda z: z)[0][0]
    wrong = mlp_gradients(x, w, b, fs, lambda z: z, below=lambda w, d, a, f: d @ w)[0][0]
    assert (right - wrong).abs() > 0.1


def test_layers_must_be_whole():
    with pytest.raises(DataError, match="a weight, a bias and an activation, got 1, 0 and 1"):
        mlp_forward(torch.ones(1, 1), [torch.ones(1, 1)], [], [ACTIVATIONS["relu"]])


def wave(x):
    return torch.sin(3 * x) + x.abs() / 2


GRID = torch.linspace(-1, 1, 2001, dtype=torch.float64)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "relu", "gelu", "softplus"])
def test_the_error_falls_with_the_width(name):
    errors = [
        min(
            float(
                (fitted(wave, ACTIVATIONS[name], w, -1, 1, seed=s)(GRID) - wave(GRID)).abs().max()
            )
            for s in range(3)
        )
        for w in (4, 16, 64)
    ]
    assert errors[2] < 0.02 < 0.05 < errors[0]
    assert errors[2] < errors[1] < errors[0]


@pytest.mark.parametrize(
    ("f", "degree"), [(lambda x: x, 1), (torch.square, 2), (lambda x: x**3, 3)]
)
def test_a_polynomial_stays_one(f, degree):
    powers = torch.stack([GRID**k for k in range(degree + 1)], 1)
    for width in (8, 64):
        made = fitted(wave, f, width, -1, 1)(GRID)
        best = powers @ torch.linalg.lstsq(powers, made[:, None]).solution
        assert (made - best[:, 0]).abs().max() < 1e-6
        assert (made - wave(GRID)).abs().max() > 0.2


@pytest.mark.parametrize("width", [1, 5, 40])
def test_relus_meet_the_knots_and_the_bound(width):
    layer = interpolating_relus(torch.sin, width, -1.0, 2.0)
    knots = torch.linspace(-1, 2, width + 1, dtype=torch.float64)
    assert (layer(knots) - knots.sin()).abs().max() < 1e-12
    x = torch.linspace(-1, 2, 1000, dtype=torch.float64)
    assert (layer(x) - x.sin()).abs().max() <= (3 / width) ** 2 / 8 + 1e-12


@pytest.mark.parametrize(
    ("do", "said"),
    [
        (lambda: interpolating_relus(torch.sin, 0, 0.0, 1.0), "width must be at least 1, got 0"),
        (lambda: fitted(torch.sin, torch.tanh, 4, 1.0, 1.0), "low < high, got 1 and 1"),
    ],
)
def test_bad_input_is_one_sentence(do, said):
    with pytest.raises(ConfigError, match=said):
        do()
