"""The bound against closed forms: normal data and the best estimate of them."""

import math

import pytest
import torch

import phosphene as ph
from phosphene.generative.diffusion.bound import (
    code_log_prob,
    continuous_rate,
    discretized_log_prob,
    normal_kl,
    prior_kl,
    step_cost,
)
from phosphene.generative.diffusion.exact import normal_estimate
from phosphene.generative.diffusion.level import Level
from phosphene.generative.diffusion.path import build_path
from phosphene.generative.diffusion.schedule import between, build_schedule
from phosphene.proofs.diffusion.diffusion_bound import GAPS, MEAN, VARIANCE, gap
from phosphene.proofs.diffusion.vae_is_one_step_diffusion import Chained


@pytest.mark.parametrize("steps", GAPS)
def test_the_gap_of_normal_data(steps):
    assert gap(steps, "beta") == pytest.approx(GAPS[steps], rel=0.005)


def test_the_gap_with_the_posterior_variance():
    assert gap(1000, "posterior") == pytest.approx(0.456, abs=0.0005)


def test_step_cost_is_the_divergence():
    chain = build_schedule("cosine", 20)
    g = torch.Generator().manual_seed(0)
    x, D, noise = torch.randn(3, 4, 6, dtype=torch.float64, generator=g)
    for variance in ("beta", "posterior"):
        step = between(chain.level(9), chain.level(8))
        other = step.variance if variance == "beta" else step.posterior
        means = [step.from_x * noise + step.from_data * y for y in (x, D)]
        w, c = step_cost(step, variance)
        found = w * (x - D).square().sum(1) + 6 * c
        torch.testing.assert_close(found, normal_kl(means[0], step.posterior, means[1], other))


def test_discretized_normal_sums_to_one_and_has_gradients():
    codes = torch.arange(17)[:, None]
    for mean in (-40.0, -1.0, 0.01, 0.9, 3.0):
        for std in (1e-3, 0.05, 2.0):
            m = torch.full((17, 1), mean, dtype=torch.float64, requires_grad=True)
            logs = discretized_log_prob(codes, m, std, 17)
            assert float(logs.exp().sum().detach()) == pytest.approx(1.0, abs=1e-9)
            (slope,) = torch.autograd.grad(logs.sum(), m)
            assert bool(torch.isfinite(slope).all())
    far = discretized_log_prob(torch.tensor([[16]]), torch.tensor([[-1.0]]), 1e-3, 17)
    assert bool(torch.isfinite(far).all())


def test_codes_given_the_first_level_sum_to_one():
    level = Level(0.0, 0.99, 0.05)
    codes = torch.arange(9)[:, None]
    z = torch.full((9, 1), 0.3)
    assert float(code_log_prob(z, codes, level, 9).exp().sum()) == pytest.approx(1.0, abs=1e-6)
    wide = torch.rand(3, 300) * 2 - 1
    many = torch.randint(0, 9, (3, 300))
    parts = [code_log_prob(wide[:, i : i + 1], many[:, i : i + 1], level, 9) for i in range(300)]
    torch.testing.assert_close(code_log_prob(wide, many, level, 9), torch.stack(parts).sum(0))


def test_continuous_bound_of_normal_data_is_the_entropy():
    """With the best estimate, prior, integral and the first level's decoder add up to it."""
    path = build_path("cosine")
    t = torch.linspace(0, 1, 20001, dtype=torch.float64) ** 3
    level = path.at(t)
    error = 1 / (1 / VARIANCE + (level.alpha / level.sigma) ** 2)
    rate = continuous_rate(error.sqrt()[:, None], torch.zeros(20001, 1).double(), level)
    first, last = path.level(0.0), path.level(1.0)
    prior = 0.5 * (
        last.alpha**2 * (VARIANCE + MEAN**2) + last.sigma**2 - 1 - 2 * math.log(last.sigma)
    )
    # The decoder of reals that goes with it is N(x; z / alpha, (sigma / alpha)^2).
    ratio = first.sigma / first.alpha
    decoder = 0.5 * (math.log(2 * math.pi * ratio**2) + 1)
    total = prior + float(torch.trapezoid(rate, t)) + decoder
    entropy = 0.5 * math.log(2 * math.pi * math.e * VARIANCE)
    assert total == pytest.approx(entropy, abs=1e-4)


@pytest.mark.parametrize("variance", ["beta", "posterior"])
def test_the_models_bound_is_the_sum_over_all_steps(variance):
    """Drawing times is unbiased: the mean over many draws is the sum, term by term."""
    model = ph.build(
        "ddpm", ph.Event.real(2), widths=(8,), steps=6, schedule="linear", variance=variance
    ).double()
    best = normal_estimate(0.3, 0.5)
    model.estimate = lambda x, level, context=None: best(x, Level(*(n.view(-1, 1) for n in level)))
    x = torch.tensor([[0.2, -0.7]], dtype=torch.float64)
    g = torch.Generator().manual_seed(0)
    drawn = model.terms(x.expand(40_000, 2), particles=2, generator=g)
    chain = model.chain
    eps = torch.randn(200_000, 2, dtype=torch.float64, generator=g)
    steps = 0.0
    for t in range(2, 7):
        level = chain.level(t)
        w, c = step_cost(between(level, chain.level(t - 1)), variance)
        D = best(level.alpha * x + level.sigma * eps, level)
        steps += w * float((x - D).square().sum(1).mean()) + 2 * c
    found = drawn["steps"]
    assert float(found.mean()) == pytest.approx(steps, abs=4 * float(found.std()) / 200)
    assert float(drawn["prior"][0]) == pytest.approx(float(prior_kl(x, chain.level(6))), rel=1e-6)


def test_one_step_is_a_variational_autoencoder():
    """T = 1: the VAE's own bound, with the encoder N(alpha x, sigma^2), to the last digit."""
    event = ph.Event.real(3)
    model = ph.build("ddpm", event, widths=(8,), steps=1, schedule="linear").double()
    torch.nn.init.normal_(model.network.last.weight, generator=torch.Generator().manual_seed(1))
    vae = Chained.of(model)
    x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    found = model.elbo(x, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        found, vae.elbo(x, generator=torch.Generator().manual_seed(0)), rtol=1e-12, atol=1e-12
    )
    assert not model.terms(x)["steps"].any()
