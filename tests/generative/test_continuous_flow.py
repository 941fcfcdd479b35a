"""Continuous flows: closed forms, the trace and its estimate, densities, gradients, bad input."""

import math

import pytest
import torch
from torch import nn

from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, DivergedError, EventError, UnknownNameError
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.core.rng import generator, seeded
from phosphene.data.dataset import Dataset
from phosphene.evaluate.likelihood import likelihood
from phosphene.evaluate.scores.likelihoods import divergence
from phosphene.generative.flow.continuous import ContinuousFlow
from phosphene.generative.flow.layers.continuous import Continuous
from phosphene.generative.flow.layers.velocity import VelocityNetwork
from phosphene.nn.ode import Solver
from phosphene.nn.ode_density import carry, flow_log_prob, probes_of, value_and_traces

TIGHT = Solver(rtol=1e-11, atol=1e-11)
A = torch.tensor([[0.5, -1.0, 0.2], [1.5, -0.3, 0.0], [0.0, 0.4, -0.9]], dtype=torch.float64)


def linear(z, t):
    return z @ A.T


def points(n, *shape):
    return torch.randn(n, *shape, generator=generator(1), dtype=torch.float64)


def rough(shape, spread=0.4, **settings):
    """A velocity network far from zero."""
    with seeded(2):
        net = VelocityNetwork(shape, (5,), **settings).double()
        with torch.no_grad():
            for p in net.parameters():
                p.add_(spread * torch.randn_like(p))
    return net


def model(event=None, seed=0, **settings):
    """A model far from its start, whose codec has seen data."""
    with seeded(seed):
        built = ContinuousFlow(event or Event.real(2), **{"hidden": (8,), **settings})
        if not built.event.discrete:
            told = Context(label=torch.zeros(64, dtype=torch.long))
            built.prepare(Batch.of(torch.randn(64, *built.event.shape), told))
        with torch.no_grad():
            for p in built.ode.parameters():
                p.add_(0.4 * torch.randn_like(p))
    return built.double()


@pytest.mark.parametrize("times", [(0.0, 1.3), (1.0, -0.5)])
def test_a_linear_velocity_is_a_matrix_exponential(times):
    x, span = points(5, 3), times[1] - times[0]
    z, log_dets, _ = carry(linear, x, *times, solver=TIGHT)
    assert (z - x @ torch.linalg.matrix_exp(A * span).T).abs().max() < 1e-9
    assert (log_dets - A.trace() * span).abs().max() < 1e-9


def test_the_density_of_a_linear_flow_is_a_gaussian():
    """x = expm(-A T) z is N(0, M M^T) exactly."""
    x = points(20, 3)
    M = torch.linalg.matrix_exp(-A)
    exact = torch.distributions.MultivariateNormal(torch.zeros(3).double(), M @ M.T).log_prob(x)

    def normal(z):
        return -0.5 * (z**2).sum(1) - 1.5 * math.log(2 * math.pi)

    value, error = flow_log_prob(linear, x, 0.0, 1.0, normal, solver=TIGHT)
    assert (value - exact).abs().max() < 1e-9
    assert error.abs().max() == 0
    value, error = flow_log_prob(
        linear, x, 0.0, 1.0, normal, trace="hutchinson", probes=400, generator=generator(0)
    )
    assert ((value - exact).abs() < 5 * error + 1e-4).all()
    assert error.max() < 0.2


@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ((2,), {}),
        ((4,), {"layer": "concat"}),
        ((2, 3, 3), {"convolution": True}),
        *(((3,), {"activation": name}) for name in ("elu", "gelu", "silu", "softplus", "sigmoid")),
    ],
)
def test_the_exact_trace_is_autograds(shape, settings):
    net, x, t = rough(shape, **settings), points(3, *shape), torch.tensor([0.1, 0.5, 0.9]).double()
    v, traces = value_and_traces(net, x, t)
    assert torch.allclose(v, net(x, t), atol=1e-14)
    probes = probes_of(points(3, 4, *shape), "normal")
    for e in (None, probes):  # products of reverse mode, for a velocity that has no other
        plain = value_and_traces(lambda x, t: net(x, t), x, t, e)
        for one, other in zip(plain, value_and_traces(net, x, t, e), strict=True):
            assert torch.allclose(one, other, atol=1e-12)
    for i in range(3):
        when = t[i : i + 1]
        J = torch.autograd.functional.jacobian(lambda w, s=when: net(w[None], s)[0], x[i])
        assert float(traces[i, 0].detach()) == pytest.approx(
            float(J.reshape(x[i].numel(), -1).trace()), abs=1e-12
        )


