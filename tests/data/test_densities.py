"""Known densities: they integrate to one, and they are the densities of their samples."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

import phosphene as ph
from phosphene.data.densities import density

NAMES = ("moons", "ring8", "grid25", "checkerboard", "spirals")
CURVES = ("moons", "spirals")
CELLS, RADIUS = 20, 3.0


def cell_masses(name: str) -> torch.Tensor:
    """The probability of each cell of a CELLS x CELLS grid over [-RADIUS, RADIUS]^2."""
    fine = 10 if name in CURVES else 24  # points per cell and axis; curves are wider and slower
    n = CELLS * fine
    t = ((torch.arange(n, dtype=torch.float64) + 0.5) / n * 2 - 1) * RADIUS
    points = torch.cartesian_prod(t, t)
    mass = density(name).log_prob(points).exp() * (2 * RADIUS / n) ** 2
    return mass.view(CELLS, fine, CELLS, fine).sum((1, 3))


@pytest.mark.parametrize("name", NAMES)
def test_integrates_to_one_and_fits_the_histogram(name: str) -> None:
    mass = cell_masses(name)
    # The board's edges cut grid cells; the midpoint rule is exact to rounding for the smooth ones.
    assert mass.sum().item() == pytest.approx(1, abs=1e-2 if name == "checkerboard" else 1e-6)
    x = ph.data.load(name).x
    cell = ((x + RADIUS) / (2 * RADIUS) * CELLS).floor().long()
    assert ((cell >= 0) & (cell < CELLS)).all()
    seen = torch.bincount(cell[:, 0] * CELLS + cell[:, 1], minlength=CELLS**2).double()
    want = mass.flatten() * len(x)
    usual = want > 5
    chi2 = ((seen - want)[usual] ** 2 / want[usual]).sum() / usual.sum()
    tolerance = 4 * math.sqrt(2 / int(usual.sum()))
    if name == "checkerboard":  # cells that an edge cuts have a mass known to a few percent only
        tolerance += 1.0
    assert chi2 < 1 + tolerance
    assert seen[want < 1e-3].sum() <= 2


@pytest.mark.parametrize("name", NAMES)
def test_entropy_is_the_mean_of_the_samples(name: str) -> None:
    data = ph.data.load(name)
    assert data.log_prob is not None
    log_p = data.log_prob(data.x).double()
    assert torch.isfinite(log_p).all()
    if name == "checkerboard":
        entropy = math.log(8 * (math.sqrt(3) / 2) ** 2)
    else:
        t = torch.linspace(-3, 3, 201 if name in CURVES else 801, dtype=torch.float64)
        grid = density(name).log_prob(torch.cartesian_prod(t, t))
        entropy = -(grid.exp() * grid).sum().item() * (t[1] - t[0]).item() ** 2
    error = log_p.std().item() / math.sqrt(len(log_p))
    assert -log_p.mean().item() == pytest.approx(entropy, abs=4 * error + 1e-5)


@pytest.mark.parametrize("name", CURVES)
def test_curves_agree_with_adaptive_quadrature(name: str) -> None:
    integrate = pytest.importorskip("scipy.integrate")
    law = density(name)
    end = math.pi if name == "moons" else 3 * math.pi
    spread = math.sqrt(0.02) if name == "moons" else 0.1

    def arm(t: float) -> np.ndarray:
        if name == "moons":
            return math.sqrt(2) * np.array([math.cos(t) - 0.5, math.sin(t) - 0.25])
        return 2 * t / end * np.array([math.cos(t), math.sin(t)])

    def weight(t: float) -> float:
        return 1 / end if name == "moons" else 2 * t / end**2

    def exact(x: np.ndarray) -> float:
        def integrand(t: float) -> float:
            near = sum(math.exp(-0.5 * ((x - s * arm(t)) ** 2).sum() / spread**2) for s in (1, -1))
            return weight(t) * near / 2 / (2 * math.pi * spread**2)

        parts = np.linspace(0, end, 13)
        pieces = [
            integrate.quad(integrand, a, b, epsabs=0, epsrel=1e-10)[0] for a, b in pairwise(parts)
        ]
        return math.log(sum(pieces))

    random = np.random.RandomState(3)
    x = np.concatenate([law.sample(8, random), random.uniform(-2.5, 2.5, (8, 2))])
    ours = law.log_prob(torch.from_numpy(x))
    for row, value in zip(x, ours, strict=True):
        assert value.item() == pytest.approx(exact(row), abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_scale_is_about_one(name: str) -> None:
    x = ph.data.load(name).x
    assert x.mean(0).abs().max() < 0.05
    assert x.std().item() == pytest.approx(1, abs=0.03)


def test_checkerboard_is_minus_infinity_off_the_board() -> None:
    law = density("checkerboard")
    side = math.sqrt(3) / 2
    x = torch.tensor([[side / 2, side / 2], [side / 2, -side / 2], [2.0, 0.1], [0.1, -9.0]])
    assert law.log_prob(x).isfinite().tolist() == [True, False, False, False]


def test_log_prob_has_gradients_for_scores() -> None:
    x = torch.tensor([[math.sqrt(2) + 0.05, 0.0]], dtype=torch.float64, requires_grad=True)
    (score,) = torch.autograd.grad(density("ring8").log_prob(x).sum(), x)
    torch.testing.assert_close(score, torch.tensor([[-5.0, 0.0]], dtype=torch.float64))


def test_heavy_tails_have_the_density_of_their_samples() -> None:
    stats = pytest.importorskip("scipy.stats")
    law, x = density("heavy-tails"), ph.data.load("heavy-tails", "train").x.double()
    assert torch.isfinite(law.log_prob(x)).all()
    first, second = x.unbind(1)
    straight = torch.stack((first, second - (1 + first**2).sqrt() + 1), 1) / 0.4
    exact = stats.t(2).logpdf(straight.numpy()).sum(1) - 2 * math.log(0.4)
    assert np.abs(law.log_prob(x).numpy() - exact).max() < 1e-10
    for column in straight.T:
        assert stats.kstest(column.numpy(), stats.t(2).cdf).pvalue > 1e-3
    assert abs(stats.spearmanr(straight[:, 0], straight[:, 1]).statistic) < 0.03
    # The board of the plane: u = t / (1 - t^2) reaches everywhere, and the tails are polynomial.
    t = (torch.arange(801, dtype=torch.float64) + 0.5) / 801 * 2 - 1
    side, slope = t / (1 - t**2), (1 + t**2) / (1 - t**2) ** 2 * (2 / 801)
    grid = torch.cartesian_prod(side, side)
    mass = (law.log_prob(grid).exp() * (slope[:, None] * slope).flatten()).sum()
    assert mass.item() == pytest.approx(1, abs=1e-3)
