"""The masked network's kernel against its reference."""

import pytest
import torch

from phosphene.kernels.library import ACTIVATION_CODES, backend, forced
from phosphene.kernels.masked import (
    Head,
    MaskedArrays,
    masked_reference,
    masked_sample,
    masked_usable,
)
from phosphene.nn.masked import MaskedMLP

pytestmark = pytest.mark.skipif(backend().library is None, reason=backend().why)

HEADS = {
    "bernoulli": (Head("bernoulli"), 1),
    "categorical": (Head("categorical"), 5),
    "mixture": (Head("mixture"), 9),
    "one component": (Head("mixture"), 3),
    "affine": (Head("affine", 7.0), 2),
    "affine, no limit": (Head("affine", 0.0), 2),
    "shift": (Head("affine"), 1),
    "softplus": (Head("softplus", options=(1e-3, 0.5)), 2),
    "sigmoid": (Head("sigmoid", options=(1e-3, 2.0)), 2),
    "spline": (Head("spline", options=(1.5, 0.0, 1e-3, 2e-3, 1e-3, 0.54, 0.54, 0.0)), 14),
    "spline of exponential slopes": (
        Head("spline", options=(2.0, 6.9, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)),
        11,
    ),
}


def arrays(
    dimensions=21,
    hidden=(40, 40),
    outputs=1,
    features=1,
    activation="relu",
    residual=False,
    direct=True,
    rows=0,
    dtype=torch.float64,
):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = MaskedMLP(
            dimensions, hidden, outputs, features=features, orders=torch.randperm(dimensions)[None],
            activation=activation, residual=residual, direct=direct,
        ).to(dtype)  # fmt: skip
        for p in net.parameters():
            torch.nn.init.normal_(p, std=0.15)
        s = net.sorted()
        biases, head_bias = s.biases, s.head_bias
        if rows:
            biases = [b + torch.randn(rows, len(b), dtype=dtype) for b in biases]
            head_bias = head_bias + torch.randn(rows, *head_bias.shape, dtype=dtype)
    return MaskedArrays(
        s.weights,
        biases,
        s.known,
        s.head.detach(),
        head_bias.detach(),
        s.direct,
        activation,
        residual,
    )


def noise(n, dimensions=21, dtype=torch.float64):
    g = torch.Generator().manual_seed(1)
    shape = (n, dimensions)
    return torch.rand(shape, generator=g, dtype=dtype), torch.randn(shape, generator=g, dtype=dtype)


def agree(net, head, u, z, **options):
    with torch.no_grad():
        assert masked_usable(net, u)
        ours = masked_sample(net, head, u, z, **options)
        reference = masked_reference(net, head, u, z, **options)
    torch.testing.assert_close(
        ours, reference, rtol=0.0, atol=1e-12 * max(1.0, reference.abs().max())
    )


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("n", [1, 6, 37])
def test_heads(name, n):
    head, outputs = HEADS[name]
    agree(arrays(outputs=outputs), head, *noise(n))


@pytest.mark.parametrize("activation", ACTIVATION_CODES)
@pytest.mark.parametrize("n", [3, 33])
def test_activations(activation, n):
    agree(arrays(activation=activation), Head("bernoulli"), *noise(n))


@pytest.mark.parametrize("hidden", [(), (7,), (64,), (30, 10, 50)])
@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("rows", [0, 18])
def test_shapes_and_conditions(hidden, direct, rows):
    agree(arrays(hidden=hidden, direct=direct, rows=rows), Head("bernoulli"), *noise(18))


def test_residual_layers_and_one_hot_codes():
    net = arrays(dimensions=18, hidden=(24, 24, 24), outputs=4, features=4, residual=True)
    agree(net, Head("categorical"), *noise(20, 18))


@pytest.mark.parametrize("temperature", [0.0, 0.5])
@pytest.mark.parametrize("name", ["bernoulli", "categorical", "mixture"])
def test_temperature(name, temperature):
    head, outputs = HEADS[name]
    agree(arrays(outputs=outputs), head, *noise(9), temperature=temperature)


def test_known_values_are_kept():
    u, z = noise(10)
    given = (torch.randint(0, 2, (10, 21)).double(), torch.rand(10, 21) < 0.5)
    agree(arrays(), Head("bernoulli"), u, z, given=given)


def test_one_dimension():
    agree(arrays(dimensions=1, hidden=(4,)), Head("bernoulli"), *noise(5, 1))


def test_float32_is_close():
    net = arrays(outputs=2, dtype=torch.float32)
    u, z = noise(40, dtype=torch.float32)
    with torch.no_grad():
        ours = masked_sample(net, Head("affine", 2.0), u, z)
        reference = masked_reference(net, Head("affine", 2.0), u, z)
    scale = reference.abs().max()
    assert (ours - reference).abs().max() < 1e-4 * scale


@pytest.mark.parametrize("level", ["baseline", "avx2", "avx512"])
def test_every_build_agrees(level):
    with forced(level) as found:
        if found.library is None:
            pytest.skip(found.why)
        agree(arrays(outputs=2), Head("affine", 2.0), *noise(43))


def test_one_thread_and_two_give_the_same_bits():
    net, (u, z) = arrays(outputs=2, dtype=torch.float32), noise(75, dtype=torch.float32)
    before, drawn = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            with torch.no_grad():
                drawn.append(masked_sample(net, Head("affine", 2.0), u, z))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*drawn)


def test_what_is_masked_is_never_read():
    net = arrays(outputs=2)
    u, z = noise(20)
    with torch.no_grad():
        before = masked_sample(net, Head("affine", 2.0), u, z)
        for w in (*net.weights, net.head, net.direct):
            w[w == 0.0] = float("nan")
        after = masked_sample(net, Head("affine", 2.0), u, z)
    assert torch.equal(before, after)
