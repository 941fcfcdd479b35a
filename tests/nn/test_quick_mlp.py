"""A perceptron in one call: what it computes, what it falls back from, what it notices."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad

from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.decision.deep.layers.quick_mlp import QuickMLP, quick_mlps
from phosphene.kernels.library import ACTIVATION_CODES, backend, forced
from phosphene.nn.activations import ACTIVATIONS

native = pytest.mark.skipif(backend().library is None, reason=backend().why)


def mlp(*shape, dtype=torch.float64, seed=0, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        inputs, *hidden, outputs = shape or (4, 12, 10, 2)
        return QuickMLP(inputs, hidden, outputs, **options).to(dtype)


def rows(*shape, dtype=torch.float64, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def is_native(y):
    return "Perceptrons" in type(y.grad_fn).__name__


def same(a, b, tolerance=1e-12):
    torch.testing.assert_close(a, b, rtol=0.0, atol=tolerance)


def gradients(net, y, weight):
    return torch.autograd.grad((y * weight).sum(), [*net.parameters()], allow_unused=True)


@native
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_it_is_the_plain_stack(activation):
    net, x = mlp(activation=activation), rows(9, 4).requires_grad_()
    y, plain = net(x), net.plain(x)
    assert is_native(y) == (activation in ACTIVATION_CODES)
    same(y, plain)
    leaves, weight = [x, *net.parameters()], rows(9, 2)
    for a, b in zip(
        torch.autograd.grad(y, leaves, weight), torch.autograd.grad(plain, leaves, weight),
        strict=True,
    ):  # fmt: skip
        same(a, b)
    with torch.no_grad():
        assert torch.equal(net(x), y)


def test_parameters_are_those_of_linear_layers():
    net = mlp(4, 64, 2, dtype=torch.float32)
    names = ["layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"]
    assert list(net.state_dict()) == names
    with torch.random.fork_rng():
        torch.manual_seed(0)
        linear = [nn.Linear(4, 64), nn.Linear(64, 2)]
    assert torch.equal(net.layers[0].weight, linear[0].weight)
    assert torch.equal(net.layers[1].bias, linear[1].bias)


def test_orthogonal_initialization():
    net = mlp(4, 64, 64, 2, gain=0.01)
    first, second, last = (layer.weight for layer in net.layers)
    same(first.T @ first, 2.0 * torch.eye(4).double(), 1e-5)
    same(second @ second.T, 2.0 * torch.eye(64).double(), 1e-5)
    same(last @ last.T, 1e-4 * torch.eye(2).double(), 1e-8)
    assert all((layer.bias == 0.0).all() for layer in net.layers)


def test_bad_settings():
    with pytest.raises(UnknownNameError, match="did you mean 'tanh'"):
        QuickMLP(4, (8,), 2, activation="tahn")
    with pytest.raises(ConfigError, match="positive whole numbers"):
        QuickMLP(4, (0,), 2)
    with pytest.raises(ConfigError, match="got -1"):
        QuickMLP(4, (8,), 2, gain=-1.0)


@pytest.mark.parametrize("shape", [(4,), (0, 4), (3, 4), (2, 3, 4), (2, 0, 4)])
def test_shapes(shape):
    net, x = mlp(), rows(*shape).requires_grad_()
    y = net(x)
    assert y.shape == (*shape[:-1], 2)
    same(y, net.plain(x))
    y.sum().backward()
    assert x.grad.shape == x.shape
    assert all(p.grad is not None for p in net.parameters())
    with torch.no_grad():
        assert net(x).shape == y.shape


def test_inputs_that_are_no_rows_in_memory():
    net, x = mlp(), rows(4, 9)
    same(net(x.T), net.plain(x.T))
    same(net(rows(9, 8)[:, ::2]), net.plain(rows(9, 8)[:, ::2]))


@pytest.mark.parametrize("x", [torch.zeros(3, 5).double(), torch.zeros(3, 4)])
def test_wrong_inputs_are_told_by_torch(x):
    with pytest.raises(RuntimeError, match=r"shapes cannot be multiplied|same dtype"):
        mlp()(x)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "elu", "leaky-relu"])
def test_gradients_and_gradients_of_gradients(activation):
    net, x = mlp(3, 5, 4, 2, activation=activation), rows(6, 3).requires_grad_()

    def f(x, *parameters):
        names = [name for name, _ in net.named_parameters()]
        return torch.func.functional_call(net, dict(zip(names, parameters, strict=True)), x)

    inputs = (x, *(p.detach().requires_grad_() for p in net.parameters()))
    assert torch.autograd.gradcheck(f, inputs)
    assert torch.autograd.gradgradcheck(f, inputs)


def test_a_penalty_on_the_gradient():
    net, found = mlp(), []
    for f in (net, net.plain):
        x = rows(7, 4).requires_grad_()
        (slope,) = torch.autograd.grad(f(x).sum(), x, create_graph=True)
        found.append(gradients(net, slope.square(), 1.0)[:5])
    for a, b in zip(*found, strict=True):
        same(a, b)


def test_what_needs_no_gradient_gets_none():
    net, x = mlp(), rows(5, 4).requires_grad_()
    net.layers[0].requires_grad_(False)
    net(x).sum().backward()
    assert net.layers[0].weight.grad is None
    assert net.layers[1].weight.grad is not None
    net.requires_grad_(False)
    net.zero_grad()
    before = x.grad.clone()
    net(x).sum().backward()  # through a frozen critic
    same(x.grad, 2.0 * before)
    assert not net(x.detach()).requires_grad


def test_a_change_between_forward_and_backward_is_an_error():
    net = mlp()
    loss = net(rows(5, 4)).sum()
    with torch.no_grad():
        net.layers[1].weight.mul_(2.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_jacobians():
    net, x = mlp(), rows(4)
    one, many = (torch.autograd.functional.jacobian(net, x, vectorize=v) for v in (False, True))
    same(one, many)
    same(one, torch.func.jacrev(net)(x))
    same(one, torch.func.jacfwd(net)(x))


def test_new_weights_are_seen():
    net, x = mlp(), rows(6, 4)
    net(x)
    changes = [
        lambda: torch.optim.SGD(net.parameters(), 0.5).step(),
        lambda: net.load_state_dict(mlp(seed=2).state_dict()),
        lambda: net.load_state_dict(mlp(seed=3).state_dict(), assign=True),
        lambda: setattr(net.layers[1], "weight", nn.Parameter(rows(10, 12))),
        lambda: setattr(net.layers[1].weight, "data", rows(10, 12, seed=9)),
        lambda: setattr(net, "activation", "relu"),
        lambda: net.layers.__setitem__(0, nn.Linear(4, 12).double()),
    ]
    net(x).sum().backward()
    for change in changes:
        before = net(x)
        change()
        same(net(x), net.plain(x))
        assert not torch.equal(net(x), before)


def test_weights_of_another_shape_in_the_same_place_are_seen():
    net, x = mlp(4, 12, 12, 2), rows(6, 4)
    net(x)
    net.layers[1].weight.data = net.layers[1].weight.data.T
    same(net(x), net.plain(x))
    net.layers[2].weight.data = net.layers[2].weight.data[:1]
    net.layers[2].bias.data = net.layers[2].bias.data[:1]
    assert net(x).shape == (6, 1)
    net.layers[0] = nn.Linear(4, 9).double()
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        net(x)


def test_types_and_devices():
    net, x = mlp(), rows(6, 4)
    y = net(x)
    same(net.float()(x.float()).double(), y, 1e-5)
    same(net.double()(x), net.plain(x))
    half = net.bfloat16()(x.bfloat16())
    assert half.dtype is torch.bfloat16
    assert net.to("meta")(x.to("meta", torch.bfloat16)).device.type == "meta"


def test_copies_are_their_own():
    net, x = mlp(), rows(6, 4)
    y = net(x)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert torch.equal(twin(x), y)
        with torch.no_grad():
            net.layers[0].bias.add_(1.0)
        assert torch.equal(twin(x), y)
        with torch.no_grad():
            net.layers[0].bias.sub_(1.0)


@native
def test_layers_that_do_more_are_called():
    x, called = rows(6, 4), []
    net = mlp()
    hook = net.layers[1].register_forward_hook(lambda *a: called.append(a))
    assert not is_native(net(x))
    assert called
    hook.remove()
    assert is_native(net(x))
    nn.utils.parametrizations.weight_norm(net.layers[0])
    assert not is_native(net(x))
    same(net(x), net.plain(x))


def test_the_narrow_build_leaves_large_products_to_torch():
    net = mlp(4, 120, 120, 2)
    with forced("baseline") as found:
        if found.library is None:
            pytest.skip(found.why)
        assert is_native(net(rows(50, 4)))
        assert not is_native(net(rows(500, 4)))


@native
def test_elsewhere_it_computes_in_torch():
    net, x = mlp(dtype=torch.float32), rows(6, 4, dtype=torch.float32)
    y = net(x)
    assert is_native(y)
    with torch.autocast("cpu", torch.bfloat16):
        assert net(x).dtype is torch.bfloat16
    with forced("off"):
        assert not is_native(net(x))
    same(torch.func.vmap(net)(x), y, 1e-6)
    same(torch.compile(net, backend="eager", fullgraph=True)(x), y, 1e-6)
    traced = torch.jit.trace(net, x)
    same(traced(x + 1.0), net(x + 1.0), 1e-6)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, torch.ones_like(x))
        tangent = forward_ad.unpack_dual(net(dual)).tangent
    same(tangent, torch.func.jvp(net, (x,), (torch.ones_like(x),))[1], 1e-6)
    names = dict(net.named_parameters())
    of_loss = torch.func.grad(lambda p: torch.func.functional_call(net, p, x).square().sum())(names)
    net(x).square().sum().backward()
    for name, p in net.named_parameters():
        same(of_loss[name], p.grad, 1e-5)


def test_saved_tensors_may_be_moved():
    net, x = mlp(), rows(6, 4)
    wanted = gradients(net, net.plain(x), 1.0)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t.clone(), lambda t: t.clone()):
        y = net(x)
    for a, b in zip(gradients(net, y, 1.0), wanted, strict=True):
        same(a, b)


@native
def test_networks_together():
    actor, critic = mlp(4, 12, 10, 2), mlp(4, 7, 1, seed=5, activation="relu")
    x = rows(9, 4).requires_grad_()
    both = quick_mlps((actor, critic), x)
    assert all(map(is_native, both))
    for y, net in zip(both, (actor, critic), strict=True):
        assert torch.equal(y, net(x))
    leaves = [x, *actor.parameters(), *critic.parameters()]
    apart = actor(x).sum() + critic(x).square().sum()
    for a, b in zip(
        torch.autograd.grad(both[0].sum() + both[1].square().sum(), leaves),
        torch.autograd.grad(apart, leaves),
        strict=True,
    ):
        same(a, b)
    one = torch.autograd.grad(quick_mlps((actor, critic), x)[1].sum(), [x, *critic.parameters()])
    for a, b in zip(
        one, torch.autograd.grad(critic(x).sum(), [x, *critic.parameters()]), strict=True
    ):
        same(a, b)
    with torch.no_grad():
        assert torch.equal(quick_mlps((actor, critic), x.view(3, 3, 4))[0].view(9, 2), both[0])


def test_networks_of_different_inputs_are_told_by_torch():
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        quick_mlps((mlp(4, 3, 2), mlp(5, 3, 2)), rows(6, 4))


def test_training_is_that_of_the_plain_stack():
    nets = [mlp(4, 32, 32, 1, gain=1.0) for _ in range(2)]
    x = rows(64, 4)
    target = x.prod(1, keepdim=True)
    losses = []
    for net, f in zip(nets, (nets[0], nets[1].plain), strict=True):
        optimizer = torch.optim.Adam(net.parameters(), 1e-2)
        for _ in range(60):
            loss = (f(x) - target).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
    assert abs(losses[0] - losses[1]) < 1e-9
    assert losses[0] < 0.1 * target.square().mean().item()


def test_distributed_gradients(tmp_path):
    net, x = mlp(), rows(6, 4)
    wanted = gradients(net, net.plain(x), 1.0)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1
    )
    try:
        nn.parallel.DistributedDataParallel(net)(x).sum().backward()
    finally:
        torch.distributed.destroy_process_group()
    for p, g in zip(net.parameters(), wanted, strict=True):
        same(p.grad, g)
