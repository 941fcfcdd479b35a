"""Masked autoregressive layers: both directions, their order, native against torch, and peers."""

import math

import pytest
import torch

from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, EventError, UnknownNameError
from phosphene.core.event import Event
from phosphene.generative.flow.iaf import IAF
from phosphene.generative.flow.layers.autoregressive import MaskedAutoregressive
from phosphene.generative.flow.maf import MAF
from phosphene.kernels.library import backend, forced
from phosphene.nn.monotone import Additive, Affine, FlooredAffine
from phosphene.nn.spline import RationalQuadratic

MONOTONES = {
    "additive": Additive(),
    "affine": Affine(),
    "unbounded": Affine(0.0),
    "softplus": FlooredAffine(),
    "sigmoid": FlooredAffine("sigmoid", offset=2.0),
    "spline": RationalQuadratic(6),
    "exponential spline": RationalQuadratic(
        5, 2.0, min_width=0, min_height=0, min_slope=0, slopes="exp", limit=6.9
    ),
}
LABELS = ContextSpec(label=3, vector=Event.real(2))
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


def layer_of(monotone="affine", dtype=torch.float64, dimensions=6, order=None, std=0.3, **options):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        order = torch.randperm(dimensions) if order is None else order
        options = {"hidden": (20, 20), **options}
        layer = MaskedAutoregressive(dimensions, MONOTONES[monotone], order=order, **options)
        for p in layer.parameters():
            torch.nn.init.normal_(p, std=std)
    return layer.to(dtype)


