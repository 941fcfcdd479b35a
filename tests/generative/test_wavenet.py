"""WaveNet: its formula, its receptive field, its rings, and the bad settings it names."""

import pytest
import torch
import torch.nn.functional as F

from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, EventError
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.autoregressive.layers.causal import (
    CausalConv,
    Window,
    causal_conv,
    gate,
    receptive_field,
)
from phosphene.generative.autoregressive.wavenet import WaveNet

SMALL = {"layers": 3, "stacks": 2, "channels": 4, "skip": 5}


def build(event, seed=0, **settings):
    """A small model in float64 whose last map, zero at the start, is not."""
    with seeded(seed):
        model = WaveNet(event, **{**SMALL, **settings}).double()
        torch.nn.init.normal_(model.output.weight)
    return model


@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (2, 1), (2, 5), (3, 4), (2, 30)])
def test_causal_convolution_is_torchs_with_padding_on_the_left(kernel, dilation):
    n, length = 3, 20
    conv = CausalConv(4, 6, kernel=kernel, dilation=dilation).double()
    x = torch.randn(n, 4, length, dtype=torch.float64, requires_grad=True)
    rows = x.permute(2, 0, 1).reshape(-1, 4)
    weight = conv.weight.permute(2, 1, 0)
    padded = F.pad(x, ((kernel - 1) * dilation, 0))
    oracle = F.conv1d(padded, weight, conv.bias, dilation=dilation)
    found = conv(rows, n).view(length, n, 6).permute(1, 2, 0)
    torch.testing.assert_close(found, oracle)
    g = torch.randn_like(oracle)
    wanted = (x, conv.direction, conv.bias)
    for ours, theirs in zip(
        torch.autograd.grad(found, wanted, g),
        torch.autograd.grad(oracle, wanted, g),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)
    with torch.no_grad():
        torch.testing.assert_close(conv(rows, n), found.permute(2, 0, 1).reshape(-1, 6))


def test_gradients_written_by_hand_are_right():
    x = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 3, 4, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda *a: causal_conv(*a, 2), (x, weight, bias))
    assert torch.autograd.gradcheck(lambda a, w: causal_conv(a, w, None, 2), (x, weight))
    assert torch.autograd.gradcheck(gate, (torch.randn(3, 8).double().requires_grad_(),))


def test_gate_is_tanh_times_sigmoid():
    a, b = torch.randn(2, 5, 3, dtype=torch.float64)
    expected = torch.tanh(a) * torch.sigmoid(b)
    torch.testing.assert_close(gate(torch.cat([2 * a, b], 1)), expected)
    near_zero = torch.tensor([[0.01, 10.0]], dtype=torch.bfloat16)
    assert float(gate(near_zero)) == pytest.approx(0.005, rel=0.02)


def test_layers_are_the_papers_formula():
    """An oracle in plain convolutions: tanh and sigmoid apart, skips added one by one."""
    model = build(Event.tokens(30, 4), kernel=3)
    x = torch.randint(4, (2, 30))
    h = torch.cat([model.past.start[None].expand(2, -1, -1), model.past.table[x[:, :-1]]], 1).mT
    skips = model.skip_bias[:, None]
    for i, d in enumerate([1, 2, 4, 1, 2, 4]):
        weight = model.taps[i].permute(2, 1, 0)
        u = F.conv1d(F.pad(h, (2 * d, 0)), weight, model.bias[i], dilation=d)
        z = torch.tanh(u[:, :4] / 2) * torch.sigmoid(u[:, 4:])
        skips = skips + model.skip[4 * i : 4 * i + 4].T @ z
        if i < 5:
            h = h + model.residual[i].T @ z
    logits = model.output(F.relu(model.hidden(F.relu(skips).mT)))
    torch.testing.assert_close(model.conditionals(x), logits)


