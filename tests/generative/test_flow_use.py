"""A flow as a distribution in Python: density, samples, draws with gradients."""

import pytest
import torch

from phosphene.catalog import System, systems
from phosphene.core.context import Context, ContextSpec
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.flow.flow import Flow
from phosphene.generative.flow.realnvp import RealNVP
from tests.laws import small

EVENT = Event.real(3)
ROWS = [row for row in systems("flow") if "real" in row.events and row.context != "required"]


def built(row: System, context: ContextSpec | None = None) -> Flow:
    """A flow in double precision that is no identity."""
    with seeded(0):
        model = row.load()(EVENT, context=context, **small.settings(row.name, EVENT)[0]).double()
        for p in model.parameters():
            torch.nn.init.normal_(p, std=0.2)
    assert isinstance(model, Flow)
    return model


def given(row: System, n: int) -> tuple[ContextSpec | None, Context | None]:
    if row.context == "none":
        return None, None
    return ContextSpec(label=2), Context(label=torch.arange(n) % 2)


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_draws_have_gradients_and_their_own_density(row):
    spec, context = given(row, 6)
    flow = built(row, spec)
    x, log_q = flow.rsample_and_log_prob(6, context, generator=generator(1))
    assert x.shape == (6, 3)
    assert log_q.shape == (6,)
    if hasattr(flow, "log_prob"):
        assert torch.allclose(flow.log_prob(x, context), log_q, atol=1e-6)
    draws = flow.sample(6, context, generator=generator(1))
    assert torch.allclose(draws, x.detach(), atol=1e-6)
    assert not draws.requires_grad
    (log_q + x.square().sum(1)).mean().backward()
    moved = {name for name, p in flow.named_parameters() if p.grad is not None}
    assert moved == {name for name, p in flow.named_parameters() if p.requires_grad}
    for name, p in flow.named_parameters():
        assert p.grad is not None
        assert torch.isfinite(p.grad).all(), name


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_the_gradient_of_a_draw_is_the_derivative_of_the_draw(row):
    """Of E_q[log q(x) + |x|^2 / 2] for fixed noise, along one direction, by central differences."""
    flow = built(row)

    def value() -> torch.Tensor:
        x, log_q = flow.rsample_and_log_prob(4, generator=generator(2))
        return (log_q + 0.5 * x.square().sum(1)).mean()

    value().backward()
    parameters = [p for p in flow.parameters() if p.grad is not None]
    direction = [torch.randn(p.shape, generator=generator(3), dtype=p.dtype) for p in parameters]
    slope = sum(float((p.grad * d).sum()) for p, d in zip(parameters, direction, strict=True))
    ends = []
    with torch.no_grad():
        for step in (1e-5, -2e-5):
            for p, d in zip(parameters, direction, strict=True):
                p.add_(step * d)
            ends.append(float(value()))
    assert slope == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=2e-3, abs=2e-4)


def test_log_prob_has_a_gradient_for_the_example():
    """The score, which Langevin dynamics and Hamiltonian Monte Carlo follow."""
    flow = RealNVP(EVENT, layers=2, hidden=(8,)).double()
    x = torch.randn(5, 3, generator=generator(4), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(flow.log_prob, (x,))
    (score,) = torch.autograd.grad(flow.log_prob(x).sum(), x, create_graph=True)
    score.square().sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_temperature_zero_is_the_center_of_the_base():
    flow = built(ROWS[0])
    x = flow.sample(3, temperature=0.0)
    assert torch.equal(x[0], x[1])


def test_samples_are_a_function_of_the_generator():
    flow = built(ROWS[0])
    a, b, c = (flow.sample(4, generator=generator(k)) for k in (5, 5, 6))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_codes_have_no_draws_with_gradients():
    row = next(row for row in systems("flow") if row.name == "glow")
    flow = row.load()(Event.image(1, 4, levels=4), levels=1, steps=1, hidden=4)
    for name in ("log_prob", "rsample_and_log_prob"):
        assert not hasattr(flow, name)
    assert flow.elbo(torch.zeros(2, 1, 4, 4).byte(), particles=2).shape == (2,)
