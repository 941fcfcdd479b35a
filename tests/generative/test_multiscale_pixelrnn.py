"""Multi-scale PixelRNN: its order, what its two networks see, and that each state comes once."""

import itertools

import pytest
import torch

from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, EventError
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.autoregressive.layers import image_lstm as recurrent
from phosphene.generative.autoregressive.multiscale_pixelrnn import MultiscalePixelRNN


def small(event: Event, **settings: object) -> MultiscalePixelRNN:
    """A small model in float64 whose weights hide nothing."""
    with seeded(0):
        chosen = {"hidden": 6, "layers": 1, "kernel": 3, **settings}
        model = MultiscalePixelRNN(event, **chosen).double()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.7)
    return model


def images(event: Event, n: int = 2) -> torch.Tensor:
    return torch.randint(event.levels, (n, *event.shape), generator=generator(1)).double()


def test_the_small_image_comes_first():
    model = small(Event.image(1, (3, 5), levels=2), stride=2)
    assert model.order[:6].tolist() == [0, 2, 4, 10, 12, 14]
    assert model.order[6:].tolist() == [1, 3, 5, 6, 7, 8, 9, 11, 13]
    colors = small(Event.image(3, (2, 3), levels=2), stride=2).order.tolist()
    assert colors[:7] == [0, 6, 12, 2, 8, 14, 1]


@pytest.mark.parametrize("stride", [2, 3])
def test_everything_before_is_seen_and_nothing_after(stride):
    event = Event.image(1, (5, 6), levels=2)
    model = small(event, stride=stride, kernel=5)
    x = images(event, 16).requires_grad_()
    params = model.conditionals(x).sum((0, 2))
    rows = [torch.autograd.grad(p, x, retain_graph=True)[0].flatten(1) for p in params]
    seen = [set(row.abs().sum(0).nonzero()[:, 0].tolist()) for row in rows]
    order = model.order.tolist()
    for rank, i in enumerate(order):
        assert seen[i] == set(order[:rank]), f"dimension {i}"


def test_the_small_image_has_its_own_likelihood():
    """Summed over all other pixels, the likelihood is that of the small network."""
    event = Event.image(1, 3, levels=2)
    model = small(event)
    corners, others = model.order[:4], model.order[4:]
    x = torch.zeros(32, 9, dtype=torch.float64)
    x[:, others] = torch.tensor(list(itertools.product((0.0, 1.0), repeat=5)), dtype=torch.float64)
    x[:, corners] = torch.tensor([1.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    total = model.log_prob(x.view(-1, 1, 3, 3)).logsumexp(0)
    params = model.conditionals(x[:1].view(1, 1, 3, 3))
    alone = model.conditional.log_prob(params, x[:1])[:, corners].sum()
    torch.testing.assert_close(total, alone, atol=1e-10, rtol=0)


@pytest.mark.parametrize("layer", ["row", "diagonal"])
@pytest.mark.parametrize("channels", [1, 3])
def test_each_state_is_computed_once(layer, channels, monkeypatch):
    calls = []
    cell = recurrent.lstm_cell
    monkeypatch.setattr(recurrent, "lstm_cell", lambda *a: calls.append(1) or cell(*a))
    model = small(Event.image(channels, (4, 5), levels=2), layer=layer, stride=2)
    u = torch.rand(3, model.event.dimensions, 1, generator=generator(2), dtype=torch.float64)
    with torch.no_grad():
        fast, slow = model.generate(u), model.generate(u, naive=True)
    assert torch.equal(fast, slow)
    # A small image of 2 x 3; in the whole one its pixels are known, and passed once.
    mirrored = 3 + 15 if layer == "diagonal" else 0
    assert len(calls) == 6 * channels + 6 + 14 * channels + mirrored


def test_inpainting_from_the_small_image_keeps_it():
    event = Event.image(1, 4, levels=2)
    model, x = small(event), images(event, 6).to(torch.uint8)
    mask = torch.zeros(1, 4, 4, dtype=torch.bool)
    mask[:, ::2, ::2] = True
    y = model.inpaint(x, mask, generator=generator(3))
    assert torch.equal(y[:, :, ::2, ::2], x[:, :, ::2, ::2])
    assert not torch.equal(y, x)
    with pytest.raises(EventError, match="first in its order"):
        model.inpaint(x, torch.arange(16).view(4, 4) == 15, generator=generator(3))


def test_labels_reach_both_networks():
    model = small(Event.image(1, 4, levels=2), context=ContextSpec(label=2))
    x = images(model.event, 3)
    one, other = (
        model.conditionals(x, Context(label=torch.full((3,), y)))[..., 0] for y in range(2)
    )
    differs = (one != other).all(0)
    assert differs[model.order[0]]
    assert differs[model.order[-1]]


@pytest.mark.parametrize(
    ("event", "settings", "words"),
    [
        (Event.binary(9), {}, "codes of an image"),
        (Event.image(1, 4), {"stride": 1}, r"stride must lie in 2..3"),
        (Event.image(1, 4), {"stride": 4}, r"stride must lie in 2..3"),
        (Event.image(1, 4), {"layer": "column"}, "got 'column'"),
        (Event.image(1, 4), {"kernel": 2}, "nearest is 3"),
    ],
)
def test_bad_settings_are_refused_in_a_sentence(event, settings, words):
    with pytest.raises((EventError, ConfigError, ValueError), match=words):
        MultiscalePixelRNN(event, **settings)
