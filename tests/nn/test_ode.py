"""ODE solvers against closed forms and scipy; gradients by either way; independence of examples."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from phosphene.core.errors import ConfigError, DivergedError, UnknownNameError
from phosphene.core.rng import seeded
from phosphene.nn.ode import METHODS, Solver, odeint, trajectory

TIGHT = Solver(rtol=1e-11, atol=1e-11)


class Net(nn.Module):
    """A small smooth field that depends on time."""

    def __init__(self):
        super().__init__()
        with seeded(0):
            self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 3)
        self.double()

    def forward(self, y, t):
        return self.b(torch.tanh(self.a(torch.cat((y, t[:, None]), 1))))


def start(n=4, d=3):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def oscillate(y, t):
    return torch.stack((y[:, 1], -y[:, 0]), 1)


@pytest.mark.parametrize("times", [(0.0, 2.0), (1.0, -1.0)])
def test_linear_equation_is_the_matrix_exponential(times):
    A = torch.tensor([[-0.5, 2.0, 0.1], [-1.0, 0.2, 0.0], [0.3, 0.0, -1.5]], dtype=torch.float64)
    y = start()
    end = odeint(lambda y, t: y @ A.T, y, *times, TIGHT).y
    exact = y @ torch.linalg.matrix_exp(A * (times[1] - times[0])).T
    assert (end - exact).abs().max() < 1e-9


def test_harmonic_oscillator_comes_back():
    y = start(5, 2)
    assert (odeint(oscillate, y, 0.0, 2 * math.pi, TIGHT).y - y).abs().max() < 1e-9
    path = trajectory(oscillate, y, [0.0, math.pi / 2, math.pi], TIGHT)
    assert (path[1] - torch.stack((y[:, 1], -y[:, 0]), 1)).abs().max() < 1e-9
    assert (path[2] + y).abs().max() < 1e-9


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-9])
def test_agrees_with_scipy(tolerance):
    integrate = pytest.importorskip("scipy.integrate")
    mu = 5.0  # van der Pol: fast and slow parts

    def ours(y, t):
        return torch.stack((y[:, 1], mu * (1 - y[:, 0] ** 2) * y[:, 1] - y[:, 0]), 1)

    y = torch.tensor([[2.0, 0.0], [0.1, -0.3]], dtype=torch.float64)
    solver = Solver(rtol=tolerance, atol=tolerance, max_steps=5000)
    end, evaluations = odeint(ours, y, 0.0, 4.0, solver)
    for i in range(2):

        def theirs(t, v):
            return ours(torch.from_numpy(v)[None], None)[0].numpy()

        exact = integrate.solve_ivp(theirs, (0, 4), y[i].numpy(), rtol=1e-12, atol=1e-12)
        same = integrate.solve_ivp(theirs, (0, 4), y[i].numpy(), rtol=tolerance, atol=tolerance)
        error = np.abs(exact.y[:, -1] - end[i].numpy()).max()
        assert error <= max(200 * tolerance, 3 * np.abs(exact.y[:, -1] - same.y[:, -1]).max())
        assert evaluations[i] <= 1.3 * same.nfev  # the same method, so about the same work


@pytest.mark.parametrize(
    ("method", "order"), [("euler", 1), ("heun", 2), ("rk4", 4), ("dopri5", 5)]
)
def test_fixed_steps_have_their_order(method, order):
    y = start(3, 2)
    exact = torch.stack(
        (
            y[:, 0] * math.cos(2) + y[:, 1] * math.sin(2),
            y[:, 1] * math.cos(2) - y[:, 0] * math.sin(2),
        ),
        1,
    )
    errors = [
        float((odeint(oscillate, y, 0.0, 2.0, Solver(method, steps)).y - exact).abs().max())
        for steps in (20, 40)
    ]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.25)


def test_time_is_told():
    y = torch.zeros(2, 1, dtype=torch.float64)
    for solver in (TIGHT, Solver("rk4", 3)):
        end = odeint(lambda y, t: 3 * t[:, None] ** 2 + 0 * y, y, 1.0, 2.0, solver).y
        assert (end - 7).abs().max() < 1e-10


def test_any_shape_and_type():
    y = torch.randn(3, 2, 4, 4)
    end = odeint(lambda y, t: -y, y, 0.0, 1.0).y
    assert end.dtype == torch.float32
    assert torch.allclose(end, y * math.exp(-1), atol=1e-4)
    assert odeint(lambda y, t: -y, y, 1.0, 1.0).y.equal(y)


def test_an_example_does_not_depend_on_its_batch():
    rate = torch.tensor([[0.1], [1.0], [50.0]], dtype=torch.float64)
    y = torch.ones(3, 1, dtype=torch.float64)
    whole = odeint(lambda y, t: -rate * y, y, 0.0, 1.0)
    for i in range(3):
        alone = odeint(lambda y, t, i=i: -rate[i] * y, y[i : i + 1], 0.0, 1.0)
        assert alone.y[0] == whole.y[i]
        assert alone.evaluations[0] == whole.evaluations[i]
    assert whole.evaluations[2] > 3 * whole.evaluations[0]


def test_nothing_moves_in_one_step():
    y = start()
    end, evaluations = odeint(lambda y, t: torch.zeros_like(y), y, 0.0, 1.0)
    assert end.equal(y)
    assert evaluations.max() <= 8


def gradients(solver, times=(0.0, 1.5)):
    net, y = Net(), start().requires_grad_()
    parameters = list(net.parameters())
    end = odeint(net, y, *times, solver, parameters=parameters).y
    loss = (end**2 * torch.arange(1.0, 4.0)).sum()
    return torch.autograd.grad(loss, [y, *parameters])


@pytest.mark.parametrize("times", [(0.0, 1.5), (1.0, 0.0)])
def test_gradients_by_adjoint_equal_those_by_backprop(times):
    plain = gradients(TIGHT, times)
    adjoint = gradients(Solver(rtol=1e-11, atol=1e-11, gradient="adjoint"), times)
    fine = gradients(Solver("rk4", 100), times)
    adjoint_steps = gradients(Solver("rk4", 100, gradient="adjoint"), times)
    for a, b, c, d in zip(plain, adjoint, fine, adjoint_steps, strict=True):
        assert torch.allclose(a, b, rtol=1e-8, atol=1e-8)
        assert torch.allclose(a, c, rtol=1e-7, atol=1e-7)
        assert torch.allclose(a, d, rtol=1e-7, atol=1e-7)


def test_gradients_are_those_of_finite_differences():
    net, y = Net(), start(2)

    def end(v):
        return odeint(net, v, 0.0, 1.0, Solver(rtol=1e-12, atol=1e-12)).y

    assert torch.autograd.gradcheck(end, y.requires_grad_(), atol=1e-7)


def test_the_step_taken_with_gradients_is_the_one_that_was_chosen():
    net, y = Net(), start(20)
    with torch.no_grad():
        plain = odeint(net, y, 0.0, 1.0)
    traced = odeint(net, y, 0.0, 1.0)
    assert torch.allclose(plain.y, traced.y.detach(), rtol=0, atol=1e-14)
    assert plain.evaluations.equal(traced.evaluations)


def test_adjoint_leaves_frozen_parameters_alone():
    net, y = Net(), start()
    net.a.weight.requires_grad_(False)
    end = odeint(net, y, 0.0, 1.0, Solver(gradient="adjoint"), parameters=list(net.parameters())).y
    end.sum().backward()
    assert net.a.weight.grad is None
    assert net.b.weight.grad.abs().max() > 0


@pytest.mark.parametrize(
    "velocity",
    [
        lambda y, t: y**2,
        lambda y, t: torch.full_like(y, torch.nan),
        lambda y, t: -1e6 * torch.sin(1e6 * y),
    ],
)
def test_what_cannot_be_solved_is_one_error(velocity):
    with pytest.raises(DivergedError, match=r"the ODE solver is at t = .* of 2 after") as error:
        odeint(velocity, torch.ones(2, 1), 0.0, 2.0, Solver(max_steps=100))
    assert "\n" not in str(error.value)


def test_bad_input():
    with pytest.raises(UnknownNameError, match="dopri5"):
        Solver("dopri8")
    with pytest.raises(UnknownNameError, match="adjoint"):
        Solver(gradient="adjoints")
    for method in METHODS[1:]:
        with pytest.raises(ConfigError, match="number of steps"):
            Solver(method)
    for name in ("steps", "rtol", "atol", "max_steps"):
        with pytest.raises(ConfigError, match=name):
            Solver(**{name: 0})
