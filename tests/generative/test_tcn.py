"""TCN: its blocks, weight normalization, receptive field, dropout and rings."""

import pytest
import torch
import torch.nn.functional as F

from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, EventError
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.autoregressive.layers.causal import CausalConv
from phosphene.generative.autoregressive.layers.temporal import (
    TemporalBlock,
    TemporalNetwork,
    TemporalSteps,
)
from phosphene.generative.autoregressive.tcn import TCN

SMALL = {"channels": 16, "blocks": 3, "kernel": 2}


def build(event, seed=0, **settings):
    """A small model in float64 whose last map, zero at the start, is not."""
    with seeded(seed):
        model = TCN(event, **{**SMALL, **settings}).double()
        torch.nn.init.normal_(model.output.weight)
    return model


def test_weight_normalization_is_torchs():
    conv = CausalConv(3, 4, kernel=2, weight_norm=True).double()
    torch.testing.assert_close(conv.weight, conv.direction)  # starts with no effect
    with torch.no_grad():
        conv.direction.mul_(7.0)
        conv.length.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    oracle = torch._weight_norm(
        conv.direction.permute(2, 1, 0).contiguous(), conv.length[:, None, None], 0
    )
    torch.testing.assert_close(conv.weight.permute(2, 1, 0), oracle)
    torch.testing.assert_close(conv.weight.square().sum((0, 1)).sqrt(), conv.length)


def test_block_is_two_convolutions_and_a_shortcut():
    n, length = 2, 12
    block = TemporalBlock(3, 5, kernel=3, dilation=2).double()
    x = torch.randn(n, 3, length, dtype=torch.float64)

    def conv(layer, h):
        return F.conv1d(F.pad(h, (4, 0)), layer.weight.permute(2, 1, 0), layer.bias, dilation=2)

    inner = F.relu(conv(block.conv2, F.relu(conv(block.conv1, x))))
    oracle = F.relu(inner + block.shortcut(x.mT).mT)
    found = block(x.permute(2, 0, 1).reshape(-1, 3), n)
    torch.testing.assert_close(found.view(length, n, 5).permute(1, 2, 0), oracle)


@pytest.mark.parametrize(("blocks", "kernel"), [(1, 2), (3, 2), (2, 4)])
def test_measured_receptive_field_is_the_formula(blocks, kernel):
    model = build(Event.real(60), blocks=blocks, kernel=kernel)
    formula = 1 + 2 * (kernel - 1) * (2**blocks - 1)
    assert model.receptive_field == formula
    x = torch.randn(1, 60, dtype=torch.float64, requires_grad=True)
    (g,) = torch.autograd.grad(model.conditionals(x)[0, 50].sum(), x)
    seen = g[0].nonzero()[:, 0]
    assert (int(seen.min()), int(seen.max())) == (50 - formula, 49)


def test_jacobian_is_strictly_triangular():
    model = build(Event.real(30))
    x = torch.randn(1, 30, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda v: model.conditionals(v).sum(2)[0], x)
    assert torch.equal(jacobian[:, 0], jacobian[:, 0].tril(-1))


@pytest.mark.parametrize(
    ("event", "context"),
    [
        (Event.tokens(40, 5), ContextSpec(label=3)),
        (Event.real(40), None),
        (Event.binary(40), ContextSpec(vector=Event.real(2))),
        (Event.audio(40, levels=16), None),
    ],
)
def test_rings_wrap_and_draw_what_the_naive_loop_draws(event, context):
    model = build(event, context=context, kernel=3)
    given = Context(label=torch.tensor([0, 1, 2]), vector=torch.randn(3, 2, dtype=torch.float64))
    u = torch.rand((3, 40, model.conditional.uniforms), generator=generator(1)).double()
    with torch.no_grad():
        fast, slow = (model.generate(u, given, naive=naive) for naive in (False, True))
    torch.testing.assert_close(fast.double(), slow.double(), rtol=1e-12, atol=1e-9)


def test_steps_of_a_network_with_other_channels():
    n, length = 2, 25
    network = TemporalNetwork(3, 6, blocks=2, kernel=2).double()
    rows = torch.randn(length * n, 3, dtype=torch.float64)
    steps = TemporalSteps(network, n, length)
    with torch.no_grad():
        whole = network(rows, n)
        for t, row in enumerate(rows.split(n)):
            steps.slot(t).copy_(row)
            torch.testing.assert_close(steps(t), whole[t * n : (t + 1) * n])


@pytest.mark.parametrize("length", [1, 2, 13, 40])
def test_the_last_output_alone_is_the_same(length):
    n = 3
    network = TemporalNetwork(2, 6, blocks=4, kernel=3).double()
    rows = torch.randn(length * n, 2, dtype=torch.float64)
    torch.testing.assert_close(network.last(rows, n), network(rows, n)[-n:])


def test_dropout_takes_a_channel_at_all_times_and_comes_with_the_batch():
    model = build(Event.tokens(20, 5), dropout=0.5)
    x = torch.randint(5, (6, 20))
    batch = Batch.of(x)
    assert float(model.loss(batch).total) != float(-model.log_prob(x).mean())
    same = float(model.loss(Batch.of(x)).total)
    assert same == float(model.loss(Batch.of(x)).total)
    block = TemporalBlock(4, 4, kernel=2, dilation=1, dropout=0.5).double()
    h = block._dropped(torch.ones(7 * 2, 4, dtype=torch.float64), 2, Batch.of(x[:2]).uniform)
    kept = h.view(7, 2, 4)
    assert torch.equal(kept, kept[:1].expand(7, 2, 4))
    assert set(h.flatten().tolist()) == {0.0, 2.0}


def test_bad_settings_are_named():
    for name in ("channels", "blocks"):
        with pytest.raises(ConfigError, match=f"{name} must be (1 or more|at least 1)"):
            TCN(Event.tokens(8, 3), **{name: 0})
    with pytest.raises(ConfigError, match=r"kernel must be (2 or more|at least 2)"):
        TCN(Event.tokens(8, 3), kernel=1)
    with pytest.raises(ConfigError, match="dropout"):
        TCN(Event.tokens(8, 3), dropout=1.0)
    with pytest.raises(EventError, match="one sequence"):
        TCN(Event.image(1, 8))
