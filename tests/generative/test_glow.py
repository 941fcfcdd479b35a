"""Glow and RealNVP of images: where they start, what they refuse, what a condition reaches."""

import pytest
import torch

from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, EventError, UnknownNameError
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.flow.glow import Glow
from phosphene.generative.flow.layers.coupling import ChannelCoupling
from phosphene.generative.flow.realnvp import RealNVP

EVENT = Event.image(1, 8, levels=17)


def _glow(**settings: object) -> Glow:
    with seeded(0):
        return Glow(EVENT, **{"levels": 2, "steps": 1, "hidden": 4, **settings})  # type: ignore[arg-type]


def _codes(n: int) -> torch.Tensor:
    return torch.randint(17, (n, 1, 8, 8), generator=generator(1))


@pytest.mark.parametrize("coupling", ["affine", "additive", "spline"])
def test_couplings_start_as_the_identity(coupling: str) -> None:
    flow = _glow(coupling=coupling)
    layers = [m for m in flow.transform.modules() if isinstance(m, ChannelCoupling)]
    assert len(layers) == 2
    x = torch.randn(3, 4, 4, 4)
    z, log_det = layers[0](x)
    assert torch.allclose(z, x, atol=1e-6)
    assert torch.allclose(log_det, torch.zeros(3), atol=1e-5)


def test_preparation_happens_once_and_survives_loading() -> None:
    flow, x = _glow(), _codes(16)
    flow.prepare(Batch.of(x))
    other = _glow()
    other.load_state_dict(flow.state_dict())
    before = {k: v.clone() for k, v in other.state_dict().items()}
    other.prepare(Batch.of(16 - x))
    assert all(torch.equal(v, before[k]) for k, v in other.state_dict().items())


def test_a_label_reaches_couplings_splits_and_base() -> None:
    flow = _glow()
    told = Glow(EVENT, context=ContextSpec(label=3), levels=2, steps=1, hidden=4)
    more = {n for n, _ in told.named_parameters()} - {n for n, _ in flow.named_parameters()}
    for part in ("conditioner", "split", "base"):
        assert any(part in name for name in more), part
    context = Context(label=torch.tensor([0, 1, 2]))
    assert told.sample(3, context, generator=generator(2)).shape == (3, 1, 8, 8)


def test_temperature_narrows_the_latents() -> None:
    flow = _glow(base="normal")
    flow.prepare(Batch.of(_codes(16)))
    cold = flow.sample(4, temperature=0.0)
    assert bool((cold == cold[:1]).all())
    warm = flow.sample(64, generator=generator(3)).double().std()
    cool = flow.sample(64, generator=generator(3), temperature=0.5).double().std()
    assert float(cool) < float(warm)


@pytest.mark.parametrize("codec", ["equalized", "logit", "centered"])
def test_a_few_steps_improve_the_bound(codec: str) -> None:
    # Every row has one value: pixels have to do with each other.
    flow, x = _glow(codec=codec, hidden=8), _codes(64)[..., :1].expand(-1, -1, -1, 8)
    flow.prepare(Batch.of(x))
    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-2)
    losses = []
    for step in range(15):
        loss = flow.loss(Batch.of(x, seed=step)).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 2


def test_sizes_and_names_are_refused_in_a_sentence() -> None:
    with pytest.raises(EventError, match="28x28 can be halved 2 times"):
        Glow(Event.image(1, 28), levels=3)
    with pytest.raises(EventError, match="not even once"):
        Glow(Event.image(1, 7), levels=1)
    with pytest.raises(EventError, match="squeezes images"):
        Glow(Event.real(4))
    with pytest.raises(UnknownNameError, match="affine"):
        _glow(coupling="afine")
    with pytest.raises(UnknownNameError, match="dense"):
        _glow(convolution="dence")
    with pytest.raises(ConfigError, match="steps must be at least 1, got 0"):
        _glow(steps=0)
    with pytest.raises(ConfigError, match="three odd sizes"):
        _glow(kernels=(3, 2, 3))


def test_realnvp_of_images_refuses_what_it_cannot_halve() -> None:
    with pytest.raises(EventError, match="7x7 can be halved not even once"):
        RealNVP(Event.image(1, 7), levels=2)
    with pytest.raises(EventError, match="two pixels"):
        RealNVP(Event.image(3, 1), levels=1)
    with pytest.raises(ConfigError, match="levels must be at least 1"):
        RealNVP(EVENT, levels=0)
    flow = RealNVP(Event.image(1, 7), levels=1, channels=2, blocks=1)  # boards of any size
    assert flow.sample(2).shape == (2, 1, 7, 7)


def test_reals_of_an_images_shape_have_an_exact_density() -> None:
    flow = Glow(Event.real(1, 4, 4), levels=2, steps=1, hidden=4)
    x = torch.randn(3, 1, 4, 4)
    flow.prepare(Batch.of(torch.randn(32, 1, 4, 4)))
    assert flow.likelihood == "exact"
    assert flow.log_prob(x).shape == (3,)


def test_images_that_cannot_be_halved_are_modeled_by_default() -> None:
    odd = Event.image(3, (9, 5), levels=4)
    x = torch.randint(0, 4, (4, 3, 9, 5), generator=torch.Generator().manual_seed(0))
    for flow in (Glow(odd, steps=2, hidden=4), RealNVP(odd, channels=2, blocks=1)):
        with torch.no_grad():
            for p in flow.parameters():
                p.add_(0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(1)))
        z, log_det = flow.eval().double().forward_and_log_det(x.double())
        assert torch.allclose(flow.inverse(z), x.double(), atol=1e-8)
        assert log_det.abs().min() > 0.1
        assert flow.sample(2).shape == (2, 3, 9, 5)
    with pytest.raises(EventError, match="not even once"):
        Glow(Event.image(1, (9, 5)))
