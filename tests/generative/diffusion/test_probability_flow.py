"""The likelihood of the probability flow against exact densities and full Jacobians."""

import math
from functools import partial

import pytest
import torch
from scipy.stats import t as student

import phosphene as ph
from phosphene.nn.ode import Solver, odeint
from phosphene.nn.ode_density import carry, probes_of
from phosphene.proofs.diffusion.probability_flow import MIXTURE, exact_model

TIGHT = 1e-7
PROCESSES = ("vp", "cosine", "ve", "edm", "straight")


@pytest.mark.parametrize("process", PROCESSES)
def test_log_likelihood_of_a_mixture_with_its_score(process):
    model = exact_model(process, MIXTURE, TIGHT)
    model.path.first = max(model.path.first, 1e-6)
    first, last = model.path.level(model.path.first), model.path.level(1.0)
    x = MIXTURE.sample(40, torch.Generator().manual_seed(0))
    velocity, solver = partial(model.velocity, context=None), Solver(rtol=TIGHT, atol=TIGHT)
    with torch.no_grad():
        found, error = model.estimate_log_prob(x)
        z, log_dets, _ = carry(velocity, x, model.path.first, 1.0, solver=solver)
    assert not error.any()
    noised = MIXTURE.log_joint(x, first.alpha, first.sigma).logsumexp(1)
    ends = MIXTURE.log_joint(z, last.alpha, last.sigma).logsumexp(1)
    assert float((log_dets[:, 0] + ends - noised).abs().max()) < 1e-3
    # The base stands for the last level's density, which differs by what it still knows of x.
    knows = last.alpha / last.sigma
    assert float((found - noised).abs().max()) < (1e-3 if knows < 1e-3 else 4 * knows)
    if knows < 1e-3:
        assert float((found - MIXTURE.log_prob(x)).abs().max()) < 1e-3


def image_model(name, **settings):
    torch.manual_seed(0)
    model = ph.build(name, ph.Event.real(1, 8, 8), widths=(8,), tolerance=1e-6, **settings).double()
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn(
            parameter.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
        )
    return model


@pytest.mark.parametrize("name", ["score-sde", "flow-matching"])
def test_the_exact_trace_is_the_full_jacobian_on_images(name):
    model = image_model(name, trace="exact")
    solver = Solver("rk4", 8)
    x = torch.randn(1, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    begin = 0.05
    velocity = partial(model.velocity, context=None)
    with torch.no_grad():
        _, found, _ = carry(velocity, x, begin, 1.0, solver=solver)

    # A row of the Jacobian for each of 64 copies, in one pass.
    copies = x.repeat(64, 1, 1, 1).requires_grad_()
    y = odeint(velocity, copies, begin, 1.0, solver).y.flatten(1)
    (jacobian,) = torch.autograd.grad(y.diagonal().sum(), copies)
    jacobian = jacobian.flatten(1)
    _, wanted = torch.linalg.slogdet(jacobian)
    assert abs(float(wanted)) > 0.1
    assert float(found) == pytest.approx(float(wanted), abs=1e-4)


def test_hutchinson_covers_the_exact_trace():
    """95 % intervals of 8 probes, of 100 seeds at once, all along one path."""
    model = image_model("score-sde")
    x = torch.randn(1, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    velocity = partial(model.velocity, context=None)
    solver = Solver("rk4", 1)
    with torch.no_grad():
        _, exact, _ = carry(velocity, x, 0.05, 1.0, solver=solver)
        g = torch.Generator().manual_seed(4)
        seeds, count = 100, 8
        drawn = torch.randn(seeds * count, 1, 1, 8, 8, dtype=torch.float64, generator=g)
        probes = probes_of(drawn, "rademacher").view(1, seeds * count, 1, 8, 8)
        _, each, _ = carry(velocity, x, 0.05, 1.0, probes=probes, solver=solver)
    each = each.view(seeds, count)
    half = student.ppf(0.975, count - 1) * each.std(1) / count**0.5
    covered = int(((each.mean(1) - float(exact)).abs() <= half).sum())
    print(f"covered {covered} of 100, mean width {2 * float(half.mean()):.3f} nats")
    assert 90 <= covered <= 99


def test_codes_have_a_bound_by_dequantization():
    event = ph.Event.image(1, 4, levels=3)
    for model in (
        ph.build("flow-matching", event, widths=(8,), patch=1),
        ph.build("score-sde", event, widths=(8,), patch=1, bound="ode"),
    ):
        x = torch.randint(0, 3, (4, 1, 4, 4), generator=torch.Generator().manual_seed(0))
        found = model.elbo(x, particles=2, generator=torch.Generator().manual_seed(1))
        assert found.shape == (4,)
        assert not hasattr(model, "estimate_log_prob")
        assert model.likelihood == "bound"
        drawn = model.sample(5, generator=torch.Generator().manual_seed(0))
        assert set(drawn.unique().tolist()) <= {0, 1, 2}


@pytest.mark.parametrize("trace", ["exact", "hutchinson"])
def test_draws_are_weighed_only_where_the_trace_is_exact(trace):
    """A mean of exp of noisy logs is too large: of these the logs themselves are averaged."""
    event = ph.Event.image(1, 4, levels=3)
    model = ph.build("flow-matching", event, widths=(8,), patch=1, trace=trace)
    x = torch.randint(0, 3, (4, 1, 4, 4), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        both = model.elbo(x, particles=3, generator=torch.Generator().manual_seed(1))
        g = torch.Generator().manual_seed(1)
        each = torch.stack([model.elbo(x, particles=1, generator=g) for _ in range(3)])
    weighed = each.logsumexp(0) - math.log(3)
    assert float((weighed - each.mean(0)).max()) > 0.01
    torch.testing.assert_close(both, weighed if trace == "exact" else each.mean(0))
