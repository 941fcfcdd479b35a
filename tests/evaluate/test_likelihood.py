"""Likelihoods: the right number, the right kind, the right error."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phosphene.core.context import ContextSpec
from phosphene.core.errors import ConfigError, EventError
from phosphene.core.event import Event
from phosphene.data.dataset import Dataset
from phosphene.evaluate import likelihood as module
from phosphene.evaluate.likelihood import (
    bits_per_dim,
    evidence_bound,
    exact_log_prob,
    importance_weighted,
    likelihood,
)
from phosphene.evaluate.score import Score
from tests.evaluate.toys import Annealed, Bounded, Implicit, Independent, LinearGaussian

EVENT = Event.real(5)


@pytest.fixture
def linear():
    return LinearGaussian(EVENT).double()


@pytest.fixture
def x(linear):
    return linear.double().m.detach() + 1.3 * torch.randn(
        300, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )


def test_a_uniform_model_of_17_levels_needs_log2_17_bits():
    event = Event.image(1, 8, levels=17)
    codes = torch.randint(17, (20, 1, 8, 8)).to(torch.uint8)
    scores = likelihood(Independent(event), codes)
    assert scores["nll"].value == pytest.approx(64 * math.log(17), rel=1e-6)
    assert scores["bits_per_dim"].value == pytest.approx(4.0874628, rel=1e-6)
    assert scores["bits_per_dim"].kind == "exact"


def test_exact_is_in_order_and_float64_and_restores_the_mode(linear, x):
    linear.train()
    values = exact_log_prob(linear, x)
    assert values.dtype == torch.float64
    assert linear.training
    assert not values.requires_grad
    torch.testing.assert_close(values, linear.log_prob(x).detach())


def test_bounds_rise_with_particles_to_the_exact_value(linear, x):
    exact = exact_log_prob(linear, x)
    bounds = [importance_weighted(linear, x, particles=k, seed=3) for k in (1, 10, 100, 1000)]
    for lower, upper in zip(bounds, [*bounds[1:], exact], strict=True):
        gap = upper - lower
        assert gap.mean() > -4 * gap.std() / len(gap) ** 0.5
    assert abs((exact - bounds[-1]).mean()) < 0.01
    assert (exact - bounds[0]).mean() > 0.05


def test_a_perfect_posterior_makes_every_bound_exact():
    # One latent dimension, so that the diagonal posterior of the toy is the true one.
    model = LinearGaussian(EVENT, latent=1, off=0.0).double()
    x = 1 + torch.randn(50, 5, dtype=torch.float64)
    exact = exact_log_prob(model, x)
    for k in (1, 7):
        torch.testing.assert_close(importance_weighted(model, x, particles=k), exact)


def test_particles_are_neither_lost_nor_added_when_they_come_in_parts(monkeypatch, x):
    model = Bounded(EVENT).double()
    monkeypatch.setattr(module, "_ELEMENTS", 5 * 64)
    importance_weighted(model, x[:3], particles=150)
    assert model.calls == [(1, 50)] * 9
    assert max(n * k for n, k in model.calls) * 5 <= 5 * 64


@given(particles=st.integers(1, 5000), most=st.integers(4, 700))
def test_parts_add_up_and_none_is_a_single_particle(particles, most):
    parts = module._parts(particles, most)
    assert sum(parts) == particles
    assert max(parts) <= most
    assert min(parts) >= min(2, particles)


def test_parts_join_to_the_mean_weight(monkeypatch, x):
    whole = importance_weighted(Bounded(EVENT).double(), x, particles=1024, seed=1)
    monkeypatch.setattr(module, "_ELEMENTS", 5 * 200)
    parts = importance_weighted(Bounded(EVENT).double(), x, particles=1024, seed=2)
    assert abs((whole - parts).mean()) < 0.02


def test_scores_name_their_kinds(linear, x):
    scores = likelihood(linear, x, particles=50)
    assert {k: v.kind for k, v in scores.items()} == {
        "nll": "exact",
        "elbo": "bound",
        "iwae_nll": "importance-weighted",
        "iwae_gap": "importance-weighted",
    }
    gap = -scores["iwae_nll"].value - scores["elbo"].value
    assert scores["iwae_gap"].value == pytest.approx(gap, abs=1e-9)
    assert scores["iwae_gap"].stderr < scores["elbo"].stderr  # paired over examples
    assert scores["nll"].stderr == pytest.approx(float(exact_log_prob(linear, x).std()) / 300**0.5)


def test_the_same_seed_gives_the_same_scores(x):
    model = Bounded(EVENT).double()
    a, b = (likelihood(model, x, particles=20, seed=5) for _ in range(2))
    assert a == b
    assert likelihood(model, x, particles=20, seed=6) != a


def test_the_evidence_bound_is_the_mean_of_its_draws(x):
    model = Bounded(EVENT).double()
    draws = [importance_weighted(model, x, particles=1, seed=s) for s in range(3)]
    torch.testing.assert_close(evidence_bound(model, x, draws=3), torch.stack(draws).mean(0))


def test_bits_follow_the_bound_when_there_is_no_exact_value():
    event = Event.binary(5)

    class Binary(Bounded):
        def elbo(self, x, context=None, *, particles=1, generator=None):
            return torch.full((len(x),), -7.0)

    scores = likelihood(Binary(event), torch.zeros(4, 5), particles=8)
    assert scores["bits_per_dim"].kind == "importance-weighted"
    assert scores["bits_per_dim"].value == pytest.approx(7 / (5 * math.log(2)))
    one = likelihood(Binary(event), torch.zeros(4, 5), particles=1)
    assert set(one) == {"elbo", "bits_per_dim"}
    assert one["bits_per_dim"].kind == "bound"
    assert one["bits_per_dim"].value == pytest.approx(7 / (5 * math.log(2)))


def test_a_withheld_density_is_not_scored():
    assert likelihood(Implicit(EVENT), torch.zeros(4, 5)) == {}


def test_an_ode_likelihood_is_not_called_exact(linear, x):
    linear.likelihood = "ode"
    assert likelihood(linear, x, particles=1)["nll"].kind == "ode"


def test_the_shared_error_of_an_estimate_does_not_average_out(x):
    score = likelihood(Annealed(EVENT), x)["nll"]
    assert score.kind == "estimate"
    assert score.stderr > 0.25


def test_a_conditional_model_gets_its_labels(digits: Dataset):
    model = Independent(digits.event, context=ContextSpec(label=4)).fit(digits.x, digits.y)
    plain = Independent(digits.event).fit(digits.x)
    gain = likelihood(plain, digits)["nll"].value - likelihood(model, digits)["nll"].value
    assert gain > 5
    assert likelihood(model, digits)["bits_per_dim"].note == "given the label"
    assert likelihood(plain, digits)["nll"].note is None
    with pytest.raises(EventError, match="'label'"):
        likelihood(model, digits.x)


def test_progress_ends_at_one(linear, x):
    seen = []
    likelihood(linear, x, particles=5, progress=lambda name, done: seen.append((name, done)))
    assert ("nll", 1.0) in seen
    assert ("iwae_nll", 1.0) in seen


def test_json_leaves_out_what_is_absent():
    assert Score(1.0, "exact").to_json() == {"value": 1.0, "kind": "exact"}
    full = Score(1.0, "pca features", 0.1, 0.2, "a note", "pca").to_json()
    assert full == {"value": 1.0, "kind": "pca features", "stderr": 0.1, "floor": 0.2}


def test_one_example_has_no_standard_error(linear, x):
    assert likelihood(linear, x[:1], particles=1)["nll"].stderr is None


def test_bad_input(linear, x):
    with pytest.raises(ConfigError, match="particles must be 1 or more, got 0"):
        likelihood(linear, x, particles=0)
    with pytest.raises(EventError, match="expected a batch of shape"):
        likelihood(linear, x[:, :3])
    with pytest.raises(EventError, match="NaN"):
        likelihood(linear, x * float("nan"))
    with pytest.raises(ConfigError, match="discrete codes"):
        bits_per_dim(Score(1.0, "exact"), EVENT)