def numbers(n, dimensions=6, dtype=torch.float64, seed=0):
    return torch.randn(n, dimensions, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def told(n, dtype=torch.float64):
    return Context(label=torch.arange(n) % 4 - 1, vector=numbers(n, 2, dtype, 3))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("monotone", MONOTONES)
@pytest.mark.parametrize("way", ["native", "torch", "recorded"])
def test_inverse_of_forward_is_the_identity(monotone, dtype, way):
    layer, x = layer_of(monotone, dtype, context=LABELS, std=0.1), numbers(37, dtype=dtype)
    context = told(37, dtype)
    with torch.no_grad():
        z, log_det = layer(x, context)
    with forced("off" if way == "torch" else "auto"), torch.set_grad_enabled(way == "recorded"):
        back, inverse_log_det = layer.inverse_and_log_det(z, context)
        assert torch.equal(layer.inverse(z, context), back)
    assert back.requires_grad == (way == "recorded")
    assert (back - x).abs().max() <= TOLERANCE[dtype] * x.abs().max()
    assert (log_det + inverse_log_det).abs().max() <= 10 * TOLERANCE[dtype]


@pytest.mark.skipif(backend().library is None, reason=backend().why)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("monotone", MONOTONES)
@pytest.mark.parametrize("residual", [False, True])
def test_native_equals_torch(monotone, dtype, residual):
    layer = layer_of(monotone, dtype, 40, residual=residual, context=LABELS, std=0.1)
    z, context = 2 * numbers(35, 40, dtype), told(35, dtype)
    with torch.no_grad():
        native = layer.inverse(z, context)
        with forced("off"):
            plain = layer.inverse(z, context)
    assert (native - plain).abs().max() <= TOLERANCE[dtype] * plain.abs().max()
    assert not torch.allclose(native, z, atol=0.1)


@pytest.mark.parametrize("monotone", ["affine", "spline"])
@pytest.mark.parametrize("order", [None, torch.arange(6), torch.arange(6).flip(0)])
def test_the_jacobian_is_triangular_in_the_order(monotone, order):
    layer = layer_of(monotone, order=order)
    x = numbers(1)[0]
    j = torch.autograd.functional.jacobian(lambda v: layer(v[None])[0][0], x)
    j = j[layer.order][:, layer.order]
    assert (j.triu(1) == 0).all()
    assert (j.diagonal() > 0).all()
    assert (j.tril(-1)[1:, 0] != 0).all()
    log_det = layer(x[None])[1][0]
    assert torch.allclose(j.diagonal().log().sum(), log_det, atol=1e-10)


@pytest.mark.parametrize("monotone", ["affine", "spline"])
def test_gradients_of_the_inverse_are_those_of_finite_differences(monotone):
    layer = layer_of(monotone, dimensions=3, hidden=(5,), activation="tanh", context=LABELS)
    z, context = numbers(1, 3).requires_grad_(), told(1)
    bias = layer.net.head.bias

    def both(z, bias):
        named = {"net.head.bias": bias}
        return torch.func.functional_call(Inverse(layer), named_for(named), (z, context))

    assert torch.autograd.gradcheck(both, (z, bias.detach().requires_grad_()))


class Inverse(torch.nn.Module):
    """A layer's other direction, as a module."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, z, context):
        return self.layer.inverse_and_log_det(z, context)


def named_for(named):
    return {f"layer.{name}": value for name, value in named.items()}


def test_it_starts_as_the_identity():
    for h in MONOTONES.values():
        layer = MaskedAutoregressive(5, h, hidden=(8,), context=LABELS).double()
        x = numbers(7, 5)
        z, log_det = layer(x, told(7))
        if h is not MONOTONES["sigmoid"]:
            assert torch.allclose(z, x, atol=1e-12)
            assert torch.allclose(log_det, torch.zeros_like(log_det), atol=1e-12)


def test_one_dimension_and_no_examples():
    layer = layer_of(dimensions=1, hidden=(4,), context=LABELS)
    z = numbers(3, 1)
    with torch.no_grad():
        assert torch.allclose(layer(layer.inverse(z, told(3)), told(3))[0], z)
        assert layer_of().inverse(numbers(0)).shape == (0, 6)


def test_the_order_is_loaded():
    one, other = layer_of(), layer_of(order=torch.arange(6))
    other(numbers(2))
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(numbers(2))[0], other(numbers(2))[0])


@pytest.mark.parametrize("cls", [MAF, IAF])
@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"layers": 0}, ConfigError),
        ({"monotone": "cubic"}, UnknownNameError),
        ({"order": "sorted"}, UnknownNameError),
        ({"hidden": (0,)}, ConfigError),
        ({"hidden": (4, 5), "residual": True}, ConfigError),
        ({"limit": -1.0}, ConfigError),
        ({"monotone": "spline", "bins": 1}, ConfigError),
        ({"context": ContextSpec(image=Event.image(1, 4))}, EventError),
    ],
)
def test_bad_settings_are_refused(cls, options, error):
    with pytest.raises(error):
        cls(Event.real(3), **options)


def test_bad_orders_are_refused():
    with pytest.raises(ConfigError, match="each of the dimensions"):
        MaskedAutoregressive(3, Affine(), order=torch.tensor([0, 1, 1]))


# -- peers --------------------------------------------------------------------------------------


def test_zuko_maf_and_spline_maf_agree():
    pytest.importorskip("zuko")
    from benchmarks.masked_flows import from_zuko, zuko_flow

    for spline in (False, True):
        peer = zuko_flow(5, (16, 12), spline=spline, layers=3).double()
        ours = from_zuko(peer)
        x, z = 2 * numbers(11, 5), numbers(11, 5, seed=1)
        flow = peer()
        with torch.no_grad():
            y, log_det = ours(x)
            base = -0.5 * (y.square() + math.log(2 * math.pi)).sum(1)
            assert torch.allclose(base + log_det, flow.log_prob(x), atol=1e-10)
            assert torch.allclose(ours.inverse(z), flow.transform.inv(z), atol=1e-9)


@pytest.mark.parametrize("library", ["nflows", "normflows"])
@pytest.mark.parametrize("spline", [False, True])
def test_nflows_and_normflows_agree(library, spline):
    pytest.importorskip(library)
    from benchmarks.masked_flows import from_nflows, nflows_layer

    peer = nflows_layer(5, 16, spline=spline, library=library).double()
    ours = from_nflows(peer, library)
    x, z = 2 * numbers(11, 5), numbers(11, 5, seed=1)
    with torch.no_grad():
        y, log_det = ours(x)
        theirs, theirs_log_det = peer(x)
        assert torch.allclose(y, theirs, atol=1e-10)
        assert torch.allclose(log_det, theirs_log_det, atol=1e-10)
        assert torch.allclose(ours.inverse(z), peer.inverse(z)[0], atol=1e-9)
