"""NICE and neural spline flows: what their names promise."""

import math

import pytest
import torch

from phosphene.catalog.recipe import recipes
from phosphene.core.batch import Batch
from phosphene.core.context import ContextSpec
from phosphene.core.errors import ConfigError, EventError, UnknownNameError
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.flow.layers.bases import Logistic
from phosphene.generative.flow.neural_spline import NeuralSpline
from phosphene.generative.flow.nice import NICE


def test_nice_changes_volumes_alike_everywhere() -> None:
    flow = NICE(Event.real(5), layers=3, hidden=(8,)).double()
    with torch.no_grad():
        for p in flow.parameters():
            p.normal_(generator=generator(3))
    _, log_det = flow.forward_and_log_det(torch.randn(20, 5, dtype=torch.float64))
    torch.testing.assert_close(log_det, log_det[:1].expand(20), rtol=0, atol=1e-12)
    assert isinstance(flow.base, Logistic)


def test_nice_starts_with_the_base_of_each_pixel() -> None:
    """A pixel that is always 0 is scaled up by its dequantized width, from the first batch."""
    flow = NICE(Event.image(1, 2, levels=16), hidden=(8,))
    x = torch.randint(0, 16, (2000, 1, 2, 2), generator=generator(0))
    x[:, 0, 0, 0] = 0
    flow.prepare(Batch.of(x))
    y, _ = flow.codec.encode(x.float(), torch.rand(x.shape, generator=generator(1)))
    z, _ = flow.forward_and_log_det(y)
    std = z.std(0)
    torch.testing.assert_close(std, torch.full_like(std, math.pi / math.sqrt(3)), rtol=0.1, atol=0)


@pytest.mark.parametrize("mixing", ["lu", "random", "reverse"])
@pytest.mark.parametrize("d", [2, 3, 5])
def test_every_dimension_depends_on_every_other(mixing: str, d: int) -> None:
    with seeded(1):
        flow = NeuralSpline(
            Event.real(d), layers=10, hidden=(16,), activation="silu", mixing=mixing
        ).double()  # type: ignore[arg-type]
    with torch.no_grad():
        for p in flow.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=generator(4), dtype=p.dtype))
    x = 0.5 * torch.randn(d, generator=generator(5), dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(
        lambda v: flow.forward_and_log_det(v[None])[0][0], x
    )
    assert bool((jacobian.abs() > 1e-12).all()), jacobian


@pytest.mark.parametrize("mixing", ["lu", "random", "reverse"])
def test_a_spline_flow_starts_as_a_permutation(mixing: str) -> None:
    flow = NeuralSpline(Event.real(4), layers=3, hidden=(8,), mixing=mixing).double()  # type: ignore[arg-type]
    x = torch.randn(6, 4, dtype=torch.float64)
    z, log_det = flow.forward_and_log_det(x)
    torch.testing.assert_close(z.sort(1)[0], x.sort(1)[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(log_det, torch.zeros(6).double(), rtol=0, atol=1e-10)


def test_bad_settings() -> None:
    with pytest.raises(ConfigError, match="layers must be at least 1, got 0"):
        NeuralSpline(Event.real(2), layers=0)
    with pytest.raises(ConfigError, match="layers must be at least 1, got 0"):
        NICE(Event.real(2), layers=0)
    with pytest.raises(ConfigError, match=r"one width for all blocks, got \(8, 9\)"):
        NeuralSpline(Event.real(2), network="residual", hidden=(8, 9))
    with pytest.raises(ConfigError, match="one width"):
        NeuralSpline(Event.real(2), network="residual", hidden=())
    with pytest.raises(UnknownNameError, match="residual"):
        NeuralSpline(Event.real(2), network="resnet")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="reverse"):
        NeuralSpline(Event.real(2), mixing="reversed")  # type: ignore[arg-type]
    for model in (NICE, NeuralSpline):
        with pytest.raises(EventError, match="two dimensions or more"):
            model(Event.real(1))
        with pytest.raises(EventError, match="not on text"):
            model(Event.real(2), context=ContextSpec(text=Event.tokens(4, 5)))


@pytest.mark.parametrize("system", ["nice", "neural-spline-flow"])
def test_there_is_a_published_recipe(system: str) -> None:
    assert {r.name for r in recipes() if r.system == system} >= {"default", "paper"}
