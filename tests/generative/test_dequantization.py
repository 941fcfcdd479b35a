"""Dequantization against integrals over the cells of every code, computed by quadrature."""

import numpy as np
import pytest
import torch
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.flow.flow import Flow
from phosphene.generative.flow.layers.conditioner import VectorConditioner
from phosphene.generative.flow.layers.coupling import VectorCoupling
from phosphene.generative.flow.layers.dequantize import VariationalDequantizer
from phosphene.generative.flow.layers.transform import Composition, Transform
from phosphene.nn.monotone import Affine

PAIR = Event.image(1, (1, 2), levels=4)
STATES = torch.cartesian_prod(torch.arange(4), torch.arange(4)).reshape(16, 1, 1, 2)


class Flat(Transform):
    """A transform of vectors, of images."""

    def __init__(self, transform: Transform) -> None:
        super().__init__()
        self.transform = transform

    def forward_and_log_det(self, x: Tensor, context: Context | None = None):
        z, log_det = self.transform.forward_and_log_det(x.flatten(1), context)
        return z.view_as(x), log_det

    def inverse(self, z: Tensor, context: Context | None = None) -> Tensor:
        return self.transform.inverse(z.flatten(1), context).view_as(z)


class Pair(Flow):
    """Affine couplings of few pixels."""

    def __init__(
        self, event: Event, *, context: ContextSpec | None = None, dequantization: str = "uniform",
        codec: str = "logit",
    ) -> None:  # fmt: skip
        super().__init__(event, context=context, dequantization=dequantization, codec=codec)
        d = event.dimensions
        self.build(
            Composition(Flat(self._coupling(torch.arange(d) % 2 == k % 2)) for k in range(4))
        )

    def _coupling(self, mask: Tensor) -> VectorCoupling:
        moved = int(mask.sum())
        # A smooth network: quadrature converges fast.
        network = VectorConditioner(
            len(mask) - moved, (8,), 2 * moved, activation="tanh", context=self.context
        )
        return VectorCoupling(mask, Affine(2.0), network)


def made(dequantization: str = "uniform", event: Event = PAIR, **options) -> Flow:
    """A flow in double precision that is no identity, and neither is its q."""
    with seeded(3):
        flow = Pair(event, dequantization=dequantization, **options).double()
        with torch.no_grad():
            for p in flow.transform.parameters():
                p.add_(0.3 * torch.randn_like(p))
            for p in flow.dequantizer.parameters():
                p.add_(0.04 * torch.randn_like(p))
    return flow


def cells(flow: Flow, nodes: int = 40, context: Context | None = None) -> Tensor:
    """P(x) of the 16 states: integrals of p(x + u) over the unit square, by Gauss and Legendre."""
    t, w = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(nodes))
    u = torch.cartesian_prod((t + 1) / 2, (t + 1) / 2)
    log_w = torch.cartesian_prod(w / 2, w / 2).log().sum(1)
    found = []
    for state in STATES:
        at = u.view(-1, 1, 1, 2)
        y, log_det = flow.codec.encode(state.expand(len(at), 1, 1, 2).double(), at)
        with torch.no_grad():
            density = flow._log_density(y, Context() if context is None else context) + log_det
        found.append(torch.logsumexp(density + log_w, 0))
    return torch.stack(found)


@torch.no_grad()
def bound(flow: Flow, rounds: int, particles: int = 1) -> tuple[Tensor, Tensor]:
    """Mean of the bound for every state and its standard error."""
    draws = flow.elbo(
        STATES.repeat_interleave(rounds, 0), particles=particles, generator=generator(particles)
    ).view(16, rounds)
    return draws.mean(1), draws.std(1) / rounds**0.5


@pytest.mark.parametrize("dequantization", ["uniform", "variational"])
def test_the_mean_bound_lies_below_the_integral_over_the_cell(dequantization):
    flow = made(dequantization)
    exact = cells(flow)
    assert torch.allclose(exact, cells(flow, 50), atol=1e-5)  # the quadrature has converged
    mean, error = bound(flow, 600)
    assert (mean < exact + 4 * error).all()
    assert (mean < exact - 4 * error).sum() > 8  # a bound, and no estimate


@pytest.mark.parametrize("dequantization", ["uniform", "variational"])
def test_more_particles_tighten_the_bound_to_the_integral(dequantization):
    flow = made(dequantization)
    exact = cells(flow)
    gaps = []
    for particles, rounds in ((1, 512), (8, 128), (64, 40)):
        mean, error = bound(flow, rounds, particles)
        assert (mean < exact + 4 * error + 1e-9).all()
        gaps.append(float((exact.exp() * (exact - mean)).sum()))  # of a code of the model's
    assert gaps[0] > 4 * gaps[1] > 0
    assert abs(gaps[2]) < 0.02


@pytest.mark.parametrize("dequantization", ["uniform", "variational"])
def test_importance_weights_are_unbiased(dequantization):
    """E p(x + u) / q(u | x) is the integral, state by state: q is a density on the cell."""
    flow = made(dequantization)
    rounds = 2000
    with torch.no_grad():
        draws = flow.elbo(STATES.repeat_interleave(rounds, 0), generator=generator(5)).exp()
    draws = draws.view(16, rounds)
    error = draws.std(1) / rounds**0.5
    assert ((draws.mean(1) - cells(flow).exp()).abs() < 4.5 * error).all()


