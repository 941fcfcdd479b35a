"""The learned histogram equalisation: exact, invertible, and the model of independent pixels."""

import math

import torch

from phosphene.core.event import Event
from phosphene.core.rng import generator
from phosphene.data.equalize import Equalize
from tests.helpers.tiny import examples

EVENT = Event.image(2, (3, 4), levels=5)
_LOG_2PI = math.log(2 * math.pi)


def _fitted(n: int = 500) -> tuple[Equalize, torch.Tensor]:
    codec = Equalize(EVENT).double()
    # Some codes are common, and the first pixel is always 0.
    x = (examples(EVENT, n).double() ** 2 / 4).floor()
    x[:, :, 0, 0] = 0
    codec.fit(x)
    return codec, x


def _placed(x: torch.Tensor, seed: int = 0) -> torch.Tensor:
    u = torch.rand(x.shape, generator=generator(seed), dtype=torch.float64)
    return (x + u) / 5


def test_fitted_pixels_are_normal_and_have_the_entropy_of_independent_ones() -> None:
    codec, x = _fitted()
    y, log_det = codec(_placed(x))
    assert abs(y.mean().item()) < 0.05
    assert abs(y.std().item() - 1) < 0.05
    # log p(code) is what is left when the base's density and the log-determinant are added up.
    nll = -(log_det - 0.5 * (y.square() + _LOG_2PI).flatten(1).sum(1) - 24 * math.log(5)).mean()
    frequency = torch.nn.functional.one_hot(x.long(), 5).double().mean(0)
    entropy = -(frequency * frequency.clamp(min=1e-300).log()).sum()
    assert float(entropy) - 0.1 < nll.item() < float(entropy) * 1.1 + 0.3


def test_decoding_restores_codes_and_numbers() -> None:
    codec, x = _fitted()
    v = _placed(x)
    with torch.no_grad():
        y, log_det = codec(v)
        back = codec.decode(y)
    assert float((back - v).abs().max()) < 1e-9
    step = 1e-6
    with torch.no_grad():
        slope = (codec(v + step)[0] - codec(v - step)[0]) / (2 * step)
    inside = ((v * 5) % 1 - 0.5).abs() < 0.49  # away from the kinks
    whole = inside.flatten(1).all(1)
    exact = slope.log().flatten(1).sum(1)
    assert int(whole.sum()) > 50
    assert torch.allclose(log_det[whole], exact[whole], atol=1e-4)


def test_codes_never_seen_are_finite() -> None:
    codec = Equalize(EVENT)
    codec.fit(torch.zeros(1, 2, 3, 4, dtype=torch.uint8))
    y, log_det = codec(torch.full((2, 2, 3, 4), 0.99))
    assert bool(torch.isfinite(y).all())
    assert bool(torch.isfinite(log_det).all())
    assert torch.equal((codec.decode(y) * 5).floor(), torch.full((2, 2, 3, 4), 4.0))


def test_histograms_learn() -> None:
    codec, x = _fitted()
    y, log_det = codec(_placed(x))
    (y.square().sum() - log_det.sum()).backward()
    for parameter in (codec.shared, codec.own):
        assert parameter.grad is not None
        assert bool(torch.isfinite(parameter.grad).all())
        assert bool(parameter.grad.any())
