"""Groups, closures, schedulers, saved states and bad settings, as of any optimizer of torch."""

import copy
import io

import pytest
import torch

from phosphene.core.errors import ConfigError, DataError, PhospheneError, RunError, UnknownNameError
from phosphene.learning.optimizers.adagrad import AdaGrad
from phosphene.learning.optimizers.adam import Adam
from phosphene.learning.optimizers.adamw import AdamW
from phosphene.learning.optimizers.amsgrad import AMSGrad
from phosphene.learning.optimizers.momentum import Momentum
from phosphene.learning.optimizers.multi_tensor import MultiTensor
from phosphene.learning.optimizers.nesterov import Nesterov
from phosphene.learning.optimizers.rmsprop import RMSProp
from phosphene.learning.optimizers.sgd import SGD

ALL = (SGD, Momentum, Nesterov, AdaGrad, RMSProp, Adam, AdamW, AMSGrad)
every = pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)


def network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))


def loss_of(model, step=0):
    x = torch.randn(16, 4, generator=torch.Generator().manual_seed(step))
    return (model(x)[:, 0] - x.prod(1)).square().mean()


def train(model, optimizer, steps):
    for step in steps:
        optimizer.zero_grad()
        loss_of(model, step).backward()
        optimizer.step()


@every
def test_resuming_is_exact(kind):
    """Through a file that is loaded with weights only, into a new optimizer."""
    whole = network()
    train(whole, kind(whole.parameters(), lr=0.01), range(20))
    model = network()
    first = kind(model.parameters(), lr=0.01)
    train(model, first, range(8))
    file = io.BytesIO()
    torch.save({"optimizer": first.state_dict(), "model": model.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    resumed = network()
    resumed.load_state_dict(saved["model"])
    second = kind(resumed.parameters(), lr=0.5)  # the saved settings count
    second.load_state_dict(saved["optimizer"])
    train(resumed, second, range(8, 20))
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


@every
def test_a_loaded_state_is_copied(kind):
    model = network()
    first = kind(model.parameters(), lr=0.01)
    train(model, first, range(2))
    saved = first.state_dict()
    before = copy.deepcopy(saved)
    second = kind(copy.deepcopy(model).parameters(), lr=0.01)
    second.load_state_dict(saved)
    train(model, first, [2])
    for key, state in second.state_dict()["state"].items():
        for name, value in state.items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(before["state"][key][name]))


@every
def test_closures_groups_and_schedulers(kind):
    model = network()
    groups = [
        {"params": model[0].parameters(), "lr": 0.0},
        {"params": model[2].parameters(), "weight_decay": 0.1},
    ]
    optimizer = kind(groups, lr=0.01)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    still, moves = (layer.weight.detach().clone() for layer in (model[0], model[2]))

    def closure():
        optimizer.zero_grad()
        loss = loss_of(model)
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == pytest.approx(loss_of(network()).item())
    schedule.step()
    assert optimizer.param_groups[1]["lr"] == 0.005
    assert torch.equal(still, model[0].weight)
    assert not torch.equal(moves, model[2].weight)


@every
def test_it_learns(kind):
    model = network()
    before = loss_of(model).item()
    optimizer = kind(model.parameters(), lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        loss_of(model).backward()
        optimizer.step()
    assert loss_of(model).item() < 0.8 * before


@every
def test_parameters_begin_when_they_have_a_gradient(kind):
    """A tensor that joins later has its own number of steps, as if it were alone."""
    late, alone, early = (torch.nn.Parameter(torch.ones(3)) for _ in range(3))
    optimizer, other = kind([early, late], lr=0.1), kind([alone], lr=0.1)
    for step in range(4):
        early.grad = torch.full((3,), 2.0)
        if step >= 2:
            late.grad, alone.grad = (torch.tensor([1.0, -2.0, step]) for _ in range(2))
            other.step()
        optimizer.step()
    assert torch.equal(late, alone)


@every
def test_large_lists_are_taken_in_pieces(kind):
    """A list longer than the cache goes the way of its tensors alone."""
    sizes = [70_000, 1, 50_000, 3, 20_000, 20_000, 7]
    together = [torch.nn.Parameter(torch.ones(n)) for n in sizes]
    alone = [torch.nn.Parameter(torch.ones(n)) for n in sizes]
    optimizers = [kind([p], lr=0.1) for p in alone]
    one = kind(together, lr=0.1)
    for step in range(3):
        for a, b in zip(together, alone, strict=True):
            a.grad = torch.linspace(-1, 2, len(a)) + step
            b.grad = a.grad.clone()
        one.step()
        for optimizer in optimizers:
            optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(together, alone, strict=True))


@every
def test_gradients_are_left_as_they_are(kind):
    p = torch.nn.Parameter(torch.ones(3))
    p.grad = torch.tensor([1.0, 2.0, 3.0])
    kind([p], lr=0.1, weight_decay=0.5).step()
    assert p.grad.tolist() == [1.0, 2.0, 3.0]


# -- bad input ----------------------------------------------------------------------------------


def refused(error, call, *words):
    with pytest.raises(error) as caught:
        call()
    text = str(caught.value)
    assert isinstance(caught.value, PhospheneError)
    assert "\n" not in text
    assert all(word in text for word in words), text


@every
@pytest.mark.parametrize("lr", [-0.1, float("nan"), float("inf"), "0.1", None, True])
def test_a_bad_rate_is_refused(kind, lr):
    refused(ConfigError, lambda: kind([torch.zeros(2, requires_grad=True)], lr=lr), "lr must be")


BAD = [
    (SGD, {"weight_decay": -1.0}, "weight_decay must be at least 0, got -1.0"),
    (Momentum, {"momentum": 1.0}, "momentum must be at least 0 and below 1, got 1.0"),
    (Momentum, {"form": "sutskever"}, "form must be 'polyak' or 'torch', got 'sutskever'"),
    (Nesterov, {"form": "toorch"}, "did you mean 'torch'?"),
    (AdaGrad, {"eps": -1e-8}, "eps must be at least 0"),
    (RMSProp, {"rho": 1.5}, "rho must be at least 0 and below 1, got 1.5"),
    (RMSProp, {"place": "within"}, "place must be 'outside' or 'inside'"),
    (Adam, {"betas": (0.9, 1.0)}, "betas must be at least 0 and below 1, got (0.9, 1.0)"),
    (Adam, {"betas": 0.9}, "betas must be two numbers, got 0.9"),
    (AdamW, {"betas": (0.9,)}, "betas must be two numbers, got (0.9,)"),
    (AMSGrad, {"betas": (0.9, "x")}, "betas must be two numbers"),
]


@pytest.mark.parametrize(("kind", "settings", "sentence"), BAD)
def test_bad_settings_are_refused_here_and_in_groups(kind, settings, sentence):
    p = torch.zeros(2, requires_grad=True)
    refused(ConfigError, lambda: kind([p], **settings), sentence)
    refused(ConfigError, lambda: kind([{"params": [p], **settings}]), sentence)


def test_a_misspelt_setting_of_a_group_is_named():
    group = {"params": [torch.zeros(2, requires_grad=True)], "weight_decy": 0.1}
    refused(UnknownNameError, lambda: Adam([group]), "weight_decy", "did you mean 'weight_decay'?")


def test_what_is_no_real_tensor_is_refused():
    refused(DataError, lambda: SGD([torch.zeros(2, dtype=torch.complex64)]), "complex64")
    p = torch.zeros(3, requires_grad=True)
    p.grad = torch.eye(3)[0].to_sparse()
    refused(DataError, Momentum([p]).step, "dense")


def test_parameters_that_are_none_are_refused():
    p, other = torch.zeros(2, requires_grad=True), torch.zeros(3, requires_grad=True)
    tensors = "parameters must be a list of tensors, or of groups of them"
    for kind in (SGD, Adam):
        refused(DataError, lambda kind=kind: kind([]), "no parameters")
        refused(DataError, lambda kind=kind: kind(iter(())), "no parameters")
        refused(DataError, lambda kind=kind: kind([3]), tensors, "got one of 3")
        refused(DataError, lambda kind=kind: kind([p, None]), tensors, "got one of None")
        refused(DataError, lambda kind=kind: kind(p), tensors, "got a tensor")
        refused(DataError, lambda kind=kind: kind(None), tensors, "got None")
        refused(DataError, lambda kind=kind: kind({p}), tensors, "a set has no order")
        refused(DataError, lambda kind=kind: kind([{"params": [p]}, other]), "group", "'params'")
        refused(DataError, lambda kind=kind: kind([{"lr": 0.1}]), "group", "'params'")
        refused(DataError, lambda kind=kind: kind([2 * p]), "computed from others")
        refused(DataError, lambda kind=kind: kind([p, p]), "twice")
        refused(DataError, lambda kind=kind: kind([{"params": p}, {"params": [p]}]), "twice")
        refused(DataError, lambda kind=kind: kind([("a", p), other]), "name")
    whole = Adam([{"params": iter([p])}, {"params": other}])
    assert [len(group["params"]) for group in whole.param_groups] == [1, 1]
    refused(DataError, lambda: whole.add_param_group({"params": [p]}), "twice")
    assert len(whole.param_groups) == 2
    none = Adam([{"params": [p]}, {"params": []}])  # as torch has it
    assert [len(group["params"]) for group in none.param_groups] == [1, 0]
    named = Adam([("a", p), ("b", other)])
    assert named.param_groups[0]["param_names"] == ["a", "b"]


def test_sutskevers_form_needs_a_closure():
    p = torch.nn.Parameter(torch.ones(2))
    refused(ConfigError, Nesterov([p], form="sutskever").step, "closure", "form='torch'")


def damaged(state, where):
    state = copy.deepcopy(state)
    where(state)
    return state


DAMAGE = [
    (lambda s: s.pop("state"), "needs 'state'"),
    (lambda s: s["param_groups"].append({"params": [9]}), "other groups"),
    (lambda s: s["param_groups"][0].update(params=[0]), "other groups"),
    (lambda s: s["param_groups"][0].pop("betas"), "no 'betas'"),
    (lambda s: s["param_groups"][0].update(lr=-1.0), "lr must be at least 0"),
    (lambda s: s["state"][0].update(m=torch.zeros(5)), "m of a tensor"),
    (lambda s: s["state"][0].pop("v"), "v of a tensor"),
    (lambda s: s["state"][0].update(step=-3), "number of steps is -3"),
    (lambda s: s.update(param_groups=3), "no list"),
]


@pytest.mark.parametrize(("where", "words"), DAMAGE, ids=[words for _, words in DAMAGE])
def test_a_state_of_something_else_is_refused_and_nothing_changes(where, words):
    model = network()
    optimizer = Adam(model.parameters(), lr=0.01)
    train(model, optimizer, range(2))
    before = copy.deepcopy(optimizer.state_dict())
    refused(RunError, lambda: optimizer.load_state_dict(damaged(before, where)), words)
    for key, state in optimizer.state_dict()["state"].items():
        assert torch.equal(state["m"], before["state"][key]["m"])


def test_the_state_of_another_optimizer_is_refused():
    model = network()
    sgd = SGD(model.parameters())
    train(model, sgd, range(2))
    adam = Adam(model.parameters())
    refused(RunError, lambda: adam.load_state_dict(sgd.state_dict()), "not the state of this Adam")


def test_the_base_has_no_step_of_its_own():
    class Lazy(MultiTensor):
        def __init__(self, params):
            super().__init__(params)

    p = torch.nn.Parameter(torch.ones(2))
    p.grad = torch.ones(2)
    with pytest.raises(NotImplementedError):
        Lazy([p]).step()
