"""Gated PixelCNN: no blind spot, stacks in the right direction, incremental sampling."""

import pytest
import torch

from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, EventError
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.autoregressive.autoregressive import free_running, teacher_forcing
from phosphene.generative.autoregressive.gated_pixelcnn import GatedPixelCNN, gate
from phosphene.generative.autoregressive.pixel_windows import Gates
from phosphene.proofs.blind_spot import prove, reach, seen

TINY = {"channels": 6, "layers": 2, "first_kernel": 5}


def lively(event, *, seed=0, **settings):
    """A model in float64 with weights larger than those it starts with."""
    with seeded(seed):
        model = GatedPixelCNN(event, **{**TINY, **settings}).double()
        for p in model.parameters():
            p.data += 0.3 * torch.randn_like(p)
    return model


@pytest.mark.parametrize("pixel", [(0, 0), (3, 0), (3, 6), (5, 3)])
def test_every_earlier_pixel_within_reach_is_seen(pixel):
    model = lively(Event.image(1, 7, levels=2), layers=2, first_kernel=3)
    x = torch.rand(32, 1, 7, 7, dtype=torch.float64)
    assert torch.equal(seen(model, x, pixel), reach(7, pixel, layers=3))


def test_the_horizontal_stack_never_feeds_the_vertical_one():
    """What is left of a pixel in its row does not move the vertical stack there."""
    model = lively(Event.image(1, 5, levels=2))
    x = torch.rand(1, 1, 5, 5, dtype=torch.float64, requires_grad=True)
    v, h = model.first_vertical(x), model.first_horizontal(x)
    for layer in model.layers[:-1]:
        v, h = layer(v, h, None, None, None)
    (grad,) = torch.autograd.grad(v[0, :, 3].sum(), x)
    assert not grad[0, 0, 3:].any()
    assert grad[0, 0, :3].any()


def test_plain_masks_have_the_predicted_blind_spot_at_other_depths():
    for layers, size in ((2, 7), (4, 11)):
        assert prove(layers=layers, size=size).holds


@pytest.mark.parametrize("event", [Event.image(1, (5, 4), levels=2), Event.image(3, (3, 4), 4)])
@pytest.mark.parametrize("settings", [{}, {"kernel": 5, "head": 0, "position_bias": False}])
def test_incremental_sampler_equals_the_naive_one(event, settings):
    model = lively(event, **settings, context=ContextSpec(label=3))
    context = Context(label=torch.arange(5) % 3)
    u = torch.rand(5, event.dimensions, 1, generator=generator(1), dtype=torch.float64)
    with torch.no_grad():
        fast, slow = (model.generate(u, context, naive=naive) for naive in (False, True))
    assert torch.equal(fast, slow)
    assert len(fast.unique()) > 1


def test_the_tapes_gate_is_tanh_times_sigmoid():
    gates = Gates(5, 2, torch.zeros(1, dtype=torch.float64))
    x = torch.randn(7, 10, generator=generator(0), dtype=torch.float64)
    bent = torch.tanh(gates.arrange(x))
    halves = [bent[:, block].chunk(2, 1) for block in gates.blocks]
    tape = 0.5 * torch.cat([a + a * b for a, b in halves], 1)
    torch.testing.assert_close(tape, gate(x))


def test_free_running_has_the_parameters_of_teacher_forcing():
    model = lively(Event.image(3, (2, 3), levels=4))
    drawn = torch.zeros(4, 18, dtype=torch.float64)
    found = torch.zeros(4, 18, 4, dtype=torch.float64)
    for i, params, values in free_running(model, 4, generator=generator(0)):
        drawn[:, i], found[:, i] = values, params
    want = teacher_forcing(model, drawn.view(4, 3, 2, 3))
    torch.testing.assert_close(found, want)


def test_labels_classify_and_an_unknown_label_is_summed_over():
    model = lively(Event.image(1, 3, levels=2), context=ContextSpec(label=3))
    x = (torch.rand(4, 1, 3, 3, generator=generator(0)) < 0.5).long()
    with torch.no_grad():
        each = torch.stack(
            [model.log_prob(x, Context(label=torch.full((4,), y))) for y in range(3)], 1
        )
        torch.testing.assert_close(model.log_prob(x), torch.logsumexp(each + model.log_prior, 1))
        torch.testing.assert_close(model.classify(x), torch.log_softmax(each + model.log_prior, 1))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": 0}, "layers must be at least 1, got 0"),
        ({"kernel": 2}, "kernel must be odd"),
        ({"head": -1}, "head must be at least 0"),
        ({"warp": -0.1}, "warp must be at least 0"),
    ],
)
def test_bad_settings_are_refused_in_one_sentence(settings, message):
    with pytest.raises(ConfigError, match=message) as caught:
        GatedPixelCNN(Event.image(1, 4), **{**TINY, **settings})
    assert "\n" not in str(caught.value)


def test_vectors_are_refused():
    with pytest.raises(EventError, match="GatedPixelCNN cannot model"):
        GatedPixelCNN(Event.binary(9))
