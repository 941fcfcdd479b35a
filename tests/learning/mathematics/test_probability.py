"""Bayes, Jensen, the best discriminator, the ELBO's divergence, likelihood against quality."""

import math

import pytest
import torch
from scipy.spatial.distance import jensenshannon
from sklearn.neighbors import KernelDensity as PeerDensity

from phosphene.core.errors import ConfigError, DataError
from phosphene.learning.mathematics.bayes import posterior
from phosphene.learning.mathematics.elbo_divergence import (
    expected_log_posterior,
    expected_log_prior,
    negative_divergence,
)
from phosphene.learning.mathematics.jensen import evidence_bound, jensen_gap
from phosphene.learning.mathematics.likelihood_and_quality import KernelDensity, diluted_log_prob
from phosphene.learning.mathematics.optimal_discriminator import (
    discriminator_curvature,
    discriminator_value,
    jensen_shannon,
    optimal_discriminator,
)


def tables(*shape, seed=0):
    g = torch.Generator().manual_seed(seed)
    p = torch.rand(*shape, generator=g, dtype=torch.float64)
    return p / p.sum(-1, keepdim=True)


def test_posterior_is_a_column_of_the_joint_table():
    joint = tables(12).view(3, 4)
    prior = joint.sum(1)
    found = posterior(prior, joint / prior[:, None])
    assert (found - joint / joint.sum(0)).abs().max() < 1e-14


def test_jensen_gap_is_never_negative_and_bounds_the_evidence():
    x = torch.randn(300, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    w = tables(300, 5)
    for f in (torch.square, torch.exp, torch.abs):
        assert (jensen_gap(f, x, w) >= -1e-14).all()
    assert (jensen_gap(torch.log, x.exp(), w) <= 1e-14).all()  # concave
    joint, q = tables(100, 6).log() - 3, tables(100, 6, seed=1).log()
    log_p = torch.logsumexp(joint, 1)
    assert (evidence_bound(joint, q) <= log_p).all()
    assert (evidence_bound(joint, joint - log_p[:, None]) - log_p).abs().max() < 1e-12


def test_the_best_discriminator():
    p, q = tables(50, 10), tables(50, 10, seed=1)
    best = optimal_discriminator(p, q)
    grid = torch.linspace(0.0005, 0.9995, 1000, dtype=torch.float64)
    value = discriminator_value(grid, p[0, :, None], q[0, :, None])
    assert (grid[value.argmax(1)] - best[0]).abs().max() <= 0.0005 + 1e-9
    total = discriminator_value(best, p, q).sum(1)
    assert (total - (2 * jensen_shannon(p, q) - math.log(4))).abs().max() < 1e-12
    peer = jensenshannon(p.numpy(), q.numpy(), axis=1) ** 2
    assert (jensen_shannon(p, q) - torch.from_numpy(peer)).abs().max() < 1e-12
    assert (discriminator_curvature(best, p, q) < 0).all()
    h = 1e-4
    second = (
        sum(c * discriminator_value(best + d, p, q) for c, d in ((1, h), (-2, 0), (1, -h))) / h**2
    )
    inner = (best > 0.1) & (best < 0.9)
    gap = (second / discriminator_curvature(best, p, q) - 1)[inner].abs().max()
    assert gap < 1e-3


def test_the_divergence_in_the_elbo():
    mu, logvar = torch.randn(2, 100, 6, dtype=torch.float64)
    law = torch.distributions.Normal(mu, (logvar / 2).exp())
    assert (expected_log_posterior(logvar) + law.entropy().sum(1)).abs().max() < 1e-12
    peer = torch.distributions.kl_divergence(law, torch.distributions.Normal(0 * mu, 1)).sum(1)
    assert (negative_divergence(mu, logvar) + peer).abs().max() < 1e-12
    difference = expected_log_prior(mu, logvar) - expected_log_posterior(logvar)
    assert (difference - negative_divergence(mu, logvar)).abs().max() < 1e-12


def test_diluting_costs_log_100_at_most():
    log_p, noise = torch.randn(2, 1000, dtype=torch.float64) * 300
    found = diluted_log_prob(log_p, noise)
    assert (log_p - found <= math.log(100) + 1e-9).all()
    assert (found <= torch.maximum(log_p, noise) + 1e-9).all()
    assert torch.equal(diluted_log_prob(log_p, noise, 1.0), log_p)


def test_kernel_density_is_scikit_learns():
    g = torch.Generator().manual_seed(0)
    x, at = torch.randn(2, 40, 3, generator=g, dtype=torch.float64)
    peer = PeerDensity(bandwidth=0.3).fit(x.numpy()).score_samples(at.numpy())
    own = KernelDensity(x, 0.3)
    assert (own.log_prob(at) - torch.from_numpy(peer)).abs().max() < 1e-9
    drawn = own.sample(20_000, g)
    assert (drawn.mean(0) - x.mean(0)).abs().max() < 0.05
    assert torch.cdist(KernelDensity(x, 1e-6).sample(50, g), x).amin(1).max() < 1e-4


@pytest.mark.parametrize(
    ("do", "error", "said"),
    [
        (
            lambda: posterior(torch.tensor([0.5, 0.6]), torch.eye(2)),
            DataError,
            "the prior must not be negative, and sum to 1",
        ),
        (lambda: posterior(torch.ones(3), torch.eye(2)), DataError, r"got \(3,\) and \(2, 2\)"),
        (
            lambda: posterior(torch.tensor([1.0, 0.0]), torch.eye(2)),
            DataError,
            "evidence 1 has probability 0",
        ),
        (
            lambda: jensen_gap(torch.exp, torch.zeros(2), torch.tensor([0.5, 0.6])),
            DataError,
            "must sum to 1",
        ),
        (lambda: diluted_log_prob(torch.zeros(1), torch.zeros(1), 0.0), ConfigError, "got 0.0"),
        (lambda: KernelDensity(torch.zeros(1, 1), 0.0), ConfigError, "width must be above 0"),
    ],
)
def test_bad_input_is_one_sentence(do, error, said):
    with pytest.raises(error, match=said) as found:
        do()
    assert "\n" not in str(found.value)