@pytest.mark.parametrize(
    "settings", [{}, {"kernel": 3, "stacks": 1}, {"layers": 1, "stacks": 1}, {"layers": 5}]
)
def test_measured_receptive_field_is_the_formula(settings):
    model = build(Event.real(90), **settings)
    k, stacks = model.config["kernel"], model.config["stacks"]
    formula = 1 + (k - 1) * stacks * (2 ** model.config["layers"] - 1)
    assert model.receptive_field == receptive_field(k, model.dilations) == formula
    x = torch.randn(1, 90, dtype=torch.float64, requires_grad=True)
    (g,) = torch.autograd.grad(model.conditionals(x)[0, 80].sum(), x)
    seen = g[0].nonzero()[:, 0]
    assert (int(seen.min()), int(seen.max())) == (80 - formula, 79)


def test_jacobian_is_strictly_triangular():
    model = build(Event.real(40))
    x = torch.randn(1, 40, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda v: model.conditionals(v).sum(2)[0], x)
    assert torch.equal(jacobian[:, 0], jacobian[:, 0].tril(-1))


@pytest.mark.parametrize("dilation", [1, 2, 7, 50])
@pytest.mark.parametrize("kernel", [1, 2, 3])
def test_windows_hold_the_past(kernel, dilation):
    n, length = 2, 40
    conv = CausalConv(3, 5, kernel=kernel, dilation=dilation).double()
    rows = torch.randn(length * n, 3, dtype=torch.float64)
    window = Window(conv.weight, dilation, n, length)
    for t, row in enumerate(rows.split(n)):
        present, inputs, taps = window[t]
        present.copy_(row)
        y = torch.addmm(conv.bias, inputs, taps)
        torch.testing.assert_close(y, conv(rows, n)[t * n : (t + 1) * n])


@pytest.mark.parametrize(
    ("event", "context"),
    [
        (Event.audio(50, levels=16), ContextSpec(label=3)),
        (Event.real(50), None),
        (Event.binary(50), None),
        (Event.tokens(50, 5), ContextSpec(vector=Event.real(2))),
    ],
)
def test_rings_wrap_and_draw_what_the_naive_loop_draws(event, context):
    model = build(event, context=context, kernel=2)
    given = Context(label=torch.tensor([0, 1, 2]), vector=torch.randn(3, 2, dtype=torch.float64))
    u = torch.rand((3, 50, model.conditional.uniforms), generator=generator(1)).double()
    with torch.no_grad():
        fast, slow = (model.generate(u, given, naive=naive) for naive in (False, True))
    torch.testing.assert_close(fast.double(), slow.double(), rtol=1e-12, atol=1e-9)


def test_reals_share_one_scale():
    """Else the first batch's noise would tell positions apart."""
    model = build(Event.real(20))
    model.prepare(Batch.of(5 + 3 * torch.randn(64, 20)))
    assert torch.equal(model.conditional.scale, model.conditional.scale[:1].expand(20))
    assert float(model.conditional.shift[0]) == pytest.approx(5, abs=0.5)


def test_neighboring_amplitudes_start_alike():
    table = WaveNet(Event.audio(8, levels=256)).past.table.detach()
    near = (table[1:] - table[:-1]).norm(dim=1).mean()
    assert float(near) < 0.1 * float((table[128:] - table[:128]).norm(dim=1).mean())


def test_bad_settings_are_named():
    for name in ("layers", "stacks", "channels", "skip"):
        with pytest.raises(ConfigError, match=f"{name} must be (1 or more|at least 1)"):
            WaveNet(Event.audio(8), **{name: 0})
    with pytest.raises(ConfigError, match=r"kernel must be (2 or more|at least 2)"):
        WaveNet(Event.audio(8), kernel=1)
    with pytest.raises(EventError, match="one sequence"):
        WaveNet(Event.image(1, 8))


def test_a_sequence_of_one_value():
    model = build(Event.tokens(1, 3))
    total = model.log_prob(torch.arange(3)[:, None]).exp().sum()
    assert float(total) == pytest.approx(1, abs=1e-12)
    assert model.sample(4, generator=generator(0)).shape == (4, 1)
