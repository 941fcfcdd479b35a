"""Flows on data as they come: ill-scaled, shifted, heavy-tailed, whole numbers, duplicates."""

import math

import pytest
import torch
from torch import Tensor

from phosphene.catalog import System, systems
from phosphene.core.batch import Batch
from phosphene.core.errors import DataError, EventError
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.data.loading import load
from phosphene.generative.flow.flow import Flow
from phosphene.generative.flow.glow import Glow
from phosphene.generative.flow.realnvp import RealNVP
from phosphene.proofs.fitting import fit
from tests.laws import small

ROWS = [row for row in systems("flow") if "real" in row.events]
N, D = 512, 4


def numbers(seed: int) -> Tensor:
    return torch.randn(N, D, generator=generator(seed, 11), dtype=torch.float64)


def scales() -> Tensor:
    """Columns of scale 1e-6, 1e6 and 1, the last one about 1e4, all correlated."""
    z = numbers(0)
    z = z + 0.5 * z[:, :1]
    return z * torch.tensor([1e-6, 1e6, 1.0, 1.0]) + torch.tensor([0.0, 0.0, 0.0, 1e4])


def tails() -> Tensor:
    """Student t of 1 (Cauchy) and 2 degrees of freedom: no variance."""
    degrees = torch.tensor([1.0, 2.0, 1.0, 2.0], dtype=torch.float64)
    gamma = torch._standard_gamma(degrees.expand(N, D) / 2, generator=generator(1))
    return numbers(1) * (degrees / 2 / gamma).sqrt()


def whole() -> Tensor:
    """Counts, and a column of zeros and ones."""
    return (numbers(2) * torch.tensor([3.0, 1.0, 100.0, 0.0])).round() + torch.tensor(
        [0.0, 0.0, 0.0, 1.0]
    ) * (numbers(3) > 0)


def duplicates() -> Tensor:
    """The last two columns are copies: the data lie in a plane."""
    z = numbers(4)
    z[:, 2:] = z[:, :2]
    return z


DATA = {f.__name__: f for f in (scales, tails, whole, duplicates)}


def built(row: System, event: Event) -> Flow:
    with seeded(0):
        model = row.load()(event, **small.settings(row.name, event)[0])
    assert isinstance(model, Flow)
    return model


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_thirty_steps_end_finite_and_can_be_inverted(row, data):
    x = DATA[data]().float()
    flow = fit(built(row, Event.real(D)), x, steps=30, batch_size=64, lr=3e-3)
    assert isinstance(flow, Flow)
    batch = Batch.of(x[:64])
    loss = flow.loss(batch).total
    loss.backward()
    assert math.isfinite(float(loss.detach()))
    for name, p in flow.named_parameters():
        assert p.grad is None or torch.isfinite(p.grad).all(), name
    flow.eval()
    assert float(flow.inverse_error(batch.x).max()) < 1e-4
    samples = flow.sample(200, generator=generator(7))
    assert torch.isfinite(samples).all()
    sizes = samples.abs().median(0).values / x.abs().median(0).values.clamp(min=1e-6)
    assert float(sizes.max()) < 1e3


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_a_batch_of_one_example(row):
    flow = built(row, Event.real(D))
    x = scales()[:1].float()
    flow.prepare(Batch.of(x))
    flow.loss(Batch.of(x)).total.backward()
    for name, p in flow.named_parameters():
        assert p.grad is None or torch.isfinite(p.grad).all(), name
    assert flow.sample(1, generator=generator(8)).shape == (1, D)


def test_the_scale_of_the_data_changes_the_density_by_its_own_logarithm():
    """p(a x) = p(x) / |a|: in single precision too, whatever the units of a column."""
    x, factors = numbers(5).float(), torch.tensor([2.0**-20, 2.0**20, 1.0, 2.0**-10])
    found = []
    for scale in (torch.ones(D), factors):
        flow = built(ROWS[0], Event.real(D))
        fit(flow, x * scale, steps=5, batch_size=64)
        with torch.no_grad():
            found.append(flow.log_prob(x * scale) + float(scale.log().sum()))
    assert torch.allclose(*found, atol=2e-3)


@pytest.mark.parametrize("value", [0.0, 3.5, -1e4, 1e8])
def test_a_constant_column_is_named(value):
    x = scales().float()
    x[:, 2] = value
    with pytest.raises(DataError, match="column 2 is constant"):
        fit(RealNVP(Event.real(D), layers=2, hidden=(8,)), x, steps=1)


def test_a_column_that_rounding_made_constant_is_named():
    """1e4 +- 1e-6 is one number in single precision."""
    x = (numbers(6) * torch.tensor([1.0, 1.0, 1.0, 1e-6]) + 1e4).float()
    with pytest.raises(DataError, match="column 3 is constant"):
        fit(RealNVP(Event.real(D), layers=2, hidden=(8,)), x, steps=1)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_missing_and_infinite_values_are_said(bad):
    x = numbers(7).float()
    x[3, 1] = bad
    flow = RealNVP(Event.real(D), layers=2, hidden=(8,))
    for method in (flow.prepare, flow.loss):
        with pytest.raises(EventError, match="NaN or infinite"):
            method(Batch.of(x))


def test_glow_does_not_jump_to_infinity():
    """Trained too fast, it still takes its draws back to the latents that they came from."""
    data = load("digits", "train").x[:256]
    with seeded(0):
        flow = Glow(Event.image(1, 8, levels=17), levels=2, steps=2, hidden=8)
    fit(flow, data, steps=30, batch_size=64, lr=1e-2)
    flow.eval()
    assert float(flow.inverse_error(data[:64]).max()) < 1e-4
    with torch.no_grad():
        for temperature, tolerance in ((1.0, 1e-5), (2.0, 1e-2)):
            z = flow.base.sample(200, generator=generator(9), temperature=temperature)
            y = flow.inverse(z)
            assert torch.isfinite(y).all()
            again, _ = flow.forward_and_log_det(y)
            assert float((again - z).abs().max() / z.abs().max()) < tolerance
