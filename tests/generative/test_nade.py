"""NADE: its parallel hidden layers equal the sequential ones, forward and backward."""

import itertools
from functools import partial

import pytest
import torch
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, EventError, UnknownNameError
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.autoregressive.layers import running_sums as running
from phosphene.generative.autoregressive.layers import sparse_sums as running_changes
from phosphene.generative.autoregressive.nade import NADE, outputs_in_turn, sample_in_turn
from tests.helpers.tiny import examples

running_hidden = partial(running.running_hidden, formula=outputs_in_turn)
SHAPES = ((7, 3, 1, 1, 5), (6, 3, 1, 3, 4), (5, 2, 3, 4, 3), (37, 2, 1, 2, 3), (1, 2, 1, 1, 2))


def _weights(shape: tuple[int, ...], seed: int = 0) -> tuple[Tensor, ...]:
    ranks, n, features, size, hidden = shape
    g = generator(seed)

    def normal(*size: int) -> Tensor:
        return torch.randn(size, generator=g, dtype=torch.float64)

    x = normal(ranks, n, features) * (torch.rand((ranks, n, 1), generator=g) < 0.4)
    W, V, start = normal(ranks, features, hidden), normal(ranks, size, hidden), normal(n, hidden)
    gate = (torch.rand((n, hidden), generator=g) < 0.5).double() * 2
    return x, W, V, start, normal(ranks), gate


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("block", [1 << 18, 12])
def test_parallel_hidden_layers_equal_the_sequential_ones(
    activation: str, shape: tuple[int, ...], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_BLOCK", block)
    monkeypatch.setattr(running_changes, "_KEPT", block)
    x, W, V, start, rho, gate = _weights(shape)
    inputs = [t.requires_grad_() for t in (W, V, start, rho)]
    full = x + 1.0
    for values, factors, mask in itertools.product((x, full), (None, rho), (None, gate)):
        grads = []
        for f in (running_hidden, outputs_in_turn):
            y = f(values, W, V, start, rho=factors, gate=mask, activation=activation)
            weights = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)
            used = inputs if factors is not None else inputs[:3]
            grads.append(
                (y, *torch.autograd.grad((y * weights).sum(), used, materialize_grads=True))
            )
        for ours, theirs in zip(*grads, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("fill", [0.3, 1.0])
def test_gradients_are_those_of_finite_differences(fill: float) -> None:
    x, W, V, start, rho, gate = _weights((5, 2, 1, 2, 3))
    x = (x != 0).double() if fill < 1 else x + 1.0
    inputs = tuple(t.requires_grad_() for t in (W, V, start))
    assert torch.autograd.gradcheck(lambda W, V, s: running_hidden(x, W, V, s, gate=gate), inputs)
    seen = (x.clone().requires_grad_(), *inputs, rho.requires_grad_())
    assert torch.autograd.gradcheck(lambda x, W, V, s, r: running_hidden(x, W, V, s, rho=r), seen)


def test_what_is_drawn_in_turn_follows_the_outputs_in_turn() -> None:
    _, W, V, start, _, _ = _weights((9, 40, 1, 1, 5))
    u, c = torch.rand(40, 9, generator=generator(1), dtype=torch.float64), torch.linspace(-1, 1, 9)
    c = c.double()
    x = sample_in_turn(W[:, 0], V[:, 0], c, start, u)
    logits = outputs_in_turn(x.T[..., None], W, V, start)[..., 0].T + c
    assert torch.equal(x, (u >= torch.sigmoid(-logits)).double())
    assert 0 < float(x.mean()) < 1


def test_half_precision_is_not_used_for_sums() -> None:
    x, W, V, start, _, _ = (t.float() for t in _weights((7, 3, 1, 1, 5)))
    plain = running_hidden(x, W, V, start)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(running_hidden(x, W, V, start), plain)


def _model(event: Event, **settings: object) -> NADE:
    with seeded(0):
        model = NADE(event, **settings).double()  # type: ignore[arg-type]
    with torch.no_grad():
        for p in model.parameters():
            p += 0.5 * torch.randn(p.shape, generator=generator(1))
    return model


def test_first_conditional_sees_no_data() -> None:
    """h_1 = f(b) whatever x is: p(x_1) = g(c_1 + V_1 f(b))."""
    model = _model(Event.binary(6), hidden=4)
    params = model.conditionals(examples(model.event, 5))[:, 0]
    chain = model.chains[0]
    expected = chain.c[0] + chain.V[0] @ torch.sigmoid(chain.b)
    torch.testing.assert_close(params, expected.expand(5, 1), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "settings", [{}, {"inputs": "scaled"}, {"conditional": "logistic-bins", "components": 2}]
)
def test_codes_of_many_levels(settings: dict[str, object]) -> None:
    model = _model(Event.image(1, (2, 3), levels=3), hidden=4, **settings)
    states = torch.cartesian_prod(*[torch.arange(3)] * 6).view(-1, 1, 2, 3)
    assert abs(model.log_prob(states).exp().sum().item() - 1) < 1e-9


def test_orders_are_a_mixture() -> None:
    model = _model(Event.binary(5), hidden=4, orders=3)
    x = examples(model.event, 6)
    each = torch.stack([model.member_log_prob(x, member=m) for m in range(3)])
    torch.testing.assert_close(model.log_prob(x).exp(), each.exp().mean(0))
    assert bool((model.log_prob(x) >= each.mean(0)).all())
    assert model.order_of(0).tolist() == [0, 1, 2, 3, 4]
    assert len({tuple(model.order_of(m).tolist()) for m in range(3)}) == 3
    loss = model.train().loss(Batch.of(x))
    torch.testing.assert_close(loss.total, -each.mean())


def test_starts_near_the_marginals() -> None:
    with seeded(0):
        model = NADE(Event.binary(6), hidden=50)
    x = (torch.rand((400, 6), generator=generator(2)) < torch.linspace(0.1, 0.9, 6)).to(torch.uint8)
    model.prepare(Batch.of(x))
    p = torch.sigmoid(model.conditionals(x)[..., 0]).mean(0)
    assert float((p - x.float().mean(0)).abs().max()) < 0.2


def test_dropout_acts_in_training_alone() -> None:
    model = _model(Event.binary(6), hidden=8, dropout=0.5, input_dropout=0.3)
    x = examples(model.event, 4)
    batch = Batch.of(x)
    assert not torch.equal(model.loss(batch).total, -model.log_prob(x).mean())
    model.eval()
    torch.testing.assert_close(model.loss(batch).total, -model.log_prob(x).mean())


def test_labels_change_both_biases() -> None:
    spec = ContextSpec(label=3)
    with seeded(0):
        model = NADE(Event.binary(4), hidden=4, context=spec)
    x = examples(model.event, 3)
    params = [model.conditionals(x, Context(label=torch.full((3,), y))).detach() for y in range(3)]
    assert not torch.equal(params[0], params[1])
    assert torch.equal(model.classify(x).exp().sum(1).round(decimals=5), torch.ones(3))


@pytest.mark.parametrize(
    ("settings", "error", "word"),
    [
        ({"hidden": 0}, ConfigError, "hidden"),
        ({"orders": 0}, ConfigError, "orders"),
        ({"activation": "sigmod"}, UnknownNameError, "sigmoid"),
        ({"dropout": 1.0}, ConfigError, "dropout"),
        ({"input_dropout": -0.1}, ConfigError, "input_dropout"),
        ({"inputs": "onehot"}, ConfigError, "one-hot"),
        ({"conditional": "gaussian-mixture"}, EventError, "GaussianMixture"),
    ],
)
def test_bad_settings(settings: dict[str, object], error: type[Exception], word: str) -> None:
    with pytest.raises(error, match=word):
        NADE(Event.binary(4), **settings)  # type: ignore[arg-type]


def test_reals_are_sent_to_rnade() -> None:
    with pytest.raises(EventError, match="rnade"):
        NADE(Event.real(2))


def test_mask_that_the_order_cannot_condition_on() -> None:
    model = NADE(Event.image(1, 4, levels=2), hidden=2)
    x, mask = examples(model.event, 1), torch.zeros(1, 4, 4).bool()
    mask[0, 2, 3] = True
    with pytest.raises(EventError, match=r"knows pixel \(2, 3\).*1,024 states"):
        model.inpaint(x, mask)
    mask[0, :, 0] = True  # eight unknown values before the last known one have 256 states
    assert model.inpaint(x, mask, generator=generator(0)).shape == x.shape