@pytest.mark.parametrize("noise", ["rademacher", "normal"])
@pytest.mark.parametrize(("shape", "convolution"), [((4,), False), ((2, 3, 3), True)])
def test_hutchinsons_estimate_has_no_bias(noise, shape, convolution):
    """Of the trace, and of the log-determinant of a whole solve."""
    net, x = rough(shape, convolution=convolution), points(2, *shape)
    draws = 2000
    probes = probes_of(torch.randn(1, draws, *shape, generator=generator(5)).double(), noise)
    with torch.no_grad():
        rows = x[:1].expand(draws, *shape)
        each = probes[0][:, None]
        exact = value_and_traces(net, x[:1], torch.zeros(1).double())[1]
        estimates = value_and_traces(net, rows, torch.zeros(draws).double(), each)[1]
        solver = Solver("rk4", 4)
        exact_path = carry(net, x[:1], 0.0, 1.0, solver=solver).log_dets
        paths = carry(net, rows, 0.0, 1.0, probes=each, solver=solver).log_dets
    for values, wanted in ((estimates, exact), (paths, exact_path)):
        slack = 4 * float(values.std()) / math.sqrt(draws)
        assert float(values.std()) > 1e-3
        assert abs(float(values.mean() - wanted)) < slack


def test_several_probes_are_one_solve():
    net, x = rough((4,)), points(3, 4)
    probes = probes_of(points(3, 5, 4), "rademacher")
    solver = Solver("rk4", 3)
    together = carry(net, x, 0.0, 1.0, probes=probes, solver=solver).log_dets
    assert together.shape == (3, 5)
    for p in range(5):
        alone = carry(net, x, 0.0, 1.0, probes=probes[:, p : p + 1], solver=solver).log_dets
        assert torch.allclose(together[:, p], alone[:, 0], atol=1e-12)


@pytest.mark.parametrize("base", ["normal", "student-t", "uniform"])
@pytest.mark.parametrize("label", [False, True])
def test_the_density_integrates_to_one(base, label):
    flow = model(base=base, time=0.5, context=ContextSpec(label=3) if label else None)
    u = (torch.arange(101, dtype=torch.float64) + 0.5) / 101 * 2 - 1
    if base == "uniform":  # a logistic's tails
        side, slope = 12 * u, torch.full_like(u, 12 * 2 / 101)
    else:
        side, slope = u / (1 - u**2), (1 + u**2) / (1 - u**2) ** 2 * (2 / 101)
    grid = torch.cartesian_prod(side, side)
    area = (slope[:, None] * slope).flatten()
    context = Context(label=torch.full((len(grid),), 1)) if label else None
    with torch.no_grad():
        value, error = flow.estimate_log_prob(grid, context)
    assert float((value.exp() * area).sum()) == pytest.approx(1, abs=1e-3)
    assert error.max() == 0


def test_likelihood_agrees_with_the_bijection():
    """The coarse solve of a likelihood is within its tolerance of the sharp one."""
    flow, x = model(tolerance=1e-4), points(50, 2)
    with torch.no_grad():
        value, _ = flow.estimate_log_prob(x)
        y, scale = flow.codec.encode(x, None)
        z, log_det = flow.forward_and_log_det(y)
        sharp = flow.base.log_prob(z) + log_det + scale
    assert 0 < (value - sharp).abs().max() < 2e-3


def test_gradients_of_the_loss_agree():
    """By backprop, by the adjoint, and by finite differences."""
    grads = {}
    x = points(6, 2)
    for gradient in ("backprop", "adjoint"):
        flow = model(gradient=gradient, tolerance=1e-10, time=0.5)
        loss = flow.loss(Batch.of(x)).total
        loss.backward()
        grads[gradient] = {n: p.grad.clone() for n, p in flow.ode.named_parameters()}
    for name, value in grads["backprop"].items():
        assert torch.allclose(value, grads["adjoint"][name], atol=1e-7), name
    parameter = flow.ode.network.layers[0].map.weight
    with torch.no_grad():
        step = 1e-5
        parameter[0, 0] += step
        above = flow.loss(Batch.of(x)).total
        parameter[0, 0] -= 2 * step
        below = flow.loss(Batch.of(x)).total
    slope = float((above - below) / (2 * step))
    name = "network.layers.0.map.weight"
    assert slope == pytest.approx(float(grads["backprop"][name][0, 0]), abs=1e-6)


