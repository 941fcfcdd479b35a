"""The transformer: one step at a time equals one pass, others' weights, what it refuses."""

import pytest
import torch

from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, EventError, UnknownNameError
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.autoregressive.layers.decoding import Decoding
from phosphene.generative.autoregressive.layers.positions import Rotary
from phosphene.generative.autoregressive.layers.transformer import Block, Norm, drop_features
from phosphene.generative.autoregressive.transformer import Transformer
from phosphene.nn.choosing import Choosing

SIZES = {"width": 8, "depth": 2, "heads": 2}
EVENTS = [
    Event.tokens(7, 5),
    Event.tokens(3, 300),
    Event.binary(6),
    Event.image(1, (2, 3), levels=2),
    Event.image(3, (2, 3), levels=4),
    Event.image(3, 2, levels=256),
    Event.audio(5, levels=256),
    Event.real(3),
    Event.real(2, 2, 3),
]
VARIANTS = [
    {},
    {"positions": "sinusoidal", "norm": "rms"},
    {"positions": "learned", "bias": True, "feed_forward": "gelu-tanh"},
    {"feed_forward": "swiglu", "dropout": 0.3, "mlp_ratio": 1.5},
]


def examples(event, n=4, seed=0):
    g = generator(seed)
    if event.levels is None:
        return torch.randn((n, *event.shape), generator=g, dtype=torch.float64)
    return torch.randint(event.levels, (n, *event.shape), generator=g)


def build(event, *, context=None, **settings):
    """A model in float64 whose weights are all at work."""
    with seeded(0):
        model = Transformer(event, context=context, **{**SIZES, **settings}).double()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize("settings", VARIANTS, ids=str)
@pytest.mark.parametrize("event", EVENTS, ids=str)
@torch.no_grad()
def test_one_step_at_a_time_equals_one_pass(event, settings):
    model, x = build(event, **settings), examples(event)
    model.prepare(Batch.of(x))
    params, step = model.conditionals(x), model.stepper(4)
    flat = torch.zeros(4, event.dimensions, dtype=torch.float64)
    for k, i in enumerate(model.order.tolist()):
        assert float((step(k, flat) - params[:, i]).abs().max()) <= 1e-10
        flat[:, i] = x.flatten(1)[:, i].double()


@torch.no_grad()
def test_channels_of_a_pixel_follow_each_other():
    model = build(Event.image(3, (1, 2), levels=4))
    assert model.order.tolist() == [0, 2, 4, 1, 3, 5]
    x = examples(model.event, 1)
    before = model.conditionals(x)
    x[0, 1, 0, 0] = (x[0, 1, 0, 0] + 1) % 4  # the green of the first pixel
    moved = (model.conditionals(x) - before).abs().sum((0, 2)) > 1e-9
    assert moved.tolist() == [False, True, False, True, True, True]


@torch.no_grad()
def test_pairs_tell_a_code_and_the_one_before_it():
    model = build(Event.tokens(6, 5), depth=1, pairs=True)
    assert build(Event.tokens(6, 5)).pairs is not None, "the default for text"
    assert build(Event.binary(6)).pairs is None
    x = examples(model.event, 3)
    table = model.pairs.weight.view(6, 5, 8)
    values = x[:, :-1]
    before = torch.cat([torch.full((3, 1), 5), values[:, :-1]], 1)
    expected = model.embed.weight[values] + table[before, values]
    assert torch.equal(model._embedded(values, model._before(values)), expected)


@torch.no_grad()
def test_a_large_request_is_drawn_in_parts(monkeypatch):
    model = build(Event.tokens(6, 5))
    u = torch.rand((7, 6, 1), generator=generator(0), dtype=torch.float64)
    whole = model.generate(u)
    monkeypatch.setattr("phosphene.generative.autoregressive.transformer._CACHE_BYTES", 3 * 1536)
    assert torch.equal(model.generate(u), whole)


@torch.no_grad()
def test_each_label_has_its_own_start():
    model = build(Event.tokens(6, 5), context=ContextSpec(label=3))
    x = examples(model.event, 1).expand(3, -1)
    values = model.log_prob(x, Context(label=torch.arange(3)))
    assert len(set(values.tolist())) == 3
    marginal = torch.logsumexp(values - torch.tensor(3.0).log(), 0)
    assert float(model.log_prob(x[:1])) == pytest.approx(float(marginal), abs=1e-12)


def test_a_fresh_model_starts_at_the_marginals():
    event = Event.tokens(4, 3)
    x = torch.tensor([[0, 0, 0, 1], [0, 2, 0, 0]])
    model = Transformer(event, **SIZES)
    model.prepare(Batch.of(x))
    p = torch.softmax(model.conditionals(x), -1)
    assert p.detach()[0, 0].tolist() == pytest.approx([6 / 8, 1 / 8, 1 / 8], abs=2e-2)
    assert torch.equal(p[0, 0], p[1, 3])


