"""The beta-VAE: what the weight changes, and what it must not change."""

import math

import pytest
import torch

from phosphene.core.batch import Batch
from phosphene.core.errors import ConfigError
from phosphene.core.event import Event
from phosphene.core.rng import seeded
from phosphene.generative.autoencoder.beta_vae import BetaVAE
from phosphene.generative.autoencoder.vae import VAE


def build(cls, **settings):
    with seeded(0):
        return cls(Event.binary(9), latent_dim=3, hidden=(12,), **settings)


def batch():
    g = torch.Generator().manual_seed(0)
    return Batch.of(torch.randint(2, (16, 9), generator=g, dtype=torch.uint8))


def test_beta_one_is_the_vae():
    plain, weighted = build(VAE), build(BetaVAE, beta=1.0)
    assert torch.equal(plain.loss(batch()).total, weighted.loss(batch()).total)


@pytest.mark.parametrize("beta", [0.0, 0.5, 4.0])
def test_only_the_loss_is_weighted(beta):
    model = build(BetaVAE, beta=beta)
    loss = model.loss(batch())
    expected = loss.terms["reconstruction"] - beta * loss.terms["kl"]
    torch.testing.assert_close(-loss.total, expected.mean())
    torch.testing.assert_close(loss.terms["elbo"], loss.terms["reconstruction"] - loss.terms["kl"])
    g = [torch.Generator().manual_seed(1) for _ in range(2)]
    x = batch().x
    assert torch.equal(model.elbo(x, generator=g[0]), build(VAE).elbo(x, generator=g[1]))


def test_warmup_ends_at_beta():
    model = build(BetaVAE, beta=4.0, warmup=10)
    model.kl_weight.fill_(1.0)
    loss = model.loss(batch())
    expected = loss.terms["reconstruction"] - 4.0 * loss.terms["kl"]
    torch.testing.assert_close(-loss.total, expected.mean())


def test_sampled_training_agrees_with_the_closed_form():
    """A linear decoder trained with sampled noise keeps the units above the threshold."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(256, 3, generator=g, dtype=torch.float64) * torch.tensor([2.0, 1.0, 0.4])
    x = x - x.mean(0)
    lambdas = torch.linalg.eigvalsh(torch.cov(x.T, correction=0)).flip(0)
    sigma2, beta = 0.25, 2.0
    with seeded(0):
        model = BetaVAE(
            Event.real(3), beta=beta, latent_dim=3, hidden=(), variance="fixed", sigma=0.5
        ).double()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 600)
    for step in range(600):
        optimizer.zero_grad()
        model.loss(Batch.of(x, seed=step)).total.backward()
        optimizer.step()
        schedule.step()
    W = model.decoder.layers[-1].weight
    found = torch.linalg.svdvals(W.detach()).square()
    expected = (lambdas - beta * sigma2).clamp(min=0)
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0.02)


def test_bad_beta_is_refused():
    for beta in (-1.0, math.nan):
        with pytest.raises(ConfigError, match="beta"):
            build(BetaVAE, beta=beta)
