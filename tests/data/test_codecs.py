"""Laws of codecs: they invert, stay in the support, and their log-determinants are autograd's."""

import math

import pytest
import torch

import phosphene as ph
from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.data.codecs import Chain, Dequantize, Logit, MuLaw, Signed, Standardize


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


DISCRETE = {
    "signed-2": (Signed(2), 2),
    "signed-256": (Signed(256), 256),
    "dequantize-17": (Dequantize(17), 17),
    "dequantize-256": (Dequantize(256), 256),
    "dequantize-1024": (Dequantize(1024), 1024),
    "mu-law-256": (MuLaw(256), 256),
    "mu-law-16": (MuLaw(16), 16),
    "chain": (Chain(Dequantize(256), Logit(0.05)), 256),
}


@pytest.mark.parametrize("name", DISCRETE)
def test_every_code_comes_back(name: str) -> None:
    codec, levels = DISCRETE[name]
    x = torch.arange(levels)[:, None]
    # After a logit, rounding can move a code that sits exactly on its bin's edge to the next bin.
    low = 1e-3 if name == "chain" else 0.0
    for u in (None, *(torch.full((levels, 1), v) for v in (low, 0.3, 1 - 1e-3))):
        y, log_det = codec.encode(x, u)
        assert y.is_floating_point()
        assert log_det.shape == (levels,)
        assert torch.equal(codec.decode(y), x.to(codec.decode(y).dtype))


@pytest.mark.parametrize("name", DISCRETE)
def test_decode_gives_valid_codes_of_anything(name: str) -> None:
    codec, levels = DISCRETE[name]
    x = codec.decode(torch.linspace(-9, 9, 1001)[:, None])
    assert x.dtype == (torch.uint8 if levels <= 256 else torch.int64)
    ph.Event.tokens(1, levels).check(x)


CONTINUOUS = {
    "signed": (Signed(17), 16.0),
    "dequantize": (Dequantize(17), 16.0),
    "logit": (Logit(0.02), 1.0),
    "standardize": (Standardize(torch.tensor([1.0, -2, 0]), torch.tensor([0.1, 3, 7])), 5.0),
    "mu-law": (MuLaw(256), 255.0),
    "chain": (Chain(Dequantize(256), Logit(0.05)), 255.0),
}


@pytest.mark.parametrize("name", CONTINUOUS)
def test_log_determinant_is_autograds(name: str) -> None:
    codec, scale = CONTINUOUS[name]
    codec = codec.double()
    x, u = scale * noise(5, 3).double(), noise(5, 3, seed=1).double()
    _, log_det = codec.encode(x, u)
    for row, (v, w) in enumerate(zip(x, u, strict=True)):
        jacobian = torch.autograd.functional.jacobian(
            lambda v, w=w: codec.encode(v[None], w[None])[0][0], v
        )
        assert log_det[row].item() == pytest.approx(
            torch.linalg.slogdet(jacobian)[1].item(), abs=1e-10
        )
    codec.float()


def test_log_determinant_sums_over_all_dimensions() -> None:
    _, log_det = Dequantize(256).encode(torch.zeros(2, 3, 4, 4, dtype=torch.uint8))
    torch.testing.assert_close(log_det, torch.full((2,), -48 * math.log(256)))


@pytest.mark.parametrize("codec", [Logit(0.1), Standardize(2.0, 3.0)])
def test_continuous_codecs_invert(codec: Logit | Standardize) -> None:
    x = noise(50, 4)
    torch.testing.assert_close(codec.decode(codec.encode(x)[0]), x)


def test_uniform_model_of_17_levels_costs_log2_17_bits_per_dimension() -> None:
    digits = ph.data.load("digits", "test")
    y, log_det = Dequantize(17).encode(digits.x, noise(*digits.x.shape))
    assert y.min() >= 0
    assert y.max() < 1
    nats = 0.0 + log_det  # a uniform density on the unit cube has log p_y = 0
    bits = -nats / (digits.event.dimensions * math.log(2))
    torch.testing.assert_close(bits, torch.full_like(bits, math.log2(17)))
    assert bits[0].item() == pytest.approx(digits.event.bits, rel=1e-6)


def test_dequantized_density_integrates_to_the_codes_probability() -> None:
    """A density constant on each bin makes the bound exact: log p(x) is log of the bin's mass."""
    mass = torch.tensor([0.1, 0.2, 0.3, 0.4])
    x = torch.tensor([[0], [1], [2], [3]])
    y, log_det = Dequantize(4).encode(x, noise(4, 1))
    log_density = (4 * mass[(y[:, 0] * 4).long()]).log()
    torch.testing.assert_close((log_density + log_det).exp(), mass)


def test_mu_law_is_symmetric_and_spans_the_signal() -> None:
    y, _ = MuLaw(256).encode(torch.arange(256)[:, None])
    torch.testing.assert_close(y, -y.flip(0))
    assert y[0].item() == pytest.approx(-1, abs=1e-6)
    assert (y.diff(dim=0) > 0).all()


def test_standardize_fits_a_batch_and_travels_in_the_state() -> None:
    x = 3 * noise(1000, 2) + 5
    codec = Standardize.fit(x)
    y, _ = codec.encode(x)
    torch.testing.assert_close(y.mean(0), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.std(0, correction=0), torch.ones(2))
    other = Standardize(torch.zeros(2), torch.ones(2))
    other.load_state_dict(codec.state_dict())
    torch.testing.assert_close(other.encode(x)[0], y)


def test_bad_settings_are_refused_in_one_sentence() -> None:
    with pytest.raises(ConfigError, match=r"alpha must be above 0 and below 0\.5, got 0\.7"):
        Logit(0.7)
    with pytest.raises(ConfigError, match="std must be above 0, got 0"):
        Standardize(0.0, 0.0)
    with pytest.raises(UnknownNameError, match="did you mean 'uniform'"):
        Dequantize(4, "unifrom")
