"""SRFlow: features once, one image at temperature 0, consistency by construction, bad input."""

import pytest
import torch

import phosphene as ph
from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, EventError
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.data.low_resolution import downsample, with_low_resolution
from phosphene.generative.flow.srflow import SRFlow
from tests.helpers.tiny import examples, tiny_digits

SMALL = {"steps": 2, "features": 8, "blocks": 1, "hidden": 8}
BOTH = pytest.mark.parametrize("consistent", [True, False])


def pairs(n=32, levels=256, factor=4):
    return with_low_resolution(tiny_digits(n, levels=levels), factor)


def made(data, *, steps=0, **settings):
    spec = ContextSpec(image=data.image_event)
    with seeded(0):
        model = SRFlow(data.event, context=spec, **{**SMALL, **settings})
    x, context = data.take(torch.arange(len(data)))
    model.prepare(Batch.of(x, context))
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for step in range(steps):
        loss = model.loss(Batch.of(x, context, seed=step)).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model, context


def decibels(x, y):
    return float(-10 * ((x.double() - y.double()).square().mean() / 255**2).log10())


@BOTH
def test_the_encoder_runs_once(consistent):
    data = pairs(8)
    model, context = made(data, consistent=consistent)
    calls = []
    model.transform.encoder.register_forward_hook(lambda *_: calls.append(1))
    model.elbo(data.x, context, generator=generator(0))
    assert len(calls) == 1
    model.sample(8, context)
    assert len(calls) == 2


@BOTH
def test_temperature_0_is_one_image_and_others_are_many(consistent):
    data = pairs(4)
    model, context = made(data, steps=3, consistent=consistent)
    one, other = (model.sample(4, context, temperature=0.0, generator=generator(k)) for k in (1, 2))
    assert torch.equal(one, other)
    one, other = (model.sample(4, context, temperature=0.8, generator=generator(k)) for k in (1, 2))
    assert not torch.equal(one, other)


@pytest.mark.parametrize("trained", [0, 10])
def test_block_means_are_the_input_before_any_training_and_after(trained):
    data = pairs()
    model, context = made(data, steps=trained)
    for temperature in (0.0, 0.8, 1.0):
        x = model.sample(len(data), context, temperature=temperature, generator=generator(3))
        assert decibels(downsample(x, 4), data.image) >= 40


def test_inputs_that_no_image_was_seen_for_are_kept_as_well():
    data = pairs()
    model, _ = made(data, steps=5)
    image = examples(data.image_event, 32, seed=5)
    x = model.sample(32, Context(image=image), temperature=0.8, generator=generator(3))
    assert decibels(downsample(x, 4), image) >= 40


def test_the_published_design_is_consistent_only_as_far_as_it_has_learned():
    data = pairs()
    model, context = made(data, steps=3, consistent=False)
    x = model.sample(len(data), context, temperature=0.8, generator=generator(3))
    assert decibels(downsample(x, 4), data.image) < 40


def test_no_pixel_leaves_its_range_but_by_the_margin():
    data = pairs()
    model, context = made(data, steps=5)
    z = torch.randn(len(data), *data.event.shape, generator=generator(4))
    with torch.no_grad():
        unit = model.inverse(z, context).sigmoid()
    assert float(unit.min()) >= 0
    assert float(unit.max()) <= 1


@BOTH
def test_training_lowers_the_loss(consistent):
    data = pairs()
    before, context = made(data, consistent=consistent)
    after, _ = made(data, steps=20, consistent=consistent)
    with torch.no_grad():
        one, other = (m.elbo(data.x, context, generator=generator(0)) for m in (before, after))
    assert float((other - one).mean()) > 5


def test_labels_may_be_told_besides():
    data = pairs(16)
    spec = ContextSpec(image=data.image_event, label=4)
    model = SRFlow(data.event, context=spec, **SMALL)
    x, context = data.take(torch.arange(16))
    assert model.loss(Batch.of(x, context)).total.isfinite()
    with pytest.raises(EventError, match="label"):
        model.elbo(x, Context(image=context.image))


@pytest.mark.parametrize(
    ("event", "context", "word"),
    [
        (Event.real(4), ContextSpec(image=Event.image(1, 2)), "images of codes"),
        (Event.image(1, 8), None, "mnist-x4"),
        (Event.image(1, 8), ContextSpec(label=3), "lower resolution"),
        (Event.image(1, 8), ContextSpec(image=Event.real(1, 2, 2)), "image of codes"),
        (Event.image(1, 12), ContextSpec(image=Event.image(1, 4)), "power of two"),
        (Event.image(1, 8), ContextSpec(image=Event.image(1, 8)), "power of two"),
        (Event.image(1, 8), ContextSpec(image=Event.image(1, (2, 4))), "power of two"),
        (Event.image(1, 2), ContextSpec(image=Event.image(1, 4)), "power of two"),
        (Event.image(3, 8), ContextSpec(image=Event.image(1, 2)), "consistent"),
    ],
)
def test_what_it_cannot_model_is_refused_in_one_sentence(event, context, word):
    with pytest.raises(EventError, match=word) as error:
        SRFlow(event, context=context)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "settings", [{"steps": 0}, {"features": 0}, {"hidden": 0}, {"blocks": -1}, {"transitions": -1}]
)
def test_settings_out_of_range_are_named(settings):
    (name,) = settings
    with pytest.raises(ConfigError, match=name):
        SRFlow(Event.image(1, 8), context=ContextSpec(image=Event.image(1, 2)), **settings)


def test_training_by_name(tmp_path):
    data = pairs(32)
    run = ph.train("srflow", data=data, budget="2steps", folder=tmp_path, threads=1, **SMALL)
    assert run.model.context.names == ("image",)
    assert run.model.sample(2, data.take(torch.arange(2))[1]).shape == (2, 1, 8, 8)
