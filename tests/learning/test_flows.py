"""The default spline flow comes within 0.03 nat of every known density, and a Gaussian does not."""

from pathlib import Path

import pytest
import torch

import phosphene as ph
from phosphene.data.densities import density
from phosphene.evaluate.scores.likelihoods import divergence

PLANE = ("moons", "ring8", "grid25", "checkerboard", "spirals")
NEAR = 0.03
"""Nats between the mean log-density of held-out points and the truth's."""


@pytest.mark.parametrize("data", PLANE)
def test_a_gaussian_is_far_from_each_density(data: str) -> None:
    test = ph.data.load(data, "test")
    normal = torch.distributions.MultivariateNormal(test.x.mean(0), test.x.T.cov())
    assert test.log_prob is not None
    assert float((density(data).log_prob(test.x) - normal.log_prob(test.x)).mean()) > 10 * NEAR


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("data", PLANE)
def test_the_spline_flow_comes_near(data: str, tmp_path: Path) -> None:
    run = ph.train("neural-spline-flow", data=data, folder=tmp_path, name="run")
    found = divergence(run.model, ph.data.load(data, "test"))["kl"]
    print(data, found)
    assert found.value <= NEAR, found
