"""PixelRNN: what each layer can see, that each state is computed once, and what is refused."""

import pytest
import torch

from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, EventError, UnknownNameError
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.autoregressive.layers import image_lstm as recurrent
from phosphene.generative.autoregressive.pixelrnn import PixelRNN

Pixel = tuple[int, int]


def small(event: Event, **settings: object) -> PixelRNN:
    """A small model in float64 whose weights hide nothing."""
    with seeded(0):
        model = PixelRNN(event, **{"hidden": 6, "layers": 1, "kernel": 3, **settings}).double()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.7)
    return model


def images(event: Event, n: int = 2) -> torch.Tensor:
    return torch.randint(event.levels, (n, *event.shape), generator=generator(1)).double()


def seen_by(model: PixelRNN) -> list[set[int]]:
    """For each dimension the dimensions whose value its conditional depends on, by gradients."""
    event = model.event
    x = images(event, 8).requires_grad_()  # a rectifier that is off for one is on for another
    params = model.conditionals(x).sum((0, 2))
    rows = [torch.autograd.grad(p, x, retain_graph=True)[0].flatten(1) for p in params]
    return [set(row.abs().sum(0).nonzero()[:, 0].tolist()) for row in rows]


@pytest.mark.parametrize("size", [(5, 6), (6, 4)])
def test_one_diagonal_layer_sees_exactly_all_previous_pixels(size):
    seen = seen_by(small(Event.image(1, size, levels=2)))
    assert seen == [set(range(i)) for i in range(size[0] * size[1])]


def triangle(i: int, j: int, size: Pixel, layers: int) -> set[Pixel]:
    """What a Row LSTM can see, from its definition: sets of pixels, no tensors."""
    height, width = size

    def inside(cells: set[Pixel]) -> set[Pixel]:
        return {(a, b) for a, b in cells if 0 <= a < height and 0 <= b < width}

    def first(cell: Pixel) -> set[Pixel]:  # 3 x 3, mask A
        a, b = cell
        return inside({(a - 1, b - 1), (a - 1, b), (a - 1, b + 1), (a, b - 1)})

    def grown(cells: set[Pixel]) -> set[Pixel]:  # the row itself and the triangle of states above
        states = set(cells)
        for a, b in cells:
            states |= {(a - d, b + s) for d in range(a + 1) for s in range(-d, d + 1)}
        return inside({(a, b - s) for a, b in inside(states) for s in (0, 1)})

    cells = {(i, j)}
    for _ in range(layers):
        cells = cells | grown(cells)
    return set().union(*map(first, cells)) if cells else set()


@pytest.mark.parametrize("layers", [1, 2])
def test_row_layers_see_the_triangle(layers):
    size = (4, 9)
    seen = seen_by(small(Event.image(1, size, levels=2), layer="row", layers=layers))
    expected = [triangle(*divmod(p, size[1]), size, layers) for p in range(36)]
    assert seen == [{a * size[1] + b for a, b in cells} for cells in expected]
    assert seen[2 * 9 + 1] != set(range(2 * 9 + 1)), "a triangle is not everything"


@pytest.mark.parametrize("layer", ["row", "diagonal"])
def test_green_sees_red_and_blue_sees_both(layer):
    event = Event.image(3, (3, 3), levels=5)
    seen = seen_by(small(event, layer=layer))
    for pixel in range(9):
        red, green, blue = (seen[c * 9 + pixel] & {pixel, 9 + pixel, 18 + pixel} for c in range(3))
        assert (red, green, blue) == (set(), {pixel}, {pixel, 9 + pixel})
    before = {c * 9 + p for c in range(3) for p in range(8)}
    assert seen[8] == before or layer == "row"


@pytest.mark.parametrize("layer", ["row", "diagonal"])
@pytest.mark.parametrize("channels", [1, 3])
def test_each_state_is_computed_once_a_color(layer, channels, monkeypatch):
    calls = []
    cell = recurrent.lstm_cell
    monkeypatch.setattr(recurrent, "lstm_cell", lambda *a: calls.append(1) or cell(*a))
    model = small(Event.image(channels, (4, 5), levels=2), layer=layer, layers=2)
    u = torch.rand(3, model.event.dimensions, 1, generator=generator(2), dtype=torch.float64)
    with torch.no_grad():
        fast, slow = model.generate(u), model.generate(u, naive=True)
    assert torch.equal(fast, slow)
    forward, mirrored = 20 * channels, 15 if layer == "diagonal" else 0
    assert len(calls) == 2 * (forward + mirrored)


def test_walks_carry_gradients():
    model = small(Event.image(1, 3, levels=2), layers=2)
    x = images(model.event)
    parallel = torch.autograd.grad(model.log_prob(x).sum(), list(model.parameters()))
    walked = torch.autograd.grad(model.log_prob_sequential(x).sum(), list(model.parameters()))
    for one, other in zip(parallel, walked, strict=True):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("layer", ["row", "diagonal"])
def test_labels_change_the_image_and_are_recognized(layer):
    model = small(Event.image(1, 4, levels=2), context=ContextSpec(label=2), layer=layer)
    x = images(model.event, 3)
    given = [model.log_prob(x, Context(label=torch.full((3,), y))) for y in range(2)]
    assert not torch.allclose(*given)
    posterior = torch.stack(given, 1).log_softmax(1)
    torch.testing.assert_close(model.classify(x), posterior, atol=1e-6, rtol=0)


def test_it_starts_at_the_marginals():
    from phosphene.core.batch import Batch

    event = Event.image(1, 4, levels=2)
    x = (torch.rand(200, 1, 4, 4, generator=generator(3)) < 0.2).to(torch.uint8)
    model = PixelRNN(event, hidden=4, layers=1)
    model.prepare(Batch.of(x))
    frequency = (x.flatten(1).sum(0) + 0.5) / 201
    torch.testing.assert_close(model.conditionals(x[:1])[0, :, 0].sigmoid(), frequency)


def test_features_round_up_to_the_colors():
    model = PixelRNN(Event.image(3, 4, levels=4), hidden=4, layers=1)
    assert model.net.head.weight.shape == (12, 12)


@pytest.mark.parametrize(
    ("event", "settings", "words"),
    [
        (Event.binary(9), {}, "codes of an image"),
        (Event.real(1, 3, 3), {}, "codes of an image"),
        (Event.image(1, 3), {"layer": "diagnoal"}, "'diagonal'"),
        (Event.image(1, 3), {"layer": "rows"}, "'row'"),
        (Event.image(1, 3), {"hidden": 0}, "hidden must be at least 1"),
        (Event.image(1, 3), {"layers": 0}, "layers must be at least 1"),
        (Event.image(1, 3), {"kernel": 4}, "nearest is 3"),
        (Event.image(1, 3), {"kernel": 1}, "nearest is 3"),
        (Event.image(1, 3), {"dropout": 1.0}, "dropout"),
        (Event.image(1, 3), {"conditional": "bernoulli"}, "codes 0 and 1"),
    ],
)
def test_bad_settings_are_refused_in_a_sentence(event, settings, words):
    with pytest.raises((EventError, ConfigError, UnknownNameError), match=words):
        PixelRNN(event, **settings)


def test_a_mask_out_of_order_is_refused():
    model = small(Event.image(1, 4, levels=2))
    mask = torch.zeros(1, 4, 4, dtype=torch.bool)
    mask[0, 3, 3] = True
    with pytest.raises(EventError, match=r"knows pixel \(3, 3\)"):
        model.inpaint(images(model.event), mask, generator=generator(4))