def test_dropout_is_the_batchs_and_drops_features_of_all_positions():
    model = build(Event.tokens(6, 5), dropout=0.5)
    x = examples(model.event, 4)
    one, same, other = (model.loss(Batch.of(x, seed=s)).total for s in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    model.eval()
    assert torch.equal(model.loss(Batch.of(x)).total, -model.log_prob(x).mean())
    dropped = drop_features(torch.ones(3, 5, 8), 0.5, Batch.of(x[:3]).uniform)
    assert bool((dropped == dropped[:, :1]).all())
    assert 0 < float((dropped == 0).float().mean()) < 1


def test_half_precision_trains_near_full():
    model = build(Event.tokens(12, 5)).float()
    batch = Batch.of(examples(model.event, 4))
    exact = model.loss(batch).total
    with torch.autocast("cpu", torch.bfloat16):
        half = model.loss(batch).total
    half.backward()
    assert float(half.detach()) == pytest.approx(float(exact.detach()), rel=2e-2)
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in model.parameters())


@pytest.mark.parametrize("norm", ["layer", "rms"])
@torch.no_grad()
def test_decoding_folds_norms_exactly(norm):
    with seeded(0):
        blocks = [Block(8, 2, 12, norm=norm, bias=True).double() for _ in range(2)]
        last = Norm(norm, 8, bias=True).double()
        for module in (*blocks, last):
            for parameter in module.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
    x = examples(Event.real(5, 8), 3)
    head = torch.randn((4, 8), generator=generator(1), dtype=torch.float64)
    turn = Rotary(4)(torch.arange(5), torch.float64)
    h = x
    for block in blocks:
        h = block(h, turn=turn)
    step = Decoding(blocks, last, (head, None), n=3, length=5, turn=turn)
    for t in range(5):
        assert float((step(x[:, t]) - last(h)[:, t] @ head.T).abs().max()) <= 1e-12
    with pytest.raises(EventError, match=r"sequence of 6 .* 5 positions"):
        step(x[:, 0])


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
@pytest.mark.parametrize("n", [1, 3])
def test_it_holds_other_libraries_weights(kind, n):
    pytest.importorskip("transformers")
    from benchmarks.hugging_face_transformer import agreement, like, peer_model

    with seeded(0):
        peer = peer_model(kind, vocabulary=11, width=16, depth=2, heads=2, length=9).double()
    # In any precision, the peer's Llama computes its norms and rotary turns in single.
    assert agreement(peer, like(peer, 9), n) <= (1e-6 if kind == "llama" else 1e-10)


def test_greedy_takes_the_most_probable_and_below_zero_is_no_temperature():
    model = build(Event.tokens(5, 4))
    x = model.sample(2, temperature=0.0, generator=generator(0))
    assert torch.equal(x[0], x[1])
    assert torch.equal(model.conditionals(x).argmax(-1), x.long())
    with pytest.raises(ConfigError, match="temperature"):
        Choosing(temperature=-1.0)


@torch.no_grad()
def test_a_text_is_continued():
    model = build(Event.tokens(6, 5))
    x, mask = examples(model.event, 3), torch.arange(6) < 4
    y = model.inpaint(x, mask, generator=generator(0))
    assert torch.equal(y[:, :4].long(), x[:, :4])
    with pytest.raises(EventError, match="value 5"):
        model.inpaint(x, torch.arange(6) == 5)


def test_a_sequence_longer_than_the_positions():
    model = build(Event.tokens(6, 5))
    with pytest.raises(EventError, match=r"\(n, 6\), got \(1, 9\)"):
        model.log_prob(torch.zeros(1, 9))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"heads": 3}, "heads must divide the width 8, got 3"),
        ({"heads": 8}, "even size"),
        ({"depth": 0}, "depth must be at least 1, got 0"),
        ({"mlp_ratio": 0.0}, "mlp_ratio must be above 0"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1"),
        ({"width": 7, "heads": 1, "positions": "sinusoidal"}, "even width, got 7"),
    ],
)
def test_settings_it_refuses(settings, says):
    with pytest.raises(ConfigError, match=says):
        Transformer(Event.tokens(6, 5), **{**SIZES, **settings})


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("positions", "rotary"), ("norm", "layer"), ("feed_forward", "swiglu")],
)
def test_names_it_does_not_know(name, nearest):
    with pytest.raises(UnknownNameError, match=f"did you mean '{nearest}'"):
        Transformer(Event.tokens(6, 5), **{**SIZES, name: nearest + "s"})


@pytest.mark.parametrize(
    ("event", "settings"),
    [
        (Event.real(2), {"tied": True}),
        (Event.binary(4), {"tied": True}),
        (Event.real(2), {"pairs": True}),
        (Event.tokens(4, 300), {"pairs": True}),
    ],
)
def test_ties_and_pairs_need_codes(event, settings):
    with pytest.raises(ConfigError, match="allowed: False"):
        Transformer(event, **{**SIZES, **settings})
