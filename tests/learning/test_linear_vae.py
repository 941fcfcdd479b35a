"""The linear VAE against probabilistic PCA: closed forms in float64, training to the optimum."""

import math

import pytest
import torch
from torch.distributions import MultivariateNormal

from phosphene.core.batch import Batch
from phosphene.core.context import ContextSpec
from phosphene.core.errors import ConfigError, EventError
from phosphene.core.event import Event
from phosphene.core.rng import seeded
from phosphene.generative.autoencoder.linear_vae import LinearVAE

D, K = 6, 3


def data(n=400, seed=0):
    """Gaussian data with spread eigenvalues and a mean."""
    g = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(D, D, generator=g, dtype=torch.float64))[0]
    scale = torch.tensor([3.0, 2.0, 1.5, 1.0, 0.7, 0.5], dtype=torch.float64)
    z = torch.randn(n, D, generator=g, dtype=torch.float64)
    return z * scale @ basis.T + 2.0


def eigenvalues(x):
    return torch.linalg.eigvalsh(torch.cov(x.T, correction=0)).flip(0)


def build(seed=0, **settings):
    with seeded(seed):
        return LinearVAE(Event.real(D), **{"latent_dim": K, **settings}).double()


def trained(x, steps=60, **settings):
    """To the optimum, by L-BFGS on the whole data set."""
    model = build(**settings)
    batch = Batch.of(x)
    model.prepare(batch)
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=20, line_search_fn="strong_wolfe", tolerance_grad=1e-10
    )

    def closure():
        optimizer.zero_grad()
        total = model.loss(batch).total
        total.backward()
        return total

    for _ in range(steps):
        optimizer.step(closure)
    return model


def tipping_bishop(lambdas, k):
    """Log-likelihood per example of the maximum-likelihood probabilistic PCA."""
    d = len(lambdas)
    sigma2 = lambdas[k:].mean()
    log_det = lambdas[:k].log().sum() + (d - k) * sigma2.log()
    return -0.5 * (d * math.log(2 * math.pi) + log_det + d), sigma2


@pytest.fixture(scope="module")
def x():
    return data()


@pytest.fixture(scope="module")
def optimum(x):
    return trained(x)


def test_log_prob_is_the_gaussians(x):
    model = build()
    model.prepare(Batch.of(x))
    covariance = model.W @ model.W.T + model.sigma2 * torch.eye(D).double()
    theirs = MultivariateNormal(model.b, covariance).log_prob(x)
    torch.testing.assert_close(model.log_prob(x), theirs, atol=1e-10, rtol=0)


def test_elbo_is_below_and_the_gap_is_the_divergence(x):
    for covariance in ("diagonal", "full"):
        model = build(covariance=covariance)
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.1 * torch.randn(p.shape, dtype=p.dtype))
        elbo, exact = model.elbo(x), model.log_prob(x)
        assert (elbo <= exact).all()
        torch.testing.assert_close(elbo + model.gap(x), exact, atol=1e-9, rtol=0)


def test_elbo_is_exact_when_q_is_the_posterior(x):
    model = build(covariance="full")
    model.prepare(Batch.of(x))
    with torch.no_grad():
        root = torch.linalg.cholesky(model.true_posterior(x)[1])
        model.log_std.copy_(root.diagonal().log())
        model.lower.copy_(root)
        eye = model.sigma2 * torch.eye(K).double()
        V = torch.linalg.inv(model.W.T @ model.W + eye) @ model.W.T
        model.encoding.copy_(V * model.unit)
    torch.testing.assert_close(model.elbo(x), model.log_prob(x), atol=1e-10, rtol=0)
    # Then every importance weight is p(x) itself.
    torch.testing.assert_close(model.elbo(x, particles=3), model.log_prob(x), atol=1e-10, rtol=0)


def test_bounds_are_in_order(x):
    model = build()
    model.prepare(Batch.of(x))
    x = x[:40]
    with torch.no_grad():
        means, errors = [], []
        for particles in (10, 1000):
            g = torch.Generator().manual_seed(particles)
            rounds = torch.stack([
                model.elbo(x, particles=particles, generator=g).mean() for _ in range(20)
            ])  # fmt: skip
            means.append(float(rounds.mean()))
            errors.append(float(rounds.std()) / math.sqrt(20))
        elbo, exact = float(model.elbo(x).mean()), float(model.log_prob(x).mean())
    assert elbo < means[0] + 4 * errors[0]
    assert means[0] < means[1] + 4 * errors[1]
    assert means[1] < exact + 4 * errors[1]
    assert exact - means[1] < 0.1 * (exact - elbo)