@pytest.mark.parametrize("codec", ["logit", "centered"])
def test_the_integrals_sum_to_one_up_to_the_mass_outside(codec):
    flow = made(codec=codec)
    inside = float(cells(flow).exp().sum())
    n = 50_000
    y = flow.transform.inverse(
        torch.randn(n, 1, 1, 2, generator=generator(1), dtype=torch.float64)
    ).detach()
    low, high = (
        flow.codec.encode(torch.tensor(c).expand(1, 1, 1, 1), torch.tensor(u))[0]
        for c, u in ((0.0, 0.0), (3.0, 1.0))
    )
    found = float(((y > low) & (y < high)).flatten(1).all(1).double().mean())
    assert inside < 1
    assert abs(inside - found) < 4 * (inside * (1 - inside) / n) ** 0.5 + 1e-6


def test_a_variational_q_starts_uniform():
    with seeded(0):
        uniform = Pair(PAIR).double()
    with seeded(0):
        variational = Pair(PAIR, dequantization="variational").double()
    one, two = (flow.elbo(STATES, generator=generator(2)) for flow in (uniform, variational))
    assert torch.allclose(one, two, atol=1e-9)


@pytest.mark.parametrize("event", [PAIR, Event.image(2, (2, 3), levels=5), Event.image(1, 1)])
def test_q_has_the_density_of_its_draws(event):
    """log q(u | x) = -log |det du/dnoise|: the noise is uniform on the cube."""
    with seeded(1):
        q = VariationalDequantizer(event, hidden=6, layers=3).double()
        for p in q.parameters():
            torch.nn.init.normal_(p, std=0.3)
    x = torch.randint(0, event.levels, (1, *event.shape), generator=generator(1))
    noise = torch.rand((1, *event.shape), generator=generator(2), dtype=torch.float64)
    u, log_q = q(x, noise, Context())
    assert u.min() > 0
    assert u.max() < 1
    jacobian = torch.autograd.functional.jacobian(
        lambda v: q(x, v.view_as(noise), Context())[0].flatten(), noise.flatten()
    )
    assert torch.allclose(log_q[0], -torch.linalg.slogdet(jacobian)[1], atol=1e-9)


def test_training_q_tightens_the_bound():
    flow = made("variational")
    before, error = bound(flow, 500)
    exact = cells(flow)
    assert flow.dequantizer.networks[0].head.weight.requires_grad
    optimizer = torch.optim.Adam(flow.dequantizer.parameters(), lr=6e-3)
    for step in range(40):
        optimizer.zero_grad()
        batch = Batch.of(STATES.repeat(4, 1, 1, 1), seed=step)
        flow.loss(batch).total.backward()
        optimizer.step()
    after, _ = bound(flow, 500)
    assert (after < exact + 4 * error).all()
    assert float((exact - after).mean()) < 0.25 * float((exact - before).mean())
    uniform = Pair(PAIR).double()
    uniform.transform.load_state_dict(flow.transform.state_dict())
    assert float((exact - after).mean()) < 0.5 * float((exact - bound(uniform, 500)[0]).mean())


def test_the_loss_takes_its_noise_from_the_batch():
    flow = made("variational")
    whole = flow.loss(Batch.of(STATES, seed=1)).terms["nll"]
    half = flow.loss(Batch.of(STATES, seed=1)[8:]).terms["nll"]
    assert torch.allclose(whole[8:], half)
    flow.loss(Batch.of(STATES)).total.backward()
    grads = [p.grad for p in flow.dequantizer.parameters()]
    assert all(g is not None and torch.isfinite(g).all() and g.abs().sum() > 0 for g in grads)


def test_q_sees_the_label():
    flow = made("variational", context=ContextSpec(label=2))
    noise = torch.full((1, 1, 1, 2), 0.3, dtype=torch.float64)
    one, two = (
        flow.dequantizer(STATES[:1], noise, Context(label=torch.tensor([k])))[0] for k in (0, 1)
    )
    assert not torch.allclose(one, two)
    assert flow.elbo(STATES, Context(label=torch.zeros(16).long()), particles=2).shape == (16,)


def test_codes_come_back_from_where_q_puts_them():
    event = Event.image(1, 4)
    flow = made("variational", event).float()
    x = torch.randint(0, 256, (50, *event.shape), generator=generator(3), dtype=torch.uint8)
    noise = torch.rand(x.shape, generator=generator(4))
    with torch.no_grad():
        u, _ = flow.dequantizer(x, noise, Context())
        back = flow.codec.decode(flow.codec.encode(x, u)[0])
    assert (back != x).float().mean() < 1e-3  # u may round to the border of its bin
    assert ((back.int() - x.int()).abs() <= 1).all()


def test_unknown_and_impossible_dequantizations_are_refused():
    with pytest.raises(UnknownNameError, match="variational"):
        Pair(PAIR, dequantization="variatonal")
    with pytest.raises(ConfigError, match="for codes"):
        Pair(Event.real(2), dequantization="variational")
