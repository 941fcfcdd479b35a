"""Linear autoencoder against the closed forms and against scikit-learn's PCA."""

import numpy as np
import pytest
import torch

from phosphene.core.batch import Batch
from phosphene.core.context import ContextSpec
from phosphene.core.errors import ConfigError, EventError
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.autoencoder.linear_autoencoder import LinearAutoencoder, principal_angles


def gaussian(n=400, d=12, seed=0):
    """Correlated data with separated eigenvalues, and its exact eigendecomposition (1/n)."""
    g = generator(seed)
    x = torch.randn(n, d, generator=g, dtype=torch.float64)
    basis = torch.linalg.qr(torch.randn(d, d, generator=g, dtype=torch.float64))[0]
    x = x * torch.linspace(3, 0.3, d, dtype=torch.float64) @ basis.T + 5
    values, vectors = torch.linalg.eigh(torch.cov(x.T, correction=0))
    return x, values.flip(0), vectors.flip(1)


def trained(x, event=None, calls=8, **settings):
    with seeded(0):
        model = LinearAutoencoder(
            event or Event.real(x[0].numel()), optimizer="lbfgs", **settings
        ).double()
    batch = Batch.of(x)
    model.prepare(batch)
    (phase,) = model.phases()
    optimizer = phase.optimizer(phase.parameters)

    def closure():
        optimizer.zero_grad()
        total = phase.loss(batch).total
        total.backward()
        return total

    for _ in range(calls):
        optimizer.step(closure)
    return model


def test_error_is_the_sum_of_the_discarded_eigenvalues():
    x, values, _ = gaussian()
    error = trained(x, latent_dim=4).squared_error(x).detach().mean()
    assert float(error) == pytest.approx(float(values[4:].sum()), rel=1e-6)


def test_span_is_that_of_the_principal_directions():
    x, _, vectors = gaussian()
    model = trained(x, latent_dim=4)
    assert principal_angles(model.subspace(), vectors[:, :4]).max() < 1e-4


def test_agrees_with_sklearn_on_digits():
    pca = pytest.importorskip("sklearn.decomposition").PCA(8)
    pixels = pytest.importorskip("sklearn.datasets").load_digits().data
    reference = pca.fit(pixels / 16)
    x = torch.from_numpy(pixels).reshape(-1, 1, 8, 8)
    model = trained(x, Event.image(1, 8, levels=17), latent_dim=8, calls=12)
    back = reference.inverse_transform(reference.transform(pixels / 16))
    expected = ((pixels / 16 - back) ** 2).sum(1).mean()
    assert float(model.squared_error(x).detach().mean()) == pytest.approx(expected, rel=1e-4)
    span = torch.from_numpy(np.ascontiguousarray(reference.components_.T))
    assert principal_angles(model.subspace(), span).max() < 1e-3
    assert torch.allclose(model.reconstruct(x).flatten(1) / 16, torch.from_numpy(back), atol=1e-2)


def test_regularization_recovers_the_axes():
    x, values, vectors = gaussian()
    l2 = 0.5
    model = trained(x, latent_dim=4, l2=l2, calls=20)
    axes, s = model.axes()
    assert torch.allclose(s.square(), 1 - l2 / values[:4], rtol=1e-5)
    assert torch.allclose((axes * vectors[:, :4]).sum(0).abs(), torch.ones(4).double(), atol=1e-6)
    assert torch.allclose(model.W1.T, model.W2, atol=1e-4)  # encoder = transposed decoder
    assert torch.allclose(l2 / (1 - s.square()), values[:4], rtol=1e-4)


def test_strong_regularization_switches_directions_off():
    x, values, _ = gaussian()
    l2 = float((values[1] + values[2]) / 2)
    _, s = trained(x, latent_dim=4, l2=l2).axes()
    assert torch.allclose(s[:2].square(), 1 - l2 / values[:2], atol=1e-5)
    assert s[2:].max() < 1e-2


def test_without_regularization_the_axes_are_arbitrary():
    x, _, _ = gaussian()
    model = trained(x, latent_dim=4)
    error = model.squared_error(x)
    a = torch.randn(4, 4, generator=generator(7), dtype=torch.float64)
    with torch.no_grad():
        model.W1.copy_(torch.linalg.solve(a, model.W1))
        model.W2.copy_(model.W2 @ a)
    assert torch.allclose(model.squared_error(x), error)


def test_a_code_of_full_size_loses_nothing():
    x, _, _ = gaussian(d=3)
    model = trained(x, latent_dim=8)
    assert model.squared_error(x).max() < 1e-8
    assert model.subspace().shape == (3, 3)


def test_adam_reaches_the_same_error():
    x, values, _ = gaussian()
    with seeded(0):
        model = LinearAutoencoder(Event.real(12), latent_dim=4).double()
    model.prepare(Batch.of(x))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)
    for _ in range(600):
        optimizer.zero_grad()
        model.loss(Batch.of(x)).total.backward()
        optimizer.step()
    assert float(model.squared_error(x).detach().mean()) == pytest.approx(
        float(values[4:].sum()), rel=1e-4
    )


@pytest.mark.parametrize("angle", [1e-9, 1e-5, 0.3, 1.5])
def test_principal_angle_of_a_rotation(angle):
    t = torch.tensor(angle, dtype=torch.float64)
    a = torch.tensor([[1.0], [0.0], [0.0]], dtype=torch.float64)
    b = torch.stack([t.cos(), t.sin(), torch.zeros_like(t)])[:, None]
    assert float(principal_angles(a, b)) == pytest.approx(angle, rel=1e-6)


def test_principal_angles_agree_with_scipy():
    linalg = pytest.importorskip("scipy.linalg")
    a, b = torch.randn(2, 9, 3, generator=generator(1), dtype=torch.float64)
    expected = torch.from_numpy(linalg.subspace_angles(a.numpy(), b.numpy()))
    assert torch.allclose(principal_angles(a, b), expected)


@pytest.mark.parametrize(
    "event",
    [Event.binary(6), Event.image(1, 4), Event.image(3, (2, 3), levels=4), Event.real(2, 3)],
)
def test_shapes_and_every_gradient(event):
    model = LinearAutoencoder(event, latent_dim=3)
    high = event.levels or 2
    x = torch.randint(0, high, (5, *event.shape), generator=generator(0)).to(torch.uint8)
    batch = Batch.of(x if event.discrete else x.float())
    model.prepare(batch)
    model.loss(batch).total.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert model.reconstruct(batch.x).shape == batch.x.shape
    assert model.likelihood == "none"
    assert not hasattr(model, "sample")


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"latent_dim": 0}, ConfigError, "latent_dim must be at least 1, got 0"),
        ({"l2": -1.0}, ConfigError, "l2 must be at least 0"),
        ({"optimizer": "sgd"}, ConfigError, "'lbfgs'"),
        ({"context": ContextSpec(label=3)}, EventError, "takes no context"),
    ],
)
def test_bad_settings(settings, error, words):
    with pytest.raises(error, match=words):
        LinearAutoencoder(Event.binary(6), **{"latent_dim": 2, **settings})
