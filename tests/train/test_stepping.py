"""The short way through Adam's step is the long one, bit for bit."""

import copy

import pytest
import torch

from phosphene.train.stepping import Stepper


def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2))


def gradients(net, k):
    for p in net.parameters():
        p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(k))


@pytest.mark.parametrize("settings", [{}, {"weight_decay": 0.1, "eps": 1e-5, "betas": (0.5, 0.9)}])
def test_equals_the_optimizer(settings):
    ours, theirs = model(), model()
    mine = torch.optim.Adam(ours.parameters(), 0.01, fused=True, **settings)
    plain = torch.optim.Adam(theirs.parameters(), 0.01, fused=True, **settings)
    step = Stepper()
    for k in range(6):
        for group in (*mine.param_groups, *plain.param_groups):
            group["lr"] = 0.01 / (k + 1)
        gradients(ours, k)
        gradients(theirs, k)
        step(mine)
        plain.step()
        if k == 3:  # a checkpoint that is loaded makes other tensors
            mine.load_state_dict(copy.deepcopy(mine.state_dict()))
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a, b)
    steps = [float(s["step"]) for s in mine.state.values()]
    assert steps == [6.0] * 4


def test_takes_the_long_way_where_a_gradient_is_missing():
    net = model()
    optimizer = torch.optim.Adam(net.parameters(), 0.01, fused=True)
    step = Stepper()
    for k in range(3):
        gradients(net, k)
        net[0].weight.grad = None
        before = net[0].weight.clone()
        step(optimizer)
        assert torch.equal(net[0].weight, before)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW, torch.optim.RMSprop])
def test_other_optimizers_step_as_they_do(kind):
    ours, theirs = model(), model()
    a, b = kind(ours.parameters(), lr=0.01), kind(theirs.parameters(), lr=0.01)
    step = Stepper()
    for k in range(3):
        gradients(ours, k)
        gradients(theirs, k)
        step(a)
        b.step()
    pairs = zip(ours.parameters(), theirs.parameters(), strict=True)
    assert all(torch.equal(x, y) for x, y in pairs)
