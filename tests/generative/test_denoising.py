"""Denoising autoencoder: the conditional mean, the score, digits, inpainting."""

import math

import pytest
import torch

from phosphene import data
from phosphene.core.batch import Batch, Noise
from phosphene.core.context import Context
from phosphene.core.errors import ConfigError, EventError
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.autoencoder.denoising import DenoisingAutoencoder
from phosphene.proofs.fitting import fit

S = torch.tensor([[1.0, 0.5, 0.0], [0.5, 0.8, -0.2], [0.0, -0.2, 0.4]], dtype=torch.float64)
M = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)


def whitened(x, against):
    """x made to have mean 0, covariance I and no correlation with ``against`` in this sample."""
    fixed = torch.cat((torch.ones(len(x), 1), against), 1).double()
    q = torch.linalg.qr(torch.cat((fixed, x), 1))[0][:, fixed.shape[1] :]
    return q * len(x) ** 0.5


def gaussian(n=64):
    """Points whose sample mean and covariance are exactly M and S."""
    x = torch.randn(n, 3, generator=generator(0), dtype=torch.float64)
    return M + whitened(x, x[:, :0]) @ torch.linalg.cholesky(S).T


class ExactNoise(Noise):
    """Noise with the moments of N(0, I) in the sample, uncorrelated with the data.

    The loss of a linear model depends on second moments only, so it is then its own expectation.
    """

    def normal(self, shape, device="cpu"):
        x = gaussian(self.n)
        eps = torch.randn(self.n, *shape, generator=generator(9), dtype=torch.float64)
        return whitened(eps, x)


@pytest.fixture(scope="module")
def linear():
    """A linear denoising autoencoder with an overcomplete code, trained on Gaussian data."""
    with seeded(0):
        model = DenoisingAutoencoder(Event.real(3), sigma=0.5, latent_dim=6, hidden=()).double()
    x = gaussian()
    batch = Batch(x, torch.arange(64), Context(), ExactNoise((0,), 0, 64))
    model.prepare(batch)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=500, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        total = model.loss(batch).total
        total.backward()
        return total

    optimizer.step(closure)
    return model


def test_linear_model_is_the_conditional_mean(linear):
    gain = S @ torch.linalg.inv(S + 0.25 * torch.eye(3))
    noisy = M + 2 * torch.randn(50, 3, generator=generator(1), dtype=torch.float64)
    offset = linear.denoise(M[None])[0] - M
    basis = torch.eye(3, dtype=torch.float64)
    found = (linear.denoise(M + basis) - linear.denoise(M[None])).T
    assert offset.abs().max() < 1e-3
    assert (found - gain).abs().max() < 1e-3
    expected = M + (noisy - M) @ gain.T
    assert (linear.denoise(noisy) - expected).abs().max() < 1e-3


def test_score_is_that_of_the_noisy_density(linear):
    noisy = M + torch.randn(50, 3, generator=generator(2), dtype=torch.float64)
    density = torch.distributions.MultivariateNormal(M, S + 0.25 * torch.eye(3).double())
    at = noisy.clone().requires_grad_()
    density.log_prob(at).sum().backward()
    assert (linear.score(noisy) - at.grad).abs().max() < 1e-3


def digits():
    return data.load("digits", "train"), data.load("digits", "test")


def psnr(x, truth):
    return -10 * math.log10(float(((x - truth) / 16).square().mean()))


@pytest.fixture(scope="module")
def denoiser():
    train, _ = digits()
    with seeded(0):
        model = DenoisingAutoencoder(train.event, sigma=0.25, hidden=(256,), latent_dim=128)
    return fit(model, train.x, steps=300, lr=4e-3, batch_size=128, cosine=True)


def test_denoised_digits_gain_four_decibels(denoiser):
    _, test = digits()
    noisy = denoiser.corrupt(test.x, generator(5))
    assert psnr(noisy, test.x) == pytest.approx(-20 * math.log10(0.25), abs=0.1)
    with torch.no_grad():
        assert psnr(denoiser.denoise(noisy), test.x) >= psnr(noisy, test.x) + 4


def test_inpainting_beats_the_mean():
    train, test = digits()
    with seeded(0):
        model = DenoisingAutoencoder(train.event, noise="masking", masked=0.4, hidden=(256,))
    fit(model, train.x, steps=300, lr=4e-3, batch_size=128, cosine=True)
    mask = torch.rand(test.x.shape, generator=generator(6)) > 0.4
    filled = model.inpaint(test.x, mask)
    test.event.check(filled)
    assert torch.equal(filled[mask], test.x[mask])
    mean = train.x.float().mean(0).expand(test.x.shape)
    truth = test.x[~mask].float()
    error = (filled[~mask].float() - truth).square().mean()
    assert error < 0.6 * (mean[~mask] - truth).square().mean()