def test_training_reaches_the_tipping_bishop_optimum(x, optimum):
    lambdas = eigenvalues(x)
    best, sigma2 = tipping_bishop(lambdas, K)
    with torch.no_grad():
        assert abs(float(optimum.log_prob(x).mean() - best)) < 1e-6
        assert abs(float(optimum.elbo(x).mean() - best)) < 1e-6
        assert abs(float(optimum.sigma2 - sigma2)) < 1e-4
    found = torch.linalg.svdvals(optimum.W).square()
    torch.testing.assert_close(found, lambdas[:K] - sigma2, atol=1e-3, rtol=0)


def test_columns_are_the_principal_axes(x, optimum):
    """With a diagonal posterior covariance the decoder's columns are orthogonal."""
    W = optimum.W.detach()
    gram = W.T @ W
    assert (gram - gram.diagonal().diag()).abs().max() < 1e-2
    eigenvectors = torch.linalg.eigh(torch.cov(x.T, correction=0))[1].flip(1)[:, :K]
    cosines = (W / W.norm(dim=0)).T @ eigenvectors
    assert cosines.abs().amax(1).min() > 0.9999


def test_ordinary_minibatch_training_comes_within_a_hundredth_of_a_nat(x):
    model = build().float()
    batches = [Batch.of(x.float()[i * 100 : (i + 1) * 100]) for i in range(4)]
    model.prepare(Batch.of(x.float()))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 800)
    for step in range(800):
        optimizer.zero_grad()
        model.loss(batches[step % 4]).total.backward()
        optimizer.step()
        schedule.step()
    best, _ = tipping_bishop(eigenvalues(x), K)
    assert abs(float(model.log_prob(x.float()).detach().mean()) - float(best)) < 0.01


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0, 5.0])
def test_beta_is_a_threshold_on_the_eigenvalues(x, beta):
    """s_i(W)^2 = max(lambda_i - beta sigma^2, 0), and the KL that follows from it."""
    sigma2 = 0.5
    lambdas = eigenvalues(x)
    model = trained(x, sigma=math.sqrt(sigma2), beta=beta, latent_dim=D)
    expected = (lambdas - beta * sigma2).clamp(min=0)
    found = torch.linalg.svdvals(model.W).square()
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)
    rate = 0.5 * (lambdas / (beta * sigma2)).log().clamp(min=0).sum()
    terms = model.loss(Batch.of(x)).terms
    torch.testing.assert_close(terms["kl"].mean(), rate, atol=1e-3, rtol=0)
    torch.testing.assert_close(terms["elbo"], terms["reconstruction"] - terms["kl"])


def test_samples_have_the_models_moments(optimum):
    z = optimum.sample(50_000, generator=torch.Generator().manual_seed(0))
    covariance = optimum.W @ optimum.W.T + optimum.sigma2 * torch.eye(D).double()
    torch.testing.assert_close(torch.cov(z.T), covariance.detach(), atol=0.2, rtol=0)
    torch.testing.assert_close(z.mean(0), optimum.b.detach(), atol=0.06, rtol=0)


def test_the_unit_of_the_data_does_not_matter(x):
    a, b = trained(x, steps=20), trained(x * 1000, steps=20)
    shift = D * math.log(1000.0)
    ours = b.log_prob(x * 1000) + shift
    torch.testing.assert_close(ours, a.log_prob(x), atol=1e-3, rtol=0)


def test_encoder_and_decoder_share_no_memory():
    for k in (1, 2):
        model = LinearVAE(Event.real(3), latent_dim=k)
        assert model.weight.data_ptr() != model.encoding.data_ptr()
        assert all(p.is_contiguous() for p in model.parameters())


def test_images_are_flattened():
    model = LinearVAE(Event.real(1, 3, 2))
    x = torch.randn(4, 1, 3, 2)
    assert model.reconstruct(x).shape == x.shape
    assert model.sample(5).shape == (5, 1, 3, 2)
    assert model.posterior(x)[1].shape == (4, 2)


@pytest.mark.parametrize(
    ("make", "error", "word"),
    [
        (lambda: LinearVAE(Event.image(1, 8)), EventError, "vae"),
        (lambda: LinearVAE(Event.real(2), context=ContextSpec(label=2)), EventError, "label"),
        (lambda: LinearVAE(Event.real(2), latent_dim=3), ConfigError, "1..2"),
        (lambda: LinearVAE(Event.real(2), sigma=0.0), ConfigError, "sigma"),
        (lambda: LinearVAE(Event.real(2), beta=0.0), ConfigError, "beta"),
        (lambda: LinearVAE(Event.real(2), covariance="low"), ConfigError, "covariance"),
        (lambda: LinearVAE(Event.real(2)).elbo(torch.zeros(1, 2), particles=0), ConfigError, "par"),
        (lambda: LinearVAE(Event.real(2)).log_prob(torch.zeros(1, 3)), EventError, "shape"),
    ],
)
def test_bad_settings_are_refused(make, error, word):
    with pytest.raises(error, match=word):
        make()
