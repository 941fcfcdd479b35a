"""Numbers about latent spaces."""

import math

import pytest
import torch

from phosphene.core.errors import ConfigError
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.evaluate.features import RawFeatures
from phosphene.evaluate.latents import (
    active_units,
    aggregate_mmd,
    encode,
    linear_probe,
    path_distance,
)
from tests.evaluate.toys import LinearGaussian


def test_active_units_counts_what_varies_with_x():
    g = torch.Generator().manual_seed(0)
    z = torch.randn(500, 6, generator=g) * torch.tensor([1.0, 0.5, 0.2, 0.05, 0.0, 0.0])
    z[:, 5] = 7.0
    assert active_units(z) == 3


def test_aggregate_mmd_is_zero_on_the_prior_and_positive_off_it():
    g = torch.Generator().manual_seed(0)
    on = [aggregate_mmd(torch.randn(200, 3, generator=g), seed=s) for s in range(50)]
    z = torch.tensor([value / error for value, error in on])
    assert abs(z.mean()) < 4 * z.std() / 50**0.5
    value, error = aggregate_mmd(0.3 * torch.randn(200, 3, generator=g))
    assert value > 10 * error
    with pytest.raises(ConfigError, match="10 blocks need 20 codes, got 5"):
        aggregate_mmd(torch.zeros(5, 3))


def test_encode_is_in_order_and_float64():
    model = LinearGaussian(Event.real(5))
    x = torch.randn(37, 5)
    z = encode(model, x, rows=10)
    assert z.dtype == torch.float64
    torch.testing.assert_close(z.float(), model.encode(x).detach())


class _Plane(Model):
    """Codes that are the points themselves, or angles on the unit circle."""

    def __init__(self, event, *, polar=False):
        super().__init__(event)
        self.polar = polar

    def encode(self, x, context=None):
        return torch.atan2(x[:, 1:], x[:, :1]) if self.polar else x

    def decode(self, z, context=None):
        return torch.cat([z.cos(), z.sin()], 1) if self.polar else z


def test_straight_paths_leave_a_circle_and_angles_do_not():
    angle = torch.linspace(-math.pi, math.pi, 400)
    x = torch.stack([angle.cos(), angle.sin()], 1)
    reference = x + 0.01 * torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
    event = Event.real(2)
    straight, _ = path_distance(_Plane(event), x, reference, RawFeatures(event))
    round_, error = path_distance(_Plane(event, polar=True), x, reference, RawFeatures(event))
    assert straight > 5
    assert abs(round_ - 1) < 4 * error


def test_a_linear_probe_reads_what_is_linear_and_skips_unknown_labels():
    g = torch.Generator().manual_seed(0)
    y = torch.randint(4, (400,), generator=g)
    z = torch.nn.functional.one_hot(y, 4) + 0.05 * torch.randn(400, 4, generator=g)
    y_partly = torch.where(torch.arange(400) % 2 == 0, y, -1)
    assert linear_probe((z[:200], y_partly[:200]), (z[200:], y[200:])).all()
    noise = torch.randn(400, 4, generator=g)
    assert linear_probe((noise[:200], y[:200]), (noise[200:], y[200:])).double().mean() < 0.4
