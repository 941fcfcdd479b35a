"""Samplers against exact recursions, each other, and the equations that they solve."""

import math
from itertools import pairwise

import pytest
import torch

from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.generative.diffusion.editing import resampled
from phosphene.generative.diffusion.exact import Mixture, normal_estimate
from phosphene.generative.diffusion.level import CLEAN, Level, log_snr
from phosphene.generative.diffusion.path import PATHS, build_path
from phosphene.generative.diffusion.samplers.ancestral import ancestral
from phosphene.generative.diffusion.samplers.ddim import ddim
from phosphene.generative.diffusion.samplers.dpm_solver import dpm_solver
from phosphene.generative.diffusion.samplers.named import SAMPLERS, build_table
from phosphene.generative.diffusion.samplers.table import Row, Table, run
from phosphene.generative.diffusion.samplers.two_stage import euler, heun, midpoint
from phosphene.generative.diffusion.schedule import build_schedule
from phosphene.generative.diffusion.target import TARGETS, build_target
from phosphene.proofs.diffusion.ancestral_sampling import MEAN, SAMPLED, VARIANCE, moments

POINT = torch.tensor([0.3, -0.4, 2.0], dtype=torch.float64)


def halfway(path):
    return lambda s, t: path.level((s.time + t.time) / 2)


@pytest.mark.parametrize("steps", [50, 1000])
@pytest.mark.parametrize("variance", ["beta", "posterior"])
def test_ancestral_samples_of_normal_data(steps, variance):
    table = ancestral(build_schedule("linear", steps).levels(steps), variance=variance)
    mean, found = moments(table, MEAN, VARIANCE)
    assert found == pytest.approx(SAMPLED[steps, variance], abs=5e-5)
    assert mean == pytest.approx(MEAN, abs=0.02)


