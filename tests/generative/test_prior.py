"""A prior fitted to latents: against scikit-learn, closed forms and its own samples."""

import math

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture

from phosphene.core.errors import ConfigError, DataError, PhospheneError
from phosphene.generative.autoencoder import prior as module
from phosphene.generative.autoencoder.prior import LatentPrior


def clusters(n=600, d=3, k=4, seed=0):
    g = torch.Generator().manual_seed(seed)
    centers = 4 * torch.randn(k, d, generator=g, dtype=torch.float64)
    label = torch.randint(k, (n,), generator=g)
    return centers[label] + torch.randn(n, d, generator=g, dtype=torch.float64)


def as_sklearn(prior):
    other = GaussianMixture(len(prior.weights), covariance_type="full")
    other.weights_, other.means_ = prior.weights.numpy(), prior.means.numpy()
    other.covariances_ = prior.covariances.numpy()
    inverse_roots = [np.linalg.inv(r.numpy()).T for r in prior.roots]
    other.precisions_cholesky_ = np.stack(inverse_roots)
    return other


def test_log_prob_equals_scikit_learns_at_the_same_parameters():
    z = clusters()
    prior = LatentPrior.fit(z, "mixture", components=4)
    theirs = torch.from_numpy(as_sklearn(prior).score_samples(z.numpy()))
    torch.testing.assert_close(prior.log_prob(z), theirs, atol=1e-9, rtol=0)
    assert prior.log_prob(z.view(20, 30, 3)).shape == (20, 30)


def test_expectation_maximization_ends_where_scikit_learn_ends():
    """From the same responsibilities, with the same ridge, after the same number of steps."""
    z = clusters()
    start = LatentPrior._maximized(z, module._nearest_center(z, 4, 0), 1e-6)
    theirs = GaussianMixture(
        4,
        tol=1e-9,
        max_iter=500,
        weights_init=start.weights.numpy(),
        means_init=start.means.numpy(),
        precisions_init=np.linalg.inv(start.covariances.numpy()),
    ).fit(z.numpy())
    ridge = 1e-6 / float(z.var(0, correction=0).mean())
    ours = LatentPrior.fit(z, "mixture", 4, tolerance=1e-9, iterations=500, ridge=ridge)
    assert abs(float(ours.log_prob(z).mean()) - theirs.score(z.numpy())) < 1e-6


def test_normal_is_the_maximum_likelihood_gaussian():
    z = clusters(k=1)
    prior = LatentPrior.fit(z, "normal")
    torch.testing.assert_close(prior.means[0], z.mean(0))
    torch.testing.assert_close(
        prior.covariances[0], torch.cov(z.T, correction=0), atol=1e-5, rtol=0
    )
    d = z.shape[1]
    entropy = 0.5 * (d * (1 + math.log(2 * math.pi)) + torch.logdet(prior.covariances[0]))
    assert abs(float(prior.log_prob(z).mean() + entropy)) < 1e-5


def test_more_components_fit_better_and_each_step_helps(monkeypatch):
    z = clusters()
    scores = [float(LatentPrior.fit(z, "mixture", k).log_prob(z).mean()) for k in (1, 2, 4)]
    assert scores == sorted(scores)
    by_steps = [
        float(LatentPrior.fit(z, "mixture", 4, iterations=i, tolerance=0.0).log_prob(z).mean())
        for i in range(6)
    ]
    assert by_steps == sorted(by_steps)


def test_samples_have_the_fitted_moments():
    prior = LatentPrior.fit(clusters(), "mixture", components=4)
    z = prior.sample(40_000, torch.Generator().manual_seed(0)).double()
    mean = (prior.weights[:, None] * prior.means).sum(0)
    second = (prior.weights[:, None, None] * prior.covariances).sum(0)
    second = second + torch.einsum("k,ki,kj->ij", prior.weights, prior.means, prior.means)
    torch.testing.assert_close(z.mean(0), mean, atol=0.1, rtol=0)
    torch.testing.assert_close(z.T @ z / len(z), second, atol=0.4, rtol=0)


def test_same_seed_same_prior():
    z = clusters()
    a, b, c = (LatentPrior.fit(z, "mixture", 6, seed=s) for s in (0, 0, 1))
    assert torch.equal(a.means, b.means)
    assert not torch.equal(a.means, c.means)
    g = [torch.Generator().manual_seed(3) for _ in range(2)]
    assert torch.equal(a.sample(5, g[0]), b.sample(5, g[1]))


def test_is_saved_as_tensors(tmp_path):
    z = clusters()
    prior = LatentPrior.fit(z, "mixture", 3)
    prior.save(tmp_path / "prior.safetensors")
    again = LatentPrior.load(tmp_path / "prior.safetensors")
    assert torch.equal(prior.log_prob(z), again.log_prob(z))


@pytest.mark.parametrize("z", [torch.zeros(50, 2), torch.randn(50, 1).expand(50, 3)])
def test_survives_degenerate_latents(z):
    """Constant or collinear latents: the ridge keeps the covariances invertible."""
    prior = LatentPrior.fit(z, "mixture", 3)
    assert torch.isfinite(prior.log_prob(z)).all()
    assert torch.isfinite(prior.sample(10)).all()


def test_bad_settings_are_refused():
    z = clusters()
    with pytest.raises(PhospheneError, match="did you mean 'mixture'"):
        LatentPrior.fit(z, "mixtures")
    with pytest.raises(ConfigError, match="components"):
        LatentPrior.fit(z, "mixture", 0)
    with pytest.raises(DataError, match="latents"):
        LatentPrior.fit(z[:5], "mixture", 10)
