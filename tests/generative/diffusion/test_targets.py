"""Targets, weightings and times: what the network gives, and what its errors cost."""

import pytest
import torch

import phosphene as ph
from phosphene.core.batch import Batch
from phosphene.core.errors import UnknownNameError
from phosphene.generative.diffusion.level import Level
from phosphene.generative.diffusion.path import build_path
from phosphene.generative.diffusion.target import TARGETS, build_target
from phosphene.generative.diffusion.times import logit_normal, spread_times, stratified
from phosphene.generative.diffusion.weighting import WEIGHTINGS, build_weighting

T = torch.linspace(0.05, 0.95, 7, dtype=torch.float64)


@pytest.mark.parametrize("path", ["vp", "ve", "edm", "cosine", "straight"])
@pytest.mark.parametrize("name", TARGETS)
def test_the_target_gives_the_data_back(path, name):
    level = build_path(path).at(T)
    x, eps = torch.randn(2, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    target = build_target(name)
    p, q = target.linear(level)
    noised = level.alpha * x + level.sigma * eps
    torch.testing.assert_close(p * noised + q * target.of(x, eps, level), x, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", TARGETS)
def test_floats_and_tensors_agree(name):
    level = build_path("cosine").level(0.3)
    wide = Level(*(torch.tensor([n], dtype=torch.float64) for n in level))
    for a, b in zip(build_target(name).linear(level), build_target(name).linear(wide), strict=True):
        assert float(b) == pytest.approx(a, rel=1e-12)


@pytest.mark.parametrize("name", sorted(set(WEIGHTINGS) - {"simple"}))
@pytest.mark.parametrize("path", ["vp", "cosine", "edm"])
def test_weightings_do_not_depend_on_the_target(name, path):
    """All but the simple one weigh the error in the data, whatever the network gives."""
    level, weigh = build_path(path).at(T), build_weighting(name)
    each = [weigh(level, q) / q**2 for q in (build_target(n).linear(level)[1] for n in TARGETS)]
    for one in each[1:]:
        torch.testing.assert_close(one, each[0], rtol=1e-9, atol=0.0)
    assert bool((each[0] > 0).all())


def test_the_variational_weight_is_half_the_slope_of_the_snr():
    t = T.clone().requires_grad_()
    level = build_path("vp").at(t)
    (slope,) = torch.autograd.grad((level.alpha / level.sigma).square().sum(), t)
    found = build_weighting("variational")(level, torch.ones_like(T))
    torch.testing.assert_close(found.detach(), -slope / 2)


def test_the_edm_weight_is_its_formula_and_is_one_on_the_error_of_its_target():
    """(s^2 + 1) / s^2 on the error in the data: 1 on that of a target of variance 1."""
    level = Level(*torch.tensor([[0.3], [1.0], [2.0], [0.0], [0.0]], dtype=torch.float64))
    one = torch.ones(1, dtype=torch.float64)
    assert float(build_weighting("edm")(level, one)) == pytest.approx(5 / 4)
    level = build_path("edm").at(T)
    q = build_target("edm").linear(level)[1]
    torch.testing.assert_close(build_weighting("edm")(level, q), torch.ones_like(T))


def test_the_log_of_edms_training_noise_is_normal_about_minus_1_2():
    model = ph.build("score-sde", ph.Event.real(2), process="edm")
    level = model.drawn(Batch.of(torch.zeros(4000, 2)))
    noise = level.sigma.log().flatten()
    assert float(noise.median()) == pytest.approx(-1.2, abs=0.05)
    assert float(noise.std()) == pytest.approx(1.2, abs=0.05)


def test_the_edm_target_has_unit_variance():
    g = torch.Generator().manual_seed(0)
    x, eps = torch.randn(2, 200_000, generator=g, dtype=torch.float64)
    for t in (0.1, 0.6, 0.95):
        level = build_path("edm").level(t)
        wide = Level(*(torch.tensor(n, dtype=torch.float64) for n in level))
        m = build_target("edm").of(x, eps, wide)
        assert float(m.var()) == pytest.approx(1.0, abs=0.02)


def test_unknown_names():
    with pytest.raises(UnknownNameError, match="velocity"):
        build_target("velocty")
    with pytest.raises(UnknownNameError, match="min-snr"):
        build_weighting("minsnr")


def test_times_cover_the_line_whatever_the_ranks():
    whole = Batch.of(torch.zeros(512, 2), seed=3)
    again = Batch.of(torch.zeros(512, 2), seed=3)
    times = spread_times(whole)
    parts = [spread_times(again[a:b]) for a, b in ((0, 100), (100, 101), (101, 512))]
    assert torch.equal(times, torch.cat(parts))
    gaps = times.sort().values.diff()
    assert float(gaps.max()) < 4 / 512
    assert 0 <= float(times.min()) <= float(times.max()) < 1
    other = spread_times(Batch.of(torch.zeros(512, 2), seed=4))
    assert not torch.equal(times, other)
    mean = torch.stack([spread_times(Batch.of(torch.zeros(1, 2), seed=s)) for s in range(400)])
    assert float(mean.mean()) == pytest.approx(0.5, abs=0.06)


def test_logit_normal_times():
    u = torch.rand(200_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z = torch.logit(logit_normal(u, 0.5, 2.0))
    assert float(z.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(z.std()) == pytest.approx(2.0, abs=0.02)
    ends = logit_normal(torch.tensor([0.0, 1 - 2**-24]))
    assert bool(((ends > 0) & (ends < 1)).all())


def test_stratified_times_are_uniform_one_by_one():
    u = torch.rand(100_000, generator=torch.Generator().manual_seed(0))
    each = stratified(u, 4)
    assert each.shape == (100_000, 4)
    assert bool((each.sort(1).values.diff(dim=1) - 0.25).abs().max() < 1e-5)
    assert float(each[:, 3].mean()) == pytest.approx(0.5, abs=0.01)