def test_loss_reports_the_evaluations():
    x = points(6, 2)
    assert model(loss_steps=3).loss(Batch.of(x)).terms["evaluations"].tolist() == [12.0] * 6
    loose, tight = (
        model(tolerance=tolerance).loss(Batch.of(x)).terms["evaluations"].mean()
        for tolerance in (1e-2, 1e-8)
    )
    assert 8 <= loose < tight


def test_a_hutchinson_loss_is_unbiased():
    flow = model(Event.real(4), time=0.5, loss_steps=3)  # auto: an estimate above 3 dimensions
    exact = model(Event.real(4), time=0.5, loss_steps=3, trace="exact")
    x = points(1, 4).expand(3000, 4)
    with torch.no_grad():
        nll = flow.loss(Batch.of(x)).terms["nll"]
        wanted = exact.loss(Batch.of(x[:1])).total
    assert nll.std() > 1e-3
    assert abs(float(nll.mean() - wanted)) < 4 * float(nll.std()) / math.sqrt(3000)


def test_large_examples_are_scored_by_probes():
    flow = model(Event.real(2), trace="hutchinson")
    exact = model(Event.real(2))
    x = points(30, 2)
    with torch.no_grad():
        value, error = flow.estimate_log_prob(x)
        again, _ = flow.estimate_log_prob(x)
        wanted, _ = exact.estimate_log_prob(x)
    assert torch.equal(value, again)
    assert error.min() >= 0
    assert error.max() > 0
    assert float(((value - wanted).abs() < 5 * error + 1e-3).double().mean()) > 0.85


def test_a_noisy_density_is_averaged_and_not_weighted():
    """A bound by an estimated trace stays below the exact one, whatever the particles."""
    event = Event.image(1, 2, levels=4)
    x = torch.randint(4, (200, 1, 2, 2), generator=generator(0))
    exact, noisy = (
        model(event, trace=trace, noise="normal", loss_steps=2, hidden=(4,))
        for trace in ("exact", "hutchinson")
    )
    with torch.no_grad():
        tight = exact.elbo(x, particles=16, generator=generator(1))
        loose = noisy.elbo(x, particles=16, generator=generator(1))
        one = exact.elbo(x, generator=generator(1))
    assert tight.mean() > one.mean()
    assert loose.mean() <= tight.mean()
    with pytest.raises(ConfigError, match="particles"):
        noisy.elbo(x, particles=0)


def test_images_and_their_conditions():
    event, given = Event.image(1, 4, levels=4), Event.image(1, 2, levels=4)
    spec = ContextSpec(label=2, image=given)
    for network in ("conv", "mlp"):
        flow = model(event, context=spec, network=network, hidden=(3,), loss_steps=2)
        x = torch.randint(4, (5, 1, 4, 4), generator=generator(0))
        context = Context(
            label=torch.arange(5) % 2, image=torch.randint(4, (5, 1, 2, 2), generator=generator(1))
        )
        other = Context(label=context.label, image=3 - context.image)
        with torch.no_grad():
            one = flow.elbo(x, context, generator=generator(0))
            two = flow.elbo(x, other, generator=generator(0))
        assert one.shape == (5,)
        assert not torch.allclose(one, two, atol=1e-3)
        drawn = flow.sample(5, context, generator=generator(0))
        event.check(drawn)


def test_draws_have_gradients():
    flow = model(time=0.5)
    x, log_prob = flow.rsample_and_log_prob(7, generator=generator(0))
    with torch.no_grad():
        value, _ = flow.estimate_log_prob(x.detach())
    assert (value - log_prob).abs().max() < 1e-3
    (x.sum() + log_prob.sum()).backward()
    assert flow.ode.network.layers[0].map.weight.grad.abs().max() > 0


