"""The network of image couplings: the kernel against its reference, and when it is used."""

import copy

import pytest
import torch

from phosphene.core.context import Context, ContextSpec
from phosphene.generative.flow.layers import conditioner
from phosphene.generative.flow.layers.conditioner import ImageConditioner
from phosphene.kernels.image_net import (
    ImageNetArrays,
    image_net,
    image_net_reference,
    image_net_usable,
    packed,
)
from phosphene.kernels.library import backend, forced

pytestmark = pytest.mark.skipif(backend().library is None, reason=backend().why)


def normal(*shape, dtype=torch.float32, seed=0):
    g = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(shape, generator=g, dtype=torch.float64).to(dtype)


def network(channels=3, hidden=12, outputs=6, sides=(3, 1, 3), activation="relu", **options):
    widths = (channels, hidden, hidden, outputs)
    weights, biases = [], []
    for a, b, k in zip(widths[:-1], widths[1:], sides, strict=True):
        weights.append(normal(b, a, k, k, **options) / (a * k * k) ** 0.5)
        biases.append(normal(b, **options))
    return ImageNetArrays(weights, biases, activation)


def agree(net, x, *more):
    assert image_net_usable(net, x)
    own, true = image_net(packed(net), x, *more), image_net_reference(net, x, *more)
    precision = 1e-5 if x.dtype == torch.float32 else 1e-13
    assert own.shape == true.shape
    assert float((own - true).abs().max()) <= precision * float(true.abs().max())


SIZES = [(1, 1), (1, 5), (3, 2), (7, 9), (16, 16), (33, 20)]


@pytest.mark.parametrize("sides", [(3, 1, 3), (3, 1, 1), (1, 1, 1), (5, 1, 1), (1, 3, 5)])
@pytest.mark.parametrize("labels", [False, True])
def test_sizes(sides, labels):
    net = network(sides=sides)
    for n in (1, 2, 5):
        more = (normal(n, 12), normal(n, 12, seed=1)) if labels else ()
        for h, w in SIZES:
            agree(net, normal(n, 3, h, w), *more)


@pytest.mark.parametrize("channels", [(1, 1, 1), (2, 7, 5), (5, 16, 2), (4, 33, 8), (1, 3, 13)])
def test_channels(channels):
    agree(network(*channels), normal(3, channels[0], 6, 7))
    agree(network(*channels, dtype=torch.float64), normal(2, channels[0], 4, 4).double())


@pytest.mark.parametrize("activation", ["identity", "elu", "leaky-relu", "tanh", "sigmoid"])
def test_activations(activation):
    agree(network(activation=activation), normal(2, 3, 5, 6))


def test_channels_of_larger_images_and_no_images():
    agree(network(), normal(4, 8, 6, 5)[:, 2:5])
    agree(network(), normal(4, 3, 6, 5).contiguous(memory_format=torch.channels_last))
    assert image_net(packed(network()), normal(0, 3, 4, 4)).shape == (0, 6, 4, 4)


def test_what_is_not_finite_stays_so():
    x = normal(1, 3, 6, 6)
    x[0, 0, 0, 0] = torch.nan
    x[0, 1, 5, 5] = torch.inf
    net = network()
    own, true = image_net(packed(net), x), image_net_reference(net, x)
    assert torch.equal(own.isnan(), true.isnan())


def test_threads_change_no_bit():
    net, x, before = network(hidden=32), normal(9, 3, 32, 32), torch.get_num_threads()
    one = image_net(packed(net), x)
    torch.set_num_threads(3)
    try:
        assert torch.equal(image_net(packed(net), x), one)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("level", ["baseline", "avx2", "avx512"])
def test_every_build(level):
    with forced(level) as found:
        if found.library is None:
            pytest.skip(found.why)
        for sides in ((3, 1, 3), (1, 1, 1)):
            for h, w in SIZES:
                agree(network(4, 18, 6, sides), normal(3, 4, h, w))
        agree(network(4, 18, 6, dtype=torch.float64), normal(3, 4, 9, 7).double())


# -- the conditioner -------------------------------------------------------------------------------


def module(**options):
    net = ImageConditioner(2, 8, 4, **options).eval()
    with torch.no_grad():
        net.head.weight.copy_(normal(*net.head.weight.shape))
    return net


@pytest.fixture
def calls(monkeypatch):
    seen = []

    def counted(*arguments):
        seen.append(1)
        return image_net(*arguments)

    monkeypatch.setattr(conditioner, "image_net", counted)
    return seen


def check(net, x, calls, context=None):
    """The kernel is called, and gives what torch does."""
    before = len(calls)
    with torch.no_grad():
        own = net(x, context)
        assert len(calls) == before + 1
        with forced("off"):
            true = net(x, context)
        assert len(calls) == before + 1
    assert float((own - true).abs().max()) <= 1e-5 * float(true.abs().max())


def test_the_conditioner_uses_it(calls):
    x = normal(3, 2, 6, 6)
    check(module(), x, calls)
    check(module(kernels=(3, 1, 1), activation="tanh"), x, calls)
    labels = Context(label=torch.tensor([0, 2, -1]))
    check(module(context=ContextSpec(label=3)), x, calls, labels)
    check(copy.deepcopy(module()), x, calls)


def test_not_where_gradients_or_other_types_are_asked_for(calls):
    net, x = module(), normal(3, 2, 6, 6)
    assert net(x).requires_grad
    with torch.no_grad():
        net.double()(x.double())
        net.float()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            net(x)
        module(activation="gelu")(x)
        ImageConditioner(2, 257, 4).eval()(x)
    assert not calls


def test_training_mode_gives_the_same_bits_and_keeps_nothing(calls):
    net, x = module(), normal(3, 2, 6, 6)
    with torch.no_grad():
        y = net(x)
        assert torch.equal(net.train()(x), y)
    assert len(calls) == 2
    assert not net._kept.values


def test_what_is_kept_follows_the_parameters(calls):
    net, x = module(), normal(3, 2, 6, 6)
    check(net, x, calls)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1, fused=True)
    net(x).square().sum().backward()
    optimizer.step()
    check(net, x, calls)
    net.load_state_dict(module().state_dict())
    check(net, x, calls)
    with torch.no_grad():
        net.second.weight.mul_(2)
    check(net, x, calls)
    net.first.weight = torch.nn.Parameter(normal(8, 2, 3, 3, seed=4))
    check(net, x, calls)
    net.double().float()
    check(net, x, calls)
