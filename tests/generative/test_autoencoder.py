"""Autoencoder: better than PCA at the same size of code; no samples before a prior."""

import pytest
import torch

from phosphene import data
from phosphene.core.batch import Batch
from phosphene.core.context import ContextSpec
from phosphene.core.errors import ConfigError, DataError, EventError
from phosphene.core.event import Event
from phosphene.core.protocols import Encodes, Samples
from phosphene.core.rng import generator, seeded
from phosphene.core.trainable import load_tensors, tensors
from phosphene.generative.autoencoder.autoencoder import Autoencoder
from phosphene.generative.autoencoder.layers.scaling import Scaling
from phosphene.proofs.fitting import fit

EVENTS = [Event.binary(6), Event.image(1, 8, levels=2), Event.image(3, (6, 5)), Event.real(2, 3)]


def examples(event, n=6, seed=0):
    g = generator(seed)
    if event.levels is None:
        return torch.randn(n, *event.shape, generator=g)
    return torch.randint(event.levels, (n, *event.shape), generator=g)


def pca_error(train, test, k):
    mean = train.mean(0)
    _, _, v = torch.linalg.svd(train - mean, full_matrices=False)
    centered = test - mean
    return (centered - centered @ v[:k].T @ v[:k]).square().sum(1).mean()


def test_nonlinear_autoencoder_beats_pca_on_digits():
    train, test = data.load("digits", "train"), data.load("digits", "test")
    pca = pca_error(train.x.flatten(1) / 16, test.x.flatten(1) / 16, 8)
    with seeded(0):
        model = Autoencoder(train.event, latent_dim=8, hidden=(128, 64), activation="silu")
    fit(model, train.x, steps=300, lr=4e-3, batch_size=128, cosine=True)
    error = model.squared_error(test.x).detach().mean()
    assert error < 0.75 * pca


@pytest.mark.parametrize("event", EVENTS, ids=str)
@pytest.mark.parametrize("network", ["mlp", "conv", "resnet"])
def test_every_network_on_every_event_it_takes(event, network):
    if network != "mlp" and not event.has_image_shape:
        with pytest.raises(ConfigError, match="needs an image event"):
            Autoencoder(event, network=network)
        return
    model = Autoencoder(event, network=network, latent_dim=3, dropout=0.1)
    batch = Batch.of(examples(event))
    model.prepare(batch)
    loss = model.loss(batch)
    loss.total.backward()
    assert loss.total.ndim == 0
    assert loss.terms["squared_error"].shape == (6,)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert model.encode(batch.x).shape == (6, 3)
    assert model.reconstruct(batch.x).shape == batch.x.shape
    assert isinstance(model, Encodes)


def test_squared_error_is_on_the_scale_of_the_event():
    for event in EVENTS:
        model, x = Autoencoder(event), examples(event)
        model.prepare(Batch.of(x))
        unit = 1.0 if event.levels is None else 1.0 / (event.levels - 1)
        model._codes = model.scaling.denormalize  # without holding codes in their range
        gap = (model.reconstruct(x) - x) * unit
        assert torch.allclose(model.squared_error(x), gap.flatten(1).square().sum(1), rtol=1e-4)


def test_real_data_of_any_unit():
    x = examples(Event.real(5), 64)
    with seeded(0):
        small = Autoencoder(Event.real(5), latent_dim=2)
    with seeded(0):
        large = Autoencoder(Event.real(5), latent_dim=2)
    small.prepare(Batch.of(x))
    large.prepare(Batch.of(1000 * x + 5e4))
    ratio = large.squared_error(1000 * x + 5e4) / small.squared_error(x)
    assert torch.allclose(ratio, torch.full((64,), 1e6), rtol=1e-2)


@pytest.mark.parametrize("event", EVENTS, ids=str)
def test_scaling_inverts(event):
    scaling = Scaling(event)
    x = examples(event)
    scaling.fit(x)
    y = scaling.normalize(x)
    assert y.abs().max() < 10
    assert torch.allclose(scaling.denormalize(y), x.float(), atol=1e-4)


def test_no_samples_before_a_prior():
    model = Autoencoder(Event.binary(6), latent_dim=2, prior_components=3)
    assert not hasattr(model, "sample")
    with pytest.raises(AttributeError, match="call fit_prior"):
        model.sample(3)
    assert model.likelihood == "none"
    assert not hasattr(model, "log_prob")
    model.fit_prior(model.encode(examples(model.event, 50)).detach())
    assert isinstance(model, Samples)


@pytest.mark.parametrize("kind", ["normal", "mixture"])
@pytest.mark.parametrize("event", EVENTS, ids=str)
def test_samples_are_in_the_support_and_saved_with_the_prior(event, kind):
    model = Autoencoder(event, latent_dim=2, prior_components=3)
    model.fit_prior(model.encode(examples(event, 50)).detach(), kind=kind)
    drawn = model.sample(20, generator=generator(1))
    event.check(drawn)
    assert torch.equal(drawn, model.sample(20, generator=generator(1)))
    other = Autoencoder(event, latent_dim=2, prior_components=3)
    load_tensors(other, tensors(model), "test")
    assert torch.equal(drawn, other.sample(20, generator=generator(1)))


def test_prior_has_the_moments_of_the_codes():
    model = Autoencoder(Event.real(4), latent_dim=2)
    z = torch.randn(2000, 2, generator=generator(3)) @ torch.tensor([[2.0, 1.0], [0.0, 0.5]]) + 3
    model.fit_prior(z, kind="normal")
    assert torch.allclose(model.prior.means[0].float(), z.mean(0), atol=1e-4)
    assert torch.allclose(
        model.prior.covariances[0].float(), torch.cov(z.T, correction=0), atol=1e-3
    )
    drawn = model.prior.sample(20000, generator(0))
    assert torch.allclose(torch.cov(drawn.T), torch.cov(z.T), atol=0.15)


@pytest.mark.parametrize(
    ("event", "settings", "error", "words"),
    [
        (Event.tokens(5, 7), {}, EventError, "no order"),
        (Event.binary(6), {"context": ContextSpec(label=3)}, EventError, "takes no context"),
        (Event.binary(6), {"latent_dim": 0}, ConfigError, "latent_dim must be at least 1"),
        (Event.binary(6), {"network": "mpl"}, ValueError, "did you mean 'mlp'"),
        (Event.binary(6), {"hidden": (0,)}, ConfigError, "hidden widths"),
        (Event.binary(6), {"activation": "rellu"}, ValueError, "did you mean 'relu'"),
        (Event.binary(6), {"dropout": 1.0}, ConfigError, "dropout"),
        (Event.binary(6), {"prior_components": 0}, ConfigError, "prior_components"),
    ],
)
def test_bad_settings(event, settings, error, words):
    with pytest.raises(error, match=words):
        Autoencoder(event, **settings)


def test_bad_data():
    model = Autoencoder(Event.binary(6), latent_dim=2)
    with pytest.raises(EventError, match="codes must lie in"):
        model.encode(torch.full((2, 6), 3))
    with pytest.raises(EventError, match="expected a batch of shape"):
        model.squared_error(torch.zeros(2, 5))
    with pytest.raises(DataError, match="latents"):
        model.fit_prior(torch.zeros(3, 2))
    with pytest.raises(ConfigError, match="at most prior_components=10"):
        model.fit_prior(torch.zeros(99, 2), components=11)
