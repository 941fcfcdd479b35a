"""Output distributions: they sum to one, agree with oracles, stay finite, and refuse clearly."""

import math

import pytest
import torch
from torch.distributions import Normal

from phosphene.core.errors import ConfigError, EventError, UnknownNameError
from phosphene.core.event import Event
from phosphene.generative.autoencoder.layers.likelihoods import (
    Bernoulli,
    Categorical,
    DiscretizedGaussian,
    DiscretizedLogistic,
    Gaussian,
    build_output,
    normalize_codes,
)

DISCRETE = [
    ("bernoulli", 2),
    ("categorical", 2),
    ("categorical", 7),
    ("discretized-logistic", 2),
    ("discretized-logistic", 17),
    ("discretized-logistic", 256),
    ("discretized-gaussian", 17),
    ("discretized-gaussian", 256),
]
VARIANCES = ["predicted", "per-dimension", "shared", "fixed"]


def params_of(output, n=5, spread=1.5, seed=0, dtype=torch.float64):
    g = torch.Generator().manual_seed(seed)
    shape = (n, output.parameters_per_dimension, *output.event.shape)
    return spread * torch.randn(shape, generator=g, dtype=dtype)


def probabilities(output, params):
    """(levels, n): the probability of each code of a one-dimensional event."""
    levels = output.event.levels
    codes = torch.arange(levels)
    return torch.stack([output.log_prob(params, c.expand(len(params), 1)).exp() for c in codes])


@pytest.mark.parametrize(("name", "levels"), DISCRETE)
@pytest.mark.parametrize("spread", [0.5, 4.0])
def test_sums_to_one_over_codes(name, levels, spread):
    output = build_output(name, Event.audio(1, levels=levels)).double()
    p = probabilities(output, params_of(output, 50, spread))
    torch.testing.assert_close(p.sum(0), torch.ones(50).double(), atol=1e-11, rtol=0)


@pytest.mark.parametrize("variance", VARIANCES)
@pytest.mark.parametrize("name", ["discretized-logistic", "discretized-gaussian"])
def test_every_variance_sums_to_one(name, variance):
    output = build_output(name, Event.audio(1, levels=9), variance=variance).double()
    p = probabilities(output, params_of(output))
    torch.testing.assert_close(p.sum(0), torch.ones(5).double(), atol=1e-12, rtol=0)


@pytest.mark.parametrize("cls", [DiscretizedLogistic, DiscretizedGaussian])
def test_bins_are_differences_of_the_distribution_function(cls):
    output = cls(Event.audio(1, levels=17))
    params = params_of(output, 40)
    mu, inverse = output._on_codes(params)
    p = probabilities(output, params)
    for k in range(17):
        upper = output._cdf((k + 0.5 - mu) * inverse) if k < 16 else torch.ones_like(mu)
        lower = output._cdf((k - 0.5 - mu) * inverse) if k > 0 else torch.zeros_like(mu)
        torch.testing.assert_close(p[k], (upper - lower)[:, 0], atol=1e-13, rtol=1e-9)