def test_iterated_projection_beats_the_mean_without_ever_seeing_a_hole(denoiser):
    train, test = digits()
    mask = torch.rand(test.x.shape, generator=generator(6)) > 0.3
    filled = denoiser.inpaint(test.x, mask)
    mean = train.x.float().mean(0).expand(test.x.shape)
    truth = test.x[~mask].float()
    error = (filled[~mask].float() - truth).square().mean()
    assert error < (mean[~mask] - truth).square().mean()


def test_inpainting_gaussian_data_moves_toward_the_conditional_mean(linear):
    x = gaussian()
    mask = torch.tensor([True, False, True])
    filled = linear.inpaint(x, mask)
    assert torch.equal(filled[:, mask], x[:, mask])
    error = (filled - x)[:, 1].square().mean()
    assert error < 0.8 * S[1, 1]


@pytest.mark.parametrize("noise", ["gaussian", "masking"])
@pytest.mark.parametrize(
    "event",
    [Event.binary(6), Event.image(2, 6), Event.real(2, 3), Event.audio(7, levels=1000)],
    ids=str,
)
def test_noise_comes_from_the_batch_and_every_parameter_learns(event, noise):
    with seeded(0):
        model = DenoisingAutoencoder(event, noise=noise, dropout=0.1)
    g = generator(0)
    shape = (8, *event.shape)
    x = torch.randn(shape, generator=g) if event.levels is None else None
    x = torch.randint(event.levels, shape, generator=g) if x is None else x
    model.prepare(Batch.of(x))
    first = model.loss(Batch.of(x, seed=1))
    assert torch.equal(first.total, model.loss(Batch.of(x, seed=1)).total)
    assert not torch.equal(first.total, model.loss(Batch.of(x, seed=2)).total)
    first.total.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    halves = [model.loss(Batch.of(x, seed=1)[part]).total for part in (slice(0, 4), slice(4, 8))]
    assert torch.allclose(first.total, sum(halves) / 2, rtol=1e-5)
    filled = model.inpaint(x, torch.zeros(shape, dtype=torch.bool))
    event.check(filled)
    assert torch.equal(model.inpaint(x, torch.ones(shape, dtype=torch.bool)), x.to(filled.dtype))


def test_masking_hides_the_stated_part():
    model = DenoisingAutoencoder(Event.binary(4000), noise="masking", masked=0.3, hidden=(2,))
    hidden = model.corrupt(torch.ones(5, 4000), generator(0)) == 0.5
    assert float(hidden.float().mean()) == pytest.approx(0.3, abs=0.02)


def test_score_exists_only_for_densities():
    assert hasattr(DenoisingAutoencoder(Event.real(2)), "score")
    assert not hasattr(DenoisingAutoencoder(Event.real(2), noise="masking"), "score")
    with pytest.raises(AttributeError, match="score is that of a density"):
        DenoisingAutoencoder(Event.binary(2)).score(torch.zeros(1, 2))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"noise": "salt"}, "'gaussian' or 'masking', got 'salt'"),
        ({"sigma": 0.0}, "sigma must be above 0"),
        ({"masked": 1.0}, "masked must be above 0 and below 1, got 1.0"),
        ({"latent_dim": -1}, "latent_dim must be at least 1"),
    ],
)
def test_bad_settings(settings, words):
    with pytest.raises(ConfigError, match=words):
        DenoisingAutoencoder(Event.binary(6), **settings)


def test_bad_data():
    model = DenoisingAutoencoder(Event.real(2))
    x = torch.zeros(3, 2)
    with pytest.raises(EventError, match="NaN or infinite"):
        model.denoise(x * float("nan"))
    with pytest.raises(EventError, match="expected a batch of shape"):
        model.denoise(torch.zeros(3, 4))
    with pytest.raises(EventError, match="a mask is boolean"):
        model.inpaint(x, torch.zeros(3, 2))
    with pytest.raises(EventError, match="does not fit examples"):
        model.inpaint(x, torch.zeros(2, 2, dtype=torch.bool))
    with pytest.raises(EventError, match="NaN or infinite"):
        model.inpaint(x + float("nan"), torch.ones(3, 2, dtype=torch.bool))
    with_holes = torch.tensor([[1.0, float("nan")]])
    filled = model.inpaint(with_holes, torch.tensor([[True, False]]))
    assert filled.isfinite().all()
