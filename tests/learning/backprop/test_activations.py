"""Activations against torch, and against what they should do at the ends."""

import math

import pytest
import torch
import torch.nn.functional as F

from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.learning.backprop.activations import (
    ACTIVATIONS,
    ELU,
    LeakyReLU,
    activation,
    saturation,
)

PEERS = {
    "identity": lambda x: x,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": F.relu,
    "leaky-relu": F.leaky_relu,
    "elu": F.elu,
    "gelu": F.gelu,
    "gelu-tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "softplus": lambda x: torch.logaddexp(x, torch.zeros_like(x)),
    "softmax": lambda x: F.softmax(x, -1),
}


def test_every_activation_has_a_peer():
    assert set(PEERS) == set(ACTIVATIONS)
    assert all(f.name == name for name, f in ACTIVATIONS.items())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", PEERS)
def test_value_and_backward_are_torchs(name, dtype):
    x = torch.randn(40, 7, generator=torch.Generator().manual_seed(0)).to(dtype) * 3
    x[0, 0] = 0.0
    delta = torch.randn(40, 7, generator=torch.Generator().manual_seed(1)).to(dtype)
    at = x.clone().requires_grad_()
    expected = PEERS[name](at)
    f = activation(name)
    tolerance = 1e-12 if dtype == torch.float64 else 2e-6
    assert f(x).dtype == f.derivative(x).dtype == dtype
    assert (f(x) - expected).abs().max() <= tolerance
    if name != "softplus":  # where logaddexp is told of a tie at 0, its gradient is the same
        assert f.backward(x, delta).shape == x.shape
    slope = torch.autograd.grad(expected, at, delta)[0]
    assert (f.backward(x, delta) - slope).abs().max() <= tolerance


@pytest.mark.parametrize("name", [n for n, f in ACTIVATIONS.items() if f.pointwise])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nothing_overflows(name, dtype):
    x = torch.tensor([-1e4, -100.0, 100.0, 1e4], dtype=dtype)
    f = activation(name)
    assert f(x).isfinite().all()
    assert f.derivative(x).isfinite().all()


def test_softmax_of_large_logits():
    x = torch.tensor([[1e4, 0.0], [-1e4, -1e4]])
    assert torch.equal(ACTIVATIONS["softmax"](x), torch.tensor([[1.0, 0.0], [0.5, 0.5]]))


def test_jacobian_of_softmax_is_what_backward_multiplies_by():
    x, delta = torch.randn(2, 5, 4, dtype=torch.float64)
    f = ACTIVATIONS["softmax"]
    product = (f.derivative(x) @ delta[..., None])[..., 0]
    assert (product - f.backward(x, delta)).abs().max() < 1e-14


def test_tails_keep_their_digits():
    far = torch.tensor([40.0], dtype=torch.float64)
    assert float(activation("sigmoid").derivative(far)) == pytest.approx(math.exp(-40), rel=1e-12)
    left = activation("gelu")(torch.tensor([-20.0], dtype=torch.float64))
    assert float(left) == pytest.approx(-20 * 0.5 * math.erfc(20 / math.sqrt(2)), rel=1e-12)


def test_saturation_counts_examples_of_each_unit():
    x = torch.tensor([[-20.0, 0.0, -1.0], [20.0, 0.1, -2.0]])
    assert saturation(activation("tanh"), x).tolist() == [1.0, 0.0, 0.0]
    assert saturation(activation("relu"), x).tolist() == [0.5, 0.5, 1.0]
    assert saturation(activation("leaky-relu"), x, below=0.005).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("do", "said"),
    [
        (lambda: activation("swish"), "unknown activation 'swish'"),
        (lambda: LeakyReLU(2.0), "slope must be 0 and at most 1|slope must be at least 0"),
        (lambda: ELU(0.0), "alpha must be above 0, got 0.0"),
        (lambda: saturation(activation("tanh"), torch.zeros(0, 3)), "needs examples"),
        (lambda: saturation(activation("tanh"), torch.zeros(2, 3), below=0.0), "below must be"),
        (lambda: saturation(activation("softmax"), torch.zeros(2, 3)), "one unit at a time"),
    ],
)
def test_bad_input_is_one_sentence(do, said):
    with pytest.raises((ConfigError, UnknownNameError), match=said) as error:
        do()
    assert "\n" not in str(error.value)
