"""Each optimizer is torch's over 100 steps, and the formula that stands in its file."""

import pytest
import torch

from phosphene.learning.optimizers.adagrad import AdaGrad, adagrad_step
from phosphene.learning.optimizers.adam import Adam, adam_step
from phosphene.learning.optimizers.adamw import AdamW, adamw_step
from phosphene.learning.optimizers.amsgrad import AMSGrad, amsgrad_step
from phosphene.learning.optimizers.momentum import Momentum, polyak_step, torch_step
from phosphene.learning.optimizers.nesterov import Nesterov, behind, look_ahead, nesterov_step
from phosphene.learning.optimizers.rmsprop import RMSProp, rmsprop_step
from phosphene.learning.optimizers.sgd import SGD, sgd_step

SHAPES = ((), (7,), (3, 4), (2, 3, 2, 2), (0,))
STEPS = 100
PAIRS = {
    "sgd": (SGD, {"lr": 0.05}, torch.optim.SGD, {"lr": 0.05}),
    "momentum": (
        Momentum, {"lr": 0.05, "momentum": 0.8, "form": "torch"},
        torch.optim.SGD, {"lr": 0.05, "momentum": 0.8},
    ),
    "polyak": (
        Momentum, {"lr": 0.05, "momentum": 0.8},
        torch.optim.SGD, {"lr": 0.05, "momentum": 0.8},
    ),
    "nesterov": (
        Nesterov, {"lr": 0.05, "momentum": 0.8},
        torch.optim.SGD, {"lr": 0.05, "momentum": 0.8, "nesterov": True},
    ),
    "adagrad": (AdaGrad, {"lr": 0.3}, torch.optim.Adagrad, {"lr": 0.3}),
    "rmsprop": (RMSProp, {"lr": 0.03, "rho": 0.9}, torch.optim.RMSprop, {"lr": 0.03, "alpha": 0.9}),
    "adam": (Adam, {"lr": 0.03}, torch.optim.Adam, {"lr": 0.03}),
    "adamw": (AdamW, {"lr": 0.03}, torch.optim.AdamW, {"lr": 0.03}),
    "amsgrad": (AMSGrad, {"lr": 0.03}, torch.optim.Adam, {"lr": 0.03, "amsgrad": True}),
}  # fmt: skip
STAYS = ("polyak",)
"""Forms that are torch's only while lr stays."""


def tensors(seed=0, dtype=torch.float64):
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(s, generator=g, dtype=torch.float64).to(dtype) for s in SHAPES]


def descend(kind, settings, *, steps=STEPS, schedule=None, dtype=torch.float64):
    """A coupled loss that is not quadratic; every seventh step leaves out the second tensor."""
    params = [torch.nn.Parameter(p) for p in tensors(dtype=dtype)]
    optimizer = kind(params, **settings)
    lr = settings["lr"]
    for step in range(steps):
        optimizer.zero_grad()
        total = sum(p.sum() for p in params)
        loss = (
            sum(((p - 0.3).cosh() * (1 + k)).sum() for k, p in enumerate(params))
            + (total / 10) ** 2
        )
        loss.backward()
        if step % 7 == 3:
            params[1].grad = None
        if schedule is not None:
            for group in optimizer.param_groups:
                group["lr"] = lr * schedule(step)
        optimizer.step()
    return [p.detach() for p in params]


def gap(a, b):
    return max(float((x - y).abs().max()) for x, y in zip(a, b, strict=True) if x.numel())


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", PAIRS)
def test_torch_takes_the_same_steps(name, decay):
    ours, mine, theirs, its = PAIRS[name]
    mine, its = mine | {"weight_decay": decay}, its | {"weight_decay": decay}
    assert gap(descend(ours, mine), descend(theirs, its)) < 1e-12
    assert gap(descend(ours, mine), tensors()) > 0.1


