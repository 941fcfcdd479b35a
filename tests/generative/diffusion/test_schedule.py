"""The chain, its marginals and its posterior against what defines them."""

import math

import pytest
import torch

from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.generative.diffusion.level import CLEAN, Level, log_snr
from phosphene.generative.diffusion.path import PATHS, build_path, shifted
from phosphene.generative.diffusion.schedule import (
    SCHEDULES,
    Schedule,
    between,
    build_schedule,
    marginal,
    posterior,
)


@pytest.mark.parametrize("name", SCHEDULES)
def test_composed_steps_are_the_closed_form(name):
    chain = build_schedule(name, 1000)
    mean, variance = 1.0, 0.0
    for t in range(1, 1001):
        beta = float(chain.betas[t - 1])
        mean, variance = math.sqrt(1 - beta) * mean, (1 - beta) * variance + beta
        level = chain.level(t)
        assert level.alpha == pytest.approx(mean, abs=1e-12)
        assert level.sigma**2 == pytest.approx(variance, abs=1e-12)
    assert chain.level(1000).alpha < 0.02


def test_the_published_end_of_the_linear_schedule():
    assert float(build_schedule("linear", 1000).alpha_bar[-1]) == pytest.approx(4.0358e-5, rel=1e-4)


def test_small_betas_keep_their_digits():
    chain = Schedule(torch.full((3,), 1e-15, dtype=torch.float64))
    assert chain.level(1).sigma ** 2 == pytest.approx(1e-15, rel=1e-12)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("t", [2, 500, 1000])
def test_posterior_is_bayes_rule_on_a_grid(name, t):
    chain = build_schedule(name, 1000)
    x0, x_t, beta = 0.4, -0.3, float(chain.betas[t - 1])
    mean, std = posterior(chain, torch.tensor(x_t).double(), torch.tensor(x0).double(), t)
    grid = float(mean) + torch.linspace(-12, 12, 40001, dtype=torch.float64) * max(std, 1e-9)
    before, deviation = marginal(chain, torch.tensor(x0).double(), t - 1)
    logs = -((grid - before) ** 2) / (2 * deviation**2)
    logs -= (x_t - math.sqrt(1 - beta) * grid) ** 2 / (2 * beta)
    p = logs.softmax(0)
    assert float((p * grid).sum()) == pytest.approx(float(mean), abs=1e-6)
    assert float((p * (grid - mean) ** 2).sum()) == pytest.approx(std**2, rel=1e-6)
    assert std**2 == pytest.approx(
        beta * (1 - float(chain.alpha_bar[t - 1])) / (1 - float(chain.alpha_bar[t])), rel=1e-9
    )


def test_posterior_mean_by_data_is_that_by_noise():
    chain = build_schedule("linear", 1000)
    x0, eps = torch.randn(2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for t in (1, 2, 17, 1000):
        level, beta = chain.level(t), float(chain.betas[t - 1])
        x_t = level.alpha * x0 + level.sigma * eps
        by_noise = (x_t - beta / level.sigma * eps) / math.sqrt(1 - beta)
        torch.testing.assert_close(posterior(chain, x_t, x0, t)[0], by_noise, rtol=1e-9, atol=1e-9)


def test_no_noise_is_left_at_the_last_step():
    step = between(build_schedule("cosine", 100).level(1), CLEAN)
    assert (step.from_x, step.posterior) == (0.0, 0.0)
    assert step.from_data == pytest.approx(1.0, abs=1e-12)


def test_steps_of_a_subset():
    chain = build_schedule("cosine", 1000)
    for steps in (1, 3, 7, 50, 999, 1000):
        times = [round(1000 * level.time) for level in chain.levels(steps)]
        assert times[0] == 1000
        assert times[-1] == 0
        assert len(times) == steps + 1 == len(set(times))
        assert times == sorted(times, reverse=True)


@pytest.mark.parametrize("steps", [0, 1001])
def test_more_steps_than_the_chain_has_are_refused(steps):
    with pytest.raises(ConfigError, match=f"from 1 to the chain's 1000, got {steps}"):
        build_schedule("cosine", 1000).levels(steps)


@pytest.mark.parametrize("betas", [[], [0.0], [1.0], [0.5, float("nan")]])
def test_betas_out_of_range_are_refused(betas):
    with pytest.raises(ConfigError, match="beta"):
        Schedule(torch.tensor(betas))


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="cosine"):
        build_schedule("cosin", 10)
    with pytest.raises(UnknownNameError, match="edm"):
        build_path("edn")


@pytest.mark.parametrize("name", PATHS)
def test_slopes_of_paths_are_their_derivatives(name):
    path = build_path(name)
    t = torch.linspace(0.01, 0.99, 50, dtype=torch.float64, requires_grad=True)
    alpha, sigma, d_alpha, d_sigma = path.curve(t)
    for value, slope in ((alpha, d_alpha), (sigma, d_sigma)):
        if value.requires_grad:
            (found,) = torch.autograd.grad(value.sum(), t, retain_graph=True)
            torch.testing.assert_close(found, slope.detach(), rtol=1e-9, atol=1e-9)
        else:
            assert not slope.any()


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("steps", [1, 2, 20])
def test_levels_of_a_sampler_lose_noise(name, steps):
    levels = build_path(name).levels(steps)
    assert len(levels) == steps + 1
    assert levels[-1] == CLEAN
    snr = [log_snr(level) for level in levels]
    assert snr == sorted(snr)
    assert len(set(snr)) == steps + 1
    assert levels[0].time == 1.0


def test_vp_is_the_limit_of_the_chain():
    chain, path = build_schedule("linear", 1000), build_path("vp")
    for t in (1, 10, 100, 500, 1000):
        assert path.level(t / 1000).alpha == pytest.approx(chain.level(t).alpha, rel=6e-2)


def test_a_shift_multiplies_the_noise_to_data_ratio():
    t = torch.linspace(0.05, 0.95, 10, dtype=torch.float64)
    s = shifted(t, 3.0)
    torch.testing.assert_close(s / (1 - s), 3 * t / (1 - t))
    assert build_path("straight").levels(4, 3.0)[2].time == pytest.approx(0.75)


def test_any_two_levels_have_a_step_between_them():
    s, t = Level(1.0, 0.0, 1.0), Level(0.5, 0.5, 0.5)
    step = between(s, t)  # all is noise: what is reached is the estimate, and noise
    assert step.from_x == 0.0
    assert step.from_data == pytest.approx(0.5)
    assert step.posterior == pytest.approx(0.25)