def test_a_density_is_learned():
    """A few seconds on a slanted Gaussian: the cross-entropy comes near the entropy."""
    L = torch.tensor([[1.0, 0.0], [0.8, 0.6]])
    x = torch.randn(2000, 2, generator=generator(0)) @ L.T
    with seeded(0):
        flow = ContinuousFlow(Event.real(2), hidden=(16,), loss_steps=3)
    flow.prepare(Batch.of(x))
    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-2)
    for step in range(60):
        optimizer.zero_grad()
        flow.loss(Batch.of(x[step % 8 * 250 :][:250])).total.backward()
        optimizer.step()
    entropy = 1 + math.log(2 * math.pi) + math.log(0.6)
    with torch.no_grad():
        nll = -flow.estimate_log_prob(x)[0].mean()
    independent = 1 + math.log(2 * math.pi)
    assert float(nll) < entropy + 0.1
    assert independent > entropy + 0.4


def test_likelihood_says_what_it_is():
    flow, codes = ContinuousFlow(Event.real(2)), ContinuousFlow(Event.image(1, 2, levels=4))
    assert flow.likelihood == "ode"
    assert codes.likelihood == "bound"
    for held in ("log_prob", "elbo"):
        assert not hasattr(flow, held)
    assert not hasattr(codes, "estimate_log_prob")
    assert isinstance(flow, Model)
    with pytest.raises(AttributeError, match="estimate_log_prob"):
        _ = flow.log_prob


def test_evaluation_says_that_an_ode_was_solved():
    flow = model()
    x = torch.randn(40, 2, generator=generator(3))
    data = Dataset(
        name="plane",
        split="test",
        event=Event.real(2),
        x=x,
        log_prob=lambda x: -0.5 * (x**2).sum(1) - math.log(2 * math.pi),
    )
    kl, nll = divergence(flow, data)["kl"], likelihood(flow, data)["nll"]
    with torch.no_grad():
        value, _ = flow.estimate_log_prob(x)
    assert (kl.kind, nll.kind) == ("ode", "ode")
    assert nll.value == pytest.approx(-float(value.mean()), abs=1e-6)
    assert data.log_prob is not None
    assert kl.value == pytest.approx(float((data.log_prob(x) - value).mean()), abs=1e-6)


def test_bad_input():
    event = Event.real(2)
    for settings, error, words in (
        ({"network": "cnn"}, UnknownNameError, "conv"),
        ({"network": "conv"}, ConfigError, "for images"),
        ({"layer": "concat-squash"}, UnknownNameError, "concatsquash"),
        ({"activation": "relu"}, ConfigError, "kink"),
        ({"activation": "tanhh"}, UnknownNameError, "tanh"),
        ({"trace": "hutch"}, UnknownNameError, "hutchinson"),
        ({"noise": "rademacher2"}, UnknownNameError, "rademacher"),
        ({"time": 0.0}, ConfigError, "time must be above 0"),
        ({"tolerance": 0.0}, ConfigError, "tolerance must be above 0"),
        ({"loss_steps": -1}, ConfigError, "loss_steps"),
        ({"gradient": "adjoin"}, UnknownNameError, "adjoint"),
        ({"hidden": (0,)}, ConfigError, "widths"),
    ):
        with pytest.raises(error, match=words):
            ContinuousFlow(event, **settings)
    flow = ContinuousFlow(event)
    for x in (torch.zeros(3, 3), torch.full((3, 2), torch.nan)):
        with pytest.raises(EventError):
            flow.estimate_log_prob(x)
    with pytest.raises(UnknownNameError, match="exact"):
        flow_log_prob(linear, points(1, 3), 0.0, 1.0, lambda z: z.sum(1), trace="exactly")
    with pytest.raises(ConfigError, match="probes"):
        flow_log_prob(linear, points(1, 3), 0.0, 1.0, lambda z: z.sum(1), probes=0)


def test_a_velocity_that_explodes_is_one_error():
    class Steep(nn.Module):
        def forward(self, x, t, context):
            return x**3

    with pytest.raises(DivergedError, match="velocity is steep"):
        Continuous(Steep(), time=5.0).forward_and_log_det(torch.ones(2, 2))


def test_a_flow_of_images_is_prepared_without_a_trace(monkeypatch):
    """An exact trace takes a product for each of 784 dimensions, and the memory of as many."""

    def refused(*given, **more):
        raise AssertionError("a trace was computed")

    model = ContinuousFlow(Event.image(1, 4, levels=4), hidden=(4,))
    monkeypatch.setattr("phosphene.nn.ode_density.value_and_traces", refused)
    model.prepare(Batch.of(torch.randint(4, (6, 1, 4, 4))))
    with pytest.raises(AssertionError, match="a trace"):
        model.loss(Batch.of(torch.randint(4, (6, 1, 4, 4))))