@pytest.mark.parametrize("name", [name for name in PAIRS if name not in STAYS])
def test_torch_takes_the_same_steps_while_lr_changes(name):
    ours, mine, theirs, its = PAIRS[name]

    def schedule(step):
        return 1 / (1 + step / 10)

    found = descend(ours, mine, schedule=schedule)
    assert gap(found, descend(theirs, its, schedule=schedule)) < 1e-12
    assert gap(found, descend(ours, mine)) > 1e-6


@pytest.mark.parametrize("name", PAIRS)
def test_float32_follows_torch(name):
    ours, mine, theirs, its = PAIRS[name]
    a, b = (descend(k, s, steps=20, dtype=torch.float32) for k, s in ((ours, mine), (theirs, its)))
    assert all(x.dtype == torch.float32 for x in a)
    assert gap(a, b) < 1e-5


def test_polyaks_form_parts_from_torchs_where_lr_changes():
    """One halving of lr: Polyak keeps the speed, torch scales it, and the next steps tell."""
    a, b = (torch.zeros(1, dtype=torch.float64, requires_grad=True) for _ in range(2))
    polyak = Momentum([a], lr=0.4, momentum=0.5)
    torchs = Momentum([b], lr=0.4, momentum=0.5, form="torch")
    for lr, apart in ((0.4, 0.0), (0.2, 0.1)):  # 0.5 * (0.4 - 0.2): the speed that is kept
        for p, optimizer in ((a, polyak), (b, torchs)):
            p.grad = torch.ones_like(p)
            optimizer.param_groups[0]["lr"] = lr
            optimizer.step()
        assert b.item() - a.item() == pytest.approx(apart, abs=1e-15)


