"""The best estimates and scores of known data, against differentiation and quadrature."""

import math

import torch

from phosphene.generative.diffusion.exact import Mixture, normal_estimate, score
from phosphene.generative.diffusion.level import Level
from phosphene.generative.diffusion.path import build_path

MIXTURE = Mixture(
    torch.tensor([[-1.0, 0.3], [0.5, 1.0], [0.0, -1.0]]).double(),
    torch.tensor([0.1, 0.4, 0.0]).double(),
    torch.tensor([0.2, 0.5, 0.3]).double(),
)


def points(n=20):
    return torch.randn(n, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_the_score_is_the_slope_of_the_log_density():
    for path in ("vp", "edm", "straight"):
        for t in (0.05, 0.5, 0.9):
            level = build_path(path).level(t)
            x = points().requires_grad_()
            (slope,) = torch.autograd.grad(MIXTURE.log_prob(x, level.alpha, level.sigma).sum(), x)
            found = score(MIXTURE.estimate(x, level), x, level)
            torch.testing.assert_close(found, slope, rtol=1e-9, atol=1e-9)


def test_the_estimate_is_the_mean_of_the_data_given_what_is_seen():
    """By quadrature over a grid of x_0, on a line."""
    one = Mixture(torch.tensor([[-1.0], [0.7]]).double(), torch.tensor([0.2, 0.3]).double())
    level, x = build_path("cosine").level(0.6), points()[:, :1]
    grid = torch.linspace(-4, 4, 4001, dtype=torch.float64)
    seen = -((x - level.alpha * grid) ** 2) / (2 * level.sigma**2)
    share = (one.log_prob(grid[:, None]) + seen).softmax(1)
    torch.testing.assert_close(one.estimate(x, level)[:, 0], (share * grid).sum(1))


def test_levels_of_each_example_are_those_of_one():
    path = build_path("cosine")
    t = torch.linspace(0.1, 0.9, 20, dtype=torch.float64)
    x = points()
    together = MIXTURE.estimate(x, path.at(t))
    wide = MIXTURE.estimate(x, Level(*(n[:, None] for n in path.at(t))))
    alone = [MIXTURE.estimate(x[i : i + 1], path.level(float(t[i]))) for i in range(20)]
    torch.testing.assert_close(together, torch.cat(alone))
    torch.testing.assert_close(together, wide)


def test_a_part_of_a_mixture_and_its_density():
    part = MIXTURE.part(torch.tensor([1]))
    x = points()
    normal = -(x - MIXTURE.means[1]).square().sum(1) / (2 * 0.16) - math.log(2 * math.pi * 0.16)
    torch.testing.assert_close(part.log_prob(x), normal)
    level = build_path("cosine").level(0.5)
    alone = torch.stack([normal_estimate(float(m), 0.16)(x[:, i], level)
                         for i, m in enumerate(MIXTURE.means[1])], 1)  # fmt: skip
    torch.testing.assert_close(part.estimate(x, level), alone)
    drawn = part.sample(20_000, torch.Generator().manual_seed(1))
    torch.testing.assert_close(drawn.mean(0), MIXTURE.means[1], rtol=0, atol=0.02)