def test_ddim_with_all_its_noise_is_ancestral():
    levels = build_schedule("cosine", 200).levels(40)
    plain = ancestral(levels, variance="posterior").rows
    for a, b in zip(plain, ddim(levels, eta=1.0).rows, strict=True):
        assert b[2:6] == pytest.approx(a[2:6], abs=1e-12)
    x = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    best = normal_estimate(MEAN, VARIANCE)
    found = [
        run(best, x, table, generator=torch.Generator().manual_seed(1))
        for table in (ancestral(levels, variance="posterior"), ddim(levels, eta=1.0))
    ]
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("path", ["vp", "cosine", "straight"])
def test_ddim_without_noise_goes_back_the_way_it_came(path):
    """With the same estimate at both ends of a step it inverts exactly; with many steps, nearly."""
    levels = build_path(path).levels(2000)[:-1]
    best = normal_estimate(0.0, VARIANCE)
    x = torch.randn(5, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    there = run(best, x, ddim(levels))
    back = run(best, there, ddim(levels[::-1]))
    assert float((back - x).abs().max()) < 1e-2
    fixed = torch.tensor(0.3, dtype=torch.float64)
    one = run(lambda x, level: fixed.expand_as(x), x, ddim(levels))
    again = run(lambda x, level: fixed.expand_as(x), one, ddim(levels[::-1]))
    torch.testing.assert_close(again, x, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", SAMPLERS)
def test_any_target_gives_the_same_samples(name, target):
    """What a network gives is folded into the numbers of the table."""
    path = build_path("cosine")
    table = build_table(
        name, path.levels(12), middle=lambda s, t: path.level((s.time + t.time) / 2)
    )
    best, m = normal_estimate(MEAN, VARIANCE), build_target(target)

    def network(x, level):
        p, q = m.linear(level)
        return (best(x, level) - p * x) / q

    x = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    told = run(best, x, table, generator=torch.Generator().manual_seed(5))
    found = run(network, x, table, target=m, generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(found, told, rtol=1e-7, atol=1e-7)
    seen = []
    slow = run(
        network, x, table, target=m, generator=torch.Generator().manual_seed(5),
        observe=lambda x, D, row: seen.append((D, row)),
    )  # fmt: skip
    torch.testing.assert_close(slow, told, rtol=1e-7, atol=1e-7)
    assert len(seen) == len(table.rows)


@pytest.mark.parametrize(
    ("make", "order"),
    [(ddim, 1), (euler, 1), (heun, 2), (dpm_solver, 2), ("midpoint", 2), ("heun-straight", 2)],
    ids=lambda v: getattr(v, "__name__", str(v)),  # an address is another in each worker
)
def test_orders_of_solvers(make, order):
    """Twice the steps, 2^order less error, on a flow that is far from linear."""
    path = build_path("cosine")
    mixture = Mixture(
        torch.tensor([[-1.0, 0.5], [0.8, -0.2], [0.1, 1.0]]).double(),
        torch.tensor([0.3, 0.2, 0.4]).double(),
        torch.tensor([0.5, 0.3, 0.2]).double(),
    )
    x = torch.randn(64, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def table(levels):
        if make == "midpoint":
            return midpoint(levels, halfway(path))
        if make == "heun-straight":
            return heun(levels, coordinate="straight")
        return make(levels)

    def between(steps):
        return [path.level(0.95 - 0.85 * i / steps) for i in range(steps + 1)]

    fine = run(mixture.estimate, x, heun(between(3000)))
    errors = [
        float((run(mixture.estimate, x, table(between(n))) - fine).square().mean().sqrt())
        for n in (40, 80)
    ]
    assert errors[0] / errors[1] == pytest.approx(2**order, rel=0.25)


def test_euler_is_ddim_without_noise_and_a_straight_step():
    levels = build_path("straight").levels(7)
    for a, b in zip(euler(levels).rows, ddim(levels).rows, strict=True):
        assert a[2:6] == pytest.approx(b[2:6], abs=1e-12)
    x, D = 0.7, -0.2
    for row, (s, t) in zip(euler(levels).rows, pairwise(levels), strict=True):
        velocity = (x - D) / s.time  # eps - D
        assert row.x * x + row.data * D == pytest.approx(x + (t.time - s.time) * velocity)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", SAMPLERS)
def test_a_certain_estimate_is_what_is_sampled(name, path):
    """Where D is one point, every sampler ends there, from the first level of every path."""
    p = build_path(path)
    for steps in (1, 2, 9):
        table = build_table(
            name, p.levels(steps), middle=halfway(p),
            coordinate="straight" if path == "straight" else "ratio",
        )  # fmt: skip
        for row in table.rows:
            assert all(math.isfinite(n) for n in row[2:6]), row
        x = torch.randn(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        found = run(
            lambda x, level: POINT.expand_as(x), x, table,
            generator=torch.Generator().manual_seed(2),
        )  # fmt: skip
        torch.testing.assert_close(found, POINT.expand(2, 3), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", SAMPLERS)
def test_samples_of_a_mixture_have_its_moments(name):
    path = build_path("cosine")
    mixture = Mixture(torch.tensor([[-1.0], [1.0]]).double(), torch.tensor([0.2, 0.2]).double())
    table = build_table(
        name, path.levels(60), middle=lambda s, t: path.level((s.time + t.time) / 2)
    )
    g = torch.Generator().manual_seed(0)
    x = torch.randn(20_000, 1, dtype=torch.float64, generator=g)
    found = run(mixture.estimate, x, table, generator=g)
    assert float(found.mean()) == pytest.approx(0.0, abs=0.04)
    assert float(found.square().mean()) == pytest.approx(1.04, abs=0.03)
    assert float((found.abs() > 0.5).double().mean()) == pytest.approx(0.9876, abs=0.01)


def test_evaluations_are_what_the_docstrings_say():
    levels = build_path("cosine").levels(10)
    middle = halfway(build_path("cosine"))
    counts = {name: build_table(name, levels, middle=middle).evaluations for name in SAMPLERS}
    assert counts["heun"] == 19
    assert counts["midpoint"] == 20
    assert {counts[n] for n in SAMPLERS if n not in ("heun", "midpoint")} == {10}


def test_clipping_keeps_estimates_within_their_range():
    table = ddim(build_schedule("cosine", 100).levels(10))
    seen = []
    run(
        lambda x, level: 3 * x, torch.ones(1, 2), table, clip=1.0,
        observe=lambda x, D, row: seen.append(float(D.abs().max())),
    )  # fmt: skip
    assert max(seen) <= 1.0


def test_repaint_jumps_keep_the_marginals():
    """Down a stretch, up again: what is reached at each level has that level's moments."""
    levels = build_path("vp").levels(40)
    table = resampled(levels, jump=8, times=3)
    assert table.evaluations == 120
    x = torch.randn(50_000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    worst = []

    def check(x, D, row):
        if row.asked is None:
            wanted = 4 * row.reached.alpha**2 + row.reached.sigma**2
            worst.append(abs(float(x.square().mean()) - wanted))

    run(
        lambda x, level: torch.full_like(x, 2.0),
        x,
        table,
        generator=torch.Generator().manual_seed(1),
        observe=check,
    )
    assert len(worst) == 2 * 5
    assert max(worst) < 0.06


def test_bad_input():
    levels = build_path("cosine").levels(4)
    with pytest.raises(UnknownNameError, match=r"dpm\+\+"):
        build_table("dpm+", levels)
    with pytest.raises(ConfigError, match="eta is a setting of the sampler 'ddim', not of 'heun'"):
        build_table("heun", levels, eta=0.5)
    with pytest.raises(ConfigError, match=r"eta must be from 0 to 1, got 1.5"):
        build_table("ddim", levels, eta=1.5)
    with pytest.raises(ConfigError, match="between two steps of the chain"):
        build_table("midpoint", levels)
    with pytest.raises(UnknownNameError, match="ratio"):
        heun(levels, coordinate="ratios")


def test_a_row_that_asks_nothing():
    table = Table(
        [Row(None, Level(0.5, 0.6, 0.8), 2.0), Row(Level(0.5, 0.6, 0.8), CLEAN, 0.0, 1.0)]
    )
    assert table.evaluations == 1
    out = run(lambda x, level: x, torch.ones(1, 1), table)
    assert float(out) == 2.0
    assert log_snr(CLEAN) == math.inf