FORMULAS = {
    "sgd": (SGD, {"lr": 0.1}, (), lambda th, g, t: (sgd_step(th, g, lr=0.1),)),
    "polyak": (
        Momentum, {"lr": 0.1, "momentum": 0.7}, ("v",),
        lambda th, v, g, t: polyak_step(th, v, g, lr=0.1, momentum=0.7),
    ),
    "torch momentum": (
        Momentum, {"lr": 0.1, "momentum": 0.7, "form": "torch"}, ("v",),
        lambda th, v, g, t: torch_step(th, v, g, lr=0.1, momentum=0.7),
    ),
    "adagrad": (
        AdaGrad, {"lr": 0.1, "eps": 0.01}, ("r",),
        lambda th, r, g, t: adagrad_step(th, r, g, lr=0.1, eps=0.01),
    ),
    "rmsprop": (
        RMSProp, {"lr": 0.1, "rho": 0.8, "eps": 0.01}, ("r",),
        lambda th, r, g, t: rmsprop_step(th, r, g, lr=0.1, rho=0.8, eps=0.01),
    ),
    "rmsprop, eps inside": (
        RMSProp, {"lr": 0.1, "rho": 0.8, "eps": 0.01, "place": "inside"}, ("r",),
        lambda th, r, g, t: rmsprop_step(th, r, g, lr=0.1, rho=0.8, eps=0.01, place="inside"),
    ),
    "adam": (
        Adam, {"lr": 0.1, "betas": (0.7, 0.9), "eps": 0.01}, ("m", "v"),
        lambda th, m, v, g, t: adam_step(th, m, v, g, t, lr=0.1, betas=(0.7, 0.9), eps=0.01),
    ),
    "adamw": (
        AdamW, {"lr": 0.1, "betas": (0.7, 0.9), "eps": 0.01, "weight_decay": 0.3}, ("m", "v"),
        lambda th, m, v, g, t: adamw_step(
            th, m, v, g, t, lr=0.1, betas=(0.7, 0.9), eps=0.01, weight_decay=0.3
        ),
    ),
    "amsgrad": (
        AMSGrad, {"lr": 0.1, "betas": (0.7, 0.9), "eps": 0.01}, ("m", "v", "largest"),
        lambda th, m, v, u, g, t: amsgrad_step(
            th, m, v, u, g, t, lr=0.1, betas=(0.7, 0.9), eps=0.01
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMULAS)
def test_the_formula_is_what_the_class_does(name):
    kind, settings, kept, formula = FORMULAS[name]
    theta = torch.randn(5, dtype=torch.float64)
    p = torch.nn.Parameter(theta.clone())
    optimizer, state = kind([p], **settings), [torch.zeros(5, dtype=torch.float64) for _ in kept]
    for t in range(1, 30):
        p.grad = torch.randn(5, dtype=torch.float64)
        theta, *state = formula(theta, *state, p.grad, t)
        optimizer.step()
        torch.testing.assert_close(p.detach(), theta, rtol=1e-13, atol=1e-13)
    for key, value in zip(kept, state, strict=True):
        torch.testing.assert_close(optimizer.state[p][key], value, rtol=1e-13, atol=1e-13)


# -- Nesterov's two forms ----------------------------------------------------------------------


def slope(x):
    return torch.sinh(x - 0.3) + 0.1 * x.sum()


def test_nesterovs_forms_are_one_after_the_change_of_variables():
    start = torch.randn(6, dtype=torch.float64)
    ahead, p = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    theta, v = start.clone(), torch.zeros(6, dtype=torch.float64)
    torchs = Nesterov([ahead], lr=0.05, momentum=0.9)
    paper = Nesterov([p], lr=0.05, momentum=0.9, form="sutskever")

    def closure():
        p.grad = slope(p.detach())
        return float(p.detach().sum())

    for _ in range(STEPS):
        ahead.grad = slope(ahead.detach())
        torchs.step()
        paper.step(closure)
        theta, v = nesterov_step(theta, v, slope, lr=0.05, momentum=0.9)
        for found, expected in (
            (p.detach(), theta),
            (ahead.detach(), look_ahead(theta, v, 0.9)),
            (torchs.parameters_behind()[0], theta),
            (paper.parameters_behind()[0], theta),
            (behind(look_ahead(theta, v, 0.9), v, 0.9), theta),
        ):
            torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert gap([ahead.detach()], [theta]) > 1e-9  # they are not the same point


def test_a_closure_that_fails_leaves_the_parameters_where_they_were():
    p, idle = (torch.nn.Parameter(torch.ones(2, dtype=torch.float64)) for _ in range(2))
    optimizer = Nesterov([p, idle], lr=0.1, form="sutskever")

    def both():
        p.grad, idle.grad = p.detach().clone(), idle.detach().clone()

    def one():
        p.grad, idle.grad = p.detach().clone(), None

    def none():
        raise RuntimeError("no gradient today")

    optimizer.step(both)
    before = idle.detach().clone(), p.detach().clone()
    optimizer.step(one)
    assert torch.equal(idle, before[0])
    assert not torch.equal(p, before[1])
    before = p.detach().clone()
    with pytest.raises(RuntimeError, match="no gradient today"):
        optimizer.step(none)
    assert torch.equal(p, before)


# -- Adam ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Adam, AMSGrad])
def test_the_first_step_of_adam_is_lr_times_the_sign(kind):
    p = torch.nn.Parameter(torch.zeros(50, dtype=torch.float64))
    p.grad = torch.randn(50, dtype=torch.float64) * 10 ** torch.linspace(-3, 3, 50).double()
    kind([p], lr=0.125, eps=0.0).step()
    torch.testing.assert_close(p.detach(), -0.125 * p.grad.sign(), rtol=1e-12, atol=0)


def test_adamw_without_decay_is_adam():
    assert gap(descend(AdamW, {"lr": 0.1, "weight_decay": 0.0}), descend(Adam, {"lr": 0.1})) == 0


def test_weight_decay_inside_and_beside_the_gradient_differ():
    settings = {"lr": 0.1, "weight_decay": 0.5}
    assert gap(descend(AdamW, settings), descend(Adam, settings)) > 0.01