@pytest.mark.parametrize(("name", "levels"), DISCRETE)
def test_mean_is_the_expected_code(name, levels):
    output = build_output(name, Event.audio(1, levels=levels)).double()
    params = params_of(output)
    p = probabilities(output, params)
    expected = (p * torch.arange(levels)[:, None]).sum(0)
    torch.testing.assert_close(output.mean(params)[:, 0], expected, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize(("name", "levels"), DISCRETE)
def test_samples_are_codes_with_the_right_frequencies(name, levels):
    if levels > 17:
        pytest.skip("frequencies of 256 codes need many samples")
    output = build_output(name, Event.audio(1, levels=levels))
    params = params_of(output, 1, 0.5).expand(20_000, -1, -1)
    x = output.sample(params, torch.Generator().manual_seed(1))
    assert x.dtype == torch.uint8
    assert int(x.max()) < levels
    p = probabilities(output, params[:1])[:, 0]
    frequency = torch.bincount(x.flatten().long(), minlength=levels) / len(x)
    error = 5 * (p * (1 - p) / len(x)).sqrt() + 1e-4
    assert (torch.abs(frequency - p) < error).all()


def test_samples_above_256_levels_are_int64():
    output = build_output("auto", Event.audio(1, levels=1000))
    assert output.sample(params_of(output, dtype=torch.float32)).dtype == torch.int64


@pytest.mark.parametrize("cls", [DiscretizedLogistic, DiscretizedGaussian])
def test_is_stable_in_float32(cls):
    """Far tails, narrow and wide scales: finite values and gradients, close to float64."""
    output = cls(Event.audio(1, levels=256))
    location = torch.tensor([-5.0, -1.0, -0.3, 0.0, 0.999, 1.0, 5.0])
    log_scale = torch.tensor([-7.5, -4.0, -1.0, 2.0, 7.0])
    params = torch.cartesian_prod(location, log_scale)[:, :, None].requires_grad_()
    for code in (0, 1, 128, 254, 255):
        x = torch.full((len(params), 1), code, dtype=torch.uint8)
        log_p = output.log_prob(params, x)
        exact = output.log_prob(params.double(), x)
        assert torch.isfinite(log_p).all()
        torch.testing.assert_close(log_p.double(), exact, atol=2e-3, rtol=2e-4)
        (gradient,) = torch.autograd.grad(log_p.sum(), params)
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("variance", VARIANCES)
def test_gaussian_is_the_density_of_the_data(variance):
    """Standardization is inside the log-density: it agrees with torch in the data's units."""
    event = Event.real(3)
    output = Gaussian(event, variance, 0.5).double()
    g = torch.Generator().manual_seed(0)
    x = torch.randn(200, 3, generator=g, dtype=torch.float64) * torch.tensor([1e-3, 1.0, 50.0]) + 7
    start = output.fit(x)
    params = start[None] + 0.3 * params_of(output, 200)
    mu, log_sigma = output._split(params)
    theirs = Normal(output.shift + output.scale * mu, output.scale * log_sigma.exp())
    torch.testing.assert_close(output.log_prob(params, x), theirs.log_prob(x).sum(1))
    torch.testing.assert_close(output.mean(params), theirs.mean)
    assert output.normalize(x, torch.float64).std(0).sub(1).abs().max() < 0.01


def test_gaussian_samples_have_the_moments():
    output = Gaussian(Event.real(1))
    params = torch.tensor([[0.5], [-1.0]]).expand(20_000, 2, 1)
    x = output.sample(params, torch.Generator().manual_seed(0))
    assert abs(float(x.mean()) - 0.5) < 0.02
    assert abs(float(x.std()) - float(output._split(params)[1].exp()[0, 0])) < 0.02


def test_gaussian_survives_constant_data():
    output = Gaussian(Event.real(2))
    x = torch.tensor([[3.0, 1.0], [3.0, 2.0]])
    start = output.fit(x)
    assert torch.isfinite(output.log_prob(start.expand(2, -1, -1), x)).all()
    output.fit(torch.ones(4, 2))
    assert (output.scale == 1).all()


@pytest.mark.parametrize(("name", "levels"), DISCRETE)
def test_starting_parameters_give_the_marginals(name, levels):
    """The start is better than uniform on skewed data, and finite on constant data."""
    event = Event.audio(4, levels=levels)
    output = build_output(name, event)
    g = torch.Generator().manual_seed(0)
    x = (torch.rand(300, 4, generator=g).pow(4) * levels).long().clamp(max=levels - 1)
    start = output.fit(x)
    assert start.shape == (output.parameters_per_dimension, 4)
    log_p = output.log_prob(start.expand(300, -1, -1), x).mean()
    assert float(log_p) > -4 * math.log(levels)
    constant = torch.zeros(3, 4, dtype=torch.uint8)
    assert torch.isfinite(output.log_prob(output.fit(constant).expand(3, -1, -1), constant)).all()


@pytest.mark.parametrize(("name", "levels"), [*DISCRETE, ("gaussian", None)])
def test_particles_broadcast(name, levels):
    event = Event("image", (1, 2, 3), levels) if levels else Event.real(1, 2, 3)
    output = build_output(name, event)
    params = torch.stack([params_of(output, seed=s, dtype=torch.float32) for s in range(3)])
    x = torch.zeros(5, 1, 2, 3)
    together = output.log_prob(params, x)
    assert together.shape == (3, 5)
    assert output.mean(params).shape == (3, 5, 1, 2, 3)
    for k in range(3):
        torch.testing.assert_close(together[k], output.log_prob(params[k], x))


def test_half_precision_parameters_are_summed_in_float32():
    output = Bernoulli(Event.binary(784))
    params = torch.randn(2, 1, 784)
    x = torch.randint(0, 2, (2, 784))
    half = output.log_prob(params.bfloat16(), x)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, output.log_prob(params, x), atol=0, rtol=1e-2)


def test_codes_are_normalized():
    x = torch.tensor([[0, 16]], dtype=torch.uint8)
    assert normalize_codes(x, Event.audio(2, levels=17)).tolist() == [[-1.0, 1.0]]
    assert normalize_codes(x // 16, Event.binary(2)).tolist() == [[0.0, 1.0]]
    assert normalize_codes(torch.tensor([[0.5, 3.0]]), Event.real(2)).tolist() == [[0.5, 3.0]]


@pytest.mark.parametrize(
    ("cls", "event", "word"),
    [
        (Bernoulli, Event.real(2), "gaussian"),
        (Bernoulli, Event.image(1, 8, levels=17), "discretized-logistic"),
        (Categorical, Event.real(2), "gaussian"),
        (Gaussian, Event.image(1, 8), "discretized-logistic"),
        (Gaussian, Event.binary(4), "bernoulli"),
        (DiscretizedLogistic, Event.real(2), "gaussian"),
        (DiscretizedGaussian, Event.real(2), "gaussian"),
    ],
)
def test_refuses_in_one_sentence(cls, event, word):
    with pytest.raises(EventError, match=word) as caught:
        cls(event)
    assert "\n" not in str(caught.value)
    assert str(event) in str(caught.value)


def test_wrong_settings_are_named():
    with pytest.raises(UnknownNameError, match="did you mean 'bernoulli'"):
        build_output("bernouli", Event.binary(2))
    with pytest.raises(UnknownNameError, match="variance"):
        build_output("gaussian", Event.real(2), variance="learnt")
    with pytest.raises(ConfigError, match="sigma"):
        build_output("gaussian", Event.real(2), variance="fixed", sigma=0.0)


@pytest.mark.parametrize(
    ("event", "cls"),
    [
        (Event.binary(4), Bernoulli),
        (Event.image(1, 4, levels=2), Bernoulli),
        (Event.image(1, 4), DiscretizedLogistic),
        (Event.real(4), Gaussian),
    ],
)
def test_auto_suits_the_event(event, cls):
    assert type(build_output("auto", event)) is cls
