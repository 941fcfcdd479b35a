"""The constrained VAE: it meets its KL, with complementary slackness, at the closed form's beta."""

import math

import pytest
import torch

from phosphene.core.batch import Batch
from phosphene.core.errors import ConfigError
from phosphene.core.event import Event
from phosphene.core.rng import seeded
from phosphene.core.trainable import tensors
from phosphene.generative.autoencoder.constrained_vae import ConstrainedVAE

SIGMA = 0.5


class Engine:
    def __init__(self, number=0, other=None):
        self.number, self.other = number, other

    def all_reduce(self, value):
        return value if self.other is None else (value + self.other) / 2


def data():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(256, 3, generator=g, dtype=torch.float64) * torch.tensor([2.0, 1.0, 0.5])
    return x - x.mean(0)


def linear(delta, rate=0.02):
    """Linear encoder and decoder, Gaussian with fixed sigma: the model of the closed form."""
    with seeded(0):
        return ConstrainedVAE(
            Event.real(3),
            delta=delta,
            rate=rate,
            latent_dim=3,
            hidden=(),
            variance="fixed",
            sigma=SIGMA,
        ).double()


def trained(delta, steps=700, rate=0.02):
    model, x = linear(delta, rate), data()
    train, multiplier = model.phases()
    optimizer = torch.optim.Adam(train.parameters, lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        optimizer.zero_grad()
        train.loss(Batch.of(x, seed=step)).total.backward()
        optimizer.step()
        schedule.step()
        report = multiplier.update(Batch.of(x, seed=step), Engine(step))
    return model, report


def closed_form_kl(lambdas, beta):
    return float(0.5 * (lambdas / (beta * SIGMA**2)).log().clamp(min=0).sum())


@pytest.mark.parametrize("delta", [1.0, 3.0])
def test_active_constraint_is_met_at_the_beta_of_the_closed_form(delta):
    model, report = trained(delta)
    assert abs(float(report["kl"]) / delta - 1) < 0.01
    assert float(model.beta) > 0.05
    lambdas = torch.linalg.eigvalsh(torch.cov(data().T, correction=0))
    assert abs(closed_form_kl(lambdas, float(model.beta)) / delta - 1) < 0.01


def test_inactive_constraint_has_no_multiplier():
    """A budget that is never spent: KL < delta, beta ~ 0, and beta (KL - delta) ~ 0."""
    model, report = trained(60.0, rate=0.1)
    assert float(report["kl"]) < 0.9 * 60.0
    assert float(model.beta) < 1e-4
    assert abs(float(report["slackness"])) < 1e-2


def test_multiplier_moves_against_the_violation_and_is_a_buffer():
    model = linear(delta=1e-3)
    _, multiplier = model.phases()
    assert list(multiplier.parameters) == []
    before = float(model.log_beta)
    multiplier.update(Batch.of(data()), Engine())
    assert float(model.log_beta) == pytest.approx(before + model.rate)
    model.delta = 1e3
    multiplier.update(Batch.of(data()), Engine())
    multiplier.update(Batch.of(data()), Engine())
    assert float(model.log_beta) < before
    assert "log_beta" in tensors(model)


def test_ranks_agree_on_the_multiplier():
    """The KL is averaged over ranks before the multiplier moves."""
    x = data()
    whole, ranks = linear(delta=0.3), [linear(delta=0.3) for _ in range(2)]
    _, multiplier = whole.phases()
    report = multiplier.update(Batch.of(x), Engine())
    halves = [x[:128], x[128:]]

    def kl(model, part):
        return model.loss(Batch.of(part)).terms["kl"].mean()

    for i, model in enumerate(ranks):
        other = kl(model, halves[1 - i])
        model.phases()[1].update(Batch.of(halves[i]), Engine(other=other))
        torch.testing.assert_close(model.log_beta, whole.log_beta)
    assert float(report["kl"]) == pytest.approx(float(kl(whole, x)))


def test_loss_is_the_lagrangian_and_elbo_is_unweighted():
    model = linear(delta=1.0)
    model.log_beta.fill_(math.log(3.0))
    loss = model.loss(Batch.of(data()))
    expected = loss.terms["reconstruction"] - 3.0 * loss.terms["kl"]
    torch.testing.assert_close(-loss.total, expected.mean())
    torch.testing.assert_close(loss.terms["elbo"], loss.terms["reconstruction"] - loss.terms["kl"])
    assert float(loss.terms["beta"]) == pytest.approx(3.0)


@pytest.mark.parametrize(("name", "value"), [("delta", 0.0), ("rate", -1.0)])
def test_bad_settings_are_refused(name, value):
    with pytest.raises(ConfigError, match=name):
        ConstrainedVAE(Event.binary(4), **{name: value})
