"""PixelCNN: masks, order of colors, borders, incremental sampling, bad input."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, EventError, UnknownNameError
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.autoregressive.layers.masked_conv import MaskedConv2d, channel_blocks
from phosphene.generative.autoregressive.pixelcnn import PixelCNN
from phosphene.nn.choosing import Choosing

COLORS = Event.image(3, (3, 4), levels=4)
TINY = {"channels": 6, "blocks": 2, "first_kernel": 5}


def lively(event, *, seed=0, **settings):
    """A model in float64 whose weights hide nothing, the zero-initialised ones included."""
    with seeded(seed):
        model = PixelCNN(event, **{**TINY, **settings}).double()
        for p in model.parameters():
            p.data += 0.3 * torch.randn_like(p)
    return model


def jacobian(model, x):
    """Whether the conditional of (channel, pixel) i moves with value j: (D, D)."""
    x = x.clone().requires_grad_()
    params = model.conditionals(x)
    rows = [torch.autograd.grad(params[:, i].sum(), x, retain_graph=True)[0] for i in range(36)]
    return torch.stack([row.flatten(1).abs().sum(0) > 0 for row in rows])


def test_blue_sees_green_and_red_and_green_sees_red_only():
    model = lively(COLORS)
    moves = jacobian(model, torch.rand(8, 3, 3, 4, dtype=torch.float64) * 3)
    for p in range(12):
        red, green, blue = p, 12 + p, 24 + p
        assert moves[green, red]
        assert moves[blue, red]
        assert moves[blue, green]
        assert not moves[green, blue]
        assert not moves[green, green]
        assert not moves[red, [red, green, blue]].any()
    place = model.order
    assert not moves[place][:, place].triu().any(), "something later is seen"


def test_order_is_pixel_by_pixel_and_color_by_color():
    assert PixelCNN(COLORS, **TINY).order[:7].tolist() == [0, 12, 24, 1, 13, 25, 2]


def test_masked_weights_of_a_square_kernel_are_the_upper_rows():
    """Equal to a square 5x5 convolution whose mask is written out by hand."""
    with seeded(0):
        conv = MaskedConv2d(2, 4, "A", above=2, left=2, right=2)
    square = torch.zeros(4, 2, 5, 5)
    square[:, :, :2] = conv.weight[:, :, :2].detach()
    square[:, :, 2, :2] = conv.weight[:, :, 2, :2].detach()
    x = torch.randn(3, 2, 6, 7, generator=generator(0))
    want = torch.nn.functional.conv2d(x, square, conv.bias, padding=2)
    torch.testing.assert_close(conv(x), want)


@pytest.mark.parametrize("sees", ["above", "row", "A", "B"])
def test_windows_see_what_they_say(sees):
    with seeded(0):
        conv = MaskedConv2d(1, 1, sees, above=1, left=1, right=1).double()
    x = torch.randn(1, 1, 4, 5, dtype=torch.float64, requires_grad=True)
    (grad,) = torch.autograd.grad(conv(x)[0, 0, 2, 2], x)
    own = {"above": [], "row": [1, 2, 3], "A": [1], "B": [1, 2]}[sees]
    seen = {(1, 1), (1, 2), (1, 3), *((2, j) for j in own)}
    assert {tuple(place) for place in grad[0, 0].nonzero().tolist()} == seen


def test_runs_of_channels_cover_all():
    for channels in range(3, 20):
        blocks = channel_blocks(channels, 3)
        assert [i for b in blocks for i in range(b.start, b.stop)] == list(range(channels))


@pytest.mark.parametrize("settings", [{}, {"residual": False, "head": 0, "kernel": 5}])
@pytest.mark.parametrize("event", [Event.image(1, (5, 4), levels=2), COLORS])
def test_incremental_sampler_equals_the_naive_one(event, settings):
    model = lively(event, **settings, context=ContextSpec(label=3))
    context = Context(label=torch.arange(5) % 3)
    u = torch.rand(5, event.dimensions, 1, generator=generator(1), dtype=torch.float64)
    with torch.no_grad():
        fast, slow = (model.generate(u, context, naive=naive) for naive in (False, True))
    assert torch.equal(fast, slow)
    assert len(fast.unique()) > 1


def test_a_stepper_computes_as_much_as_one_pass():
    """Products inside the sampler, counted: at most those of one parallel pass."""
    model = PixelCNN(Event.image(1, 8, levels=2), channels=16, blocks=3)
    counts = []
    for naive in (False, True):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            if naive:
                model.conditionals(torch.zeros(1, 1, 8, 8))
            else:
                model.generate(torch.rand(1, 64, 1))
        counts.append(counter.get_total_flops())
    assert counts[0] <= 1.1 * counts[1], counts


def test_two_samplers_of_one_model_do_not_disturb_each_other():
    model = lively(Event.image(1, 3, levels=2))
    x = torch.zeros(2, 9, dtype=torch.float64)
    one, two = model.stepper(2), model.stepper(2)
    first = one(0, x)
    two(0, x)
    two(1, 1 - x)
    kept = first.clone()
    second = one(1, x)
    assert torch.equal(first, kept)
    torch.testing.assert_close(second, model.conditionals(x.view(2, 1, 3, 3))[:, 1])


def test_training_on_distorted_digits_tells_the_network():
    """Distortions act in training only, come from the batch, and leave the likelihood alone."""
    model = lively(Event.image(1, 6, levels=2), shift=1, warp=0.2)
    x = (torch.rand(16, 1, 6, 6, generator=generator(2)) < 0.5).long()
    model.train()
    one, same, other = (model.loss(Batch.of(x, seed=s)).total for s in (1, 1, 2))
    assert one == same
    assert one != other
    model.eval()
    nll = -model.log_prob(x).mean()
    assert torch.equal(model.loss(Batch.of(x, seed=1)).total, nll)


def test_starts_at_the_marginals_of_each_place():
    event = Event.image(1, 4, levels=3)
    x = torch.randint(0, 3, (500, 1, 4, 4), generator=generator(0))
    x[:, 0, 0] = 2
    model = PixelCNN(event, **TINY)
    torch.nn.init.zeros_(model.readout.weight)
    model.prepare(Batch.of(x))
    p = model.conditional.log_pmf(model.conditionals(x[:1]))[0].exp().detach()
    assert float(p[0, 2]) > 0.99
    torch.testing.assert_close(p[8:].mean(), torch.tensor(1 / 3), atol=1e-6, rtol=0)
    assert float((p[8:] - 1 / 3).abs().max()) < 0.1


def test_inpaints_the_rest_of_an_image_and_refuses_other_masks():
    model = lively(Event.image(1, 4, levels=2))
    x = torch.ones(3, 1, 4, 4, dtype=torch.uint8)
    mask = torch.zeros(4, 4, dtype=torch.bool)
    mask[:2] = True
    filled = model.inpaint(x, mask, generator=generator(0))
    assert bool((filled[:, :, :2] == 1).all())
    with pytest.raises(EventError, match=r"pixel \(3, 3\)"):
        model.inpaint(x, torch.arange(16).view(4, 4) == 15, generator=generator(0))


def test_greedy_sampling_is_the_most_probable_value_each_time():
    model = lively(COLORS)
    u = torch.rand(2, 36, 1, dtype=torch.float64)
    x = model.generate(u, how=Choosing(temperature=0.0))
    best = model.conditionals(x).argmax(-1)
    assert torch.equal(best, x.flatten(1).long())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kernel": 4}, "kernel must be odd"),
        ({"first_kernel": 1}, "first_kernel must be odd and 3 or more, got 1"),
        ({"blocks": -1}, "blocks must be at least 0"),
        ({"channels": 2}, "2 channels cannot be cut into 3 groups"),
        ({"channels": 0}, "channels must be at least 1"),
        ({"dropout": 1.0}, "dropout"),
        ({"shift": -1}, "shift must be at least 0"),
    ],
)
def test_bad_settings_are_refused_in_one_sentence(settings, message):
    with pytest.raises(ConfigError, match=message) as caught:
        PixelCNN(COLORS, **{**TINY, "residual": False, **settings})
    assert "\n" not in str(caught.value)


def test_what_is_no_image_of_codes_is_refused():
    for event in (Event.binary(9), Event.real(1, 3, 3), Event.tokens(4, 5)):
        with pytest.raises(EventError, match="PixelCNN cannot model"):
            PixelCNN(event)
    with pytest.raises(EventError, match="label or a vector"):
        PixelCNN(COLORS, context=ContextSpec(image=Event.image(1, 8)), **TINY)
    with pytest.raises(UnknownNameError, match="did you mean 'categorical'"):
        PixelCNN(COLORS, conditional="categoric", **TINY)
