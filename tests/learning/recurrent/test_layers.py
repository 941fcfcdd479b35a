"""The layers are torch.nn's, forward and backward, to 1e-12."""

import pytest
import torch
from torch import nn

from phosphene.core.errors import ChoiceError, ConfigError, DataError, PhospheneError
from phosphene.learning.backprop.torch_bridge import AsModule
from phosphene.learning.recurrent.gru import GRU, gru_step
from phosphene.learning.recurrent.lstm import LSTM, lstm_step
from phosphene.learning.recurrent.rnn import RNN

KINDS = {
    "tanh": (RNN, nn.RNN(3, 5, nonlinearity="tanh", dtype=torch.float64)),
    "relu": (RNN, nn.RNN(3, 5, nonlinearity="relu", dtype=torch.float64)),
    "lstm": (LSTM, nn.LSTM(3, 5, dtype=torch.float64)),
    "gru": (GRU, nn.GRU(3, 5, dtype=torch.float64)),
    "no biases": (GRU, nn.GRU(3, 5, bias=False, dtype=torch.float64)),
}
TOLERANCE = {"rtol": 1e-12, "atol": 1e-12}


def same(a, b):
    torch.testing.assert_close(a, b, **TOLERANCE)


def run_torch(module, x, dy, h0, c0=None, dc=None):
    """Outputs, gradients of weights, of x and of where the states began."""
    module.zero_grad()
    x, h0 = x.clone().requires_grad_(), h0.clone().requires_grad_()
    c0 = None if c0 is None else c0.clone().requires_grad_()
    y, last = module(x, h0[None] if c0 is None else (h0[None], c0[None]))
    loss = (y * dy).sum()
    if c0 is not None:
        loss = loss + (last[1][0] * dc).sum()
    loss.backward()
    return y.detach(), x.grad, h0.grad, None if c0 is None else c0.grad


@pytest.mark.parametrize("name", KINDS)
def test_outputs_and_all_gradients_are_torchs(name, x, dy):
    kind, module = KINDS[name]
    layer = kind.from_torch(module)
    h0, c0, dc = (torch.randn(4, 5, dtype=torch.float64) for _ in range(3))
    cell = (c0, dc) if kind is LSTM else ()
    y = layer.forward(x, h0, *cell[:1])
    dx = layer.backward(dy, *cell[1:])
    expected, its_dx, its_dh, its_dc = run_torch(module, x, dy, h0, *cell)
    same(y, expected)
    same(dx, its_dx)
    same(layer.state_grads["h"], its_dh)
    if kind is LSTM:
        same(layer.state_grads["c"], its_dc)
    for key, value in layer.torch_names(layer.grads).items():
        if hasattr(module, key):
            same(value, getattr(module, key).grad)


@pytest.mark.parametrize("name", KINDS)
def test_weights_go_there_and_back(name, x):
    kind, module = KINDS[name]
    layer = kind.from_torch(module)
    there = layer.to_torch()
    back = kind.from_torch(there)
    for key, value in layer.parameters.items():
        assert torch.equal(value, back.parameters[key]), key
    with torch.no_grad():
        same(there(x)[0], layer.forward(x))


def test_the_gates_lie_otherwise_in_torch():
    """The rows of o and g change places; taken as they lie, the answer is another."""
    module = nn.LSTM(3, 5, dtype=torch.float64)
    layer = LSTM.from_torch(module)
    mine, its = layer.parameters["W_xh"].chunk(4), module.weight_ih_l0.detach().chunk(4)
    for k, there in enumerate((0, 1, 3, 2)):
        assert torch.equal(mine[k], its[there])
    x = torch.randn(7, 4, 3, dtype=torch.float64)
    right = layer.forward(x).clone()
    layer.parameters["W_xh"].copy_(module.weight_ih_l0.detach())
    assert (layer.forward(x) - right).abs().max() > 1e-3


def test_gradients_are_those_of_autograd_and_of_differences(layer, x, dy):
    """Every kind, torch.nn's or not: by autograd through the formula, and by finite differences."""
    weights = {k: p.clone().requires_grad_() for k, p in layer.parameters.items()}
    x = x.requires_grad_()
    h = c = torch.zeros(4, 5, dtype=torch.float64)
    total = 0.0
    for t in range(len(x)):
        a = x[t] @ weights["W_xh"].T + weights["b"]
        if isinstance(layer, GRU):
            u = h @ weights["W_hh"].T + torch.cat([torch.zeros(10).double(), weights["b_n"]])
            h = gru_step(a, u, h)
        elif isinstance(layer, LSTM):
            h, c = lstm_step(a + h @ weights["W_hh"].T, c)
        else:
            f = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid}
            h = f[layer.activation](a + h @ weights["W_hh"].T)
        total = total + (h * dy[t]).sum()
    total.backward()
    y = layer.forward(x.detach())
    assert float((y * dy).sum()) == pytest.approx(total.item(), rel=1e-12)
    same(layer.backward(dy), x.grad)
    for key, value in layer.grads.items():
        same(value, weights[key].grad)
        p, step = layer.parameters[key], 1e-6
        values = []
        for sign in (1, -1):
            p.view(-1)[1] += sign * step
            values.append(float((layer.forward(x.detach()) * dy).sum()))
            p.view(-1)[1] -= sign * step
        found = (values[0] - values[1]) / (2 * step)
        assert found == pytest.approx(float(value.view(-1)[1]), rel=1e-6, abs=1e-6)


def test_torch_can_train_them(made, x, dy):
    """Inside a network of torch's: the gradients that autograd is handed are ours."""
    module = AsModule(made(seed=1, dtype=torch.float64))
    module(x.requires_grad_()).mul(dy).sum().backward()
    layer = made(seed=1, dtype=torch.float64)
    layer.forward(x.detach())
    same(x.grad, layer.backward(dy))
    for name, p in module.named_parameters():
        same(p.grad, layer.grads[name])


def test_nothing_is_recorded_and_grads_are_of_the_last_pass(layer, x, dy):
    y = layer.forward(x.clone().requires_grad_())
    assert not y.requires_grad
    layer.backward(dy)
    first = {k: g.clone() for k, g in layer.grads.items()}
    layer.backward(dy)
    assert set(first) == set(layer.parameters)
    for key, value in layer.grads.items():
        assert torch.equal(value, first[key])
        assert value.shape == layer.parameters[key].shape


def test_float32_works_and_numbers_can_change_type(made):
    layer = made(seed=2, dtype=torch.float64).to(torch.float32)
    y = layer.forward(torch.randn(6, 2, 3))
    assert y.dtype == layer.backward(torch.ones_like(y)).dtype == torch.float32


def test_weights_are_a_function_of_the_seed(made):
    a, b, other = made(seed=3), made(seed=3), made(seed=4)
    for key, value in a.parameters.items():
        assert torch.equal(value, b.parameters[key])
    assert not torch.equal(a.parameters["W_hh"], other.parameters["W_hh"])


def test_the_forget_gate_begins_open():
    i, f, o, g = LSTM(3, 5).parameters["b"].chunk(4)
    assert f.tolist() == [1.0] * 5
    assert not any(v.any() for v in (i, o, g))
    assert not LSTM(3, 5, forget_bias=0.0).parameters["b"].any()


def test_an_open_cell_keeps_its_gradient_exactly():
    """f = 1 and i = 0: dc_T/dc_0 = 1 after 1,000 steps, and c does not move."""
    layer = LSTM(2, 3, dtype=torch.float64)
    for name in ("W_xh", "W_hh"):
        layer.parameters[name].zero_()
    i, f, _, _ = layer.parameters["b"].chunk(4)
    i.fill_(-1000.0)
    f.fill_(1000.0)
    c0 = torch.randn(1, 3, dtype=torch.float64)
    layer.forward(torch.randn(1000, 1, 2, dtype=torch.float64), c0=c0)
    assert torch.equal(layer.states["c"][-1], c0)
    layer.backward(torch.zeros(1000, 1, 3, dtype=torch.float64), torch.ones(1, 3).double())
    assert torch.equal(layer.state_grads["c"], torch.ones(1, 3).double())


# -- bad input ----------------------------------------------------------------------------------


def refused(error, call, *words):
    with pytest.raises(error) as caught:
        call()
    text = str(caught.value)
    assert isinstance(caught.value, PhospheneError)
    assert "\n" not in text
    assert all(word in text for word in words), text


def test_bad_tensors_are_refused(layer, x, dy):
    refused(DataError, lambda: layer.backward(dy), "forward pass before")
    refused(DataError, lambda: layer.forward(x[0]), "(any, any, 3)", "(4, 3)")
    refused(DataError, lambda: layer.forward(x[..., :2]), "(7, 4, 2)")
    refused(DataError, lambda: layer.forward(x.float()), "torch.float64", "torch.float32")
    refused(DataError, lambda: layer.forward(x, torch.zeros(3, 5).double()), "h0", "(4, 5)")
    layer.forward(x)
    refused(DataError, lambda: layer.backward(dy[:3]), "dy", "(7, 4, 5)")


def test_only_an_lstm_has_a_cell(x):
    layer = RNN(3, 5, dtype=torch.float64)
    refused(DataError, lambda: layer.forward(x, c0=torch.zeros(4, 5).double()), "no cell")
    layer.forward(x)
    dy, dc = torch.zeros(7, 4, 5).double(), torch.zeros(4, 5).double()
    refused(DataError, lambda: layer.backward(dy, dc), "no cell")
    layer = LSTM(3, 5, dtype=torch.float64)
    layer.forward(x)
    refused(DataError, lambda: layer.backward(dy, dc[:2]), "dc", "(4, 5)")


def test_bad_settings_are_refused():
    refused(ConfigError, lambda: LSTM(0, 5), "inputs must be at least 1, got 0")
    refused(ConfigError, lambda: GRU(3, 2.5), "hidden must be a whole number, got 2.5")
    refused(ChoiceError, lambda: RNN(3, 5, activation="tan"), "did you mean 'tanh'?")
    for bias in ("1", None, True, float("nan"), float("inf"), 1e300, 10**400):
        words = "forget_bias must be a finite number"
        refused(ConfigError, lambda bias=bias: LSTM(3, 5, forget_bias=bias), words)


def test_other_layers_of_torch_are_refused():
    refused(ConfigError, lambda: LSTM.from_torch(nn.GRU(3, 5)), "torch.nn.LSTM, got GRU")
    refused(ConfigError, lambda: RNN.from_torch(nn.Linear(3, 5)), "torch.nn.RNN, got Linear")
    refused(ConfigError, lambda: GRU.from_torch(nn.GRU(3, 5, 2)), "num_layers must be 1, got 2")
    two = nn.LSTM(3, 5, bidirectional=True)
    refused(ConfigError, lambda: LSTM.from_torch(two), "bidirectional must be False")
    short = nn.LSTM(3, 5, proj_size=2)
    refused(ConfigError, lambda: LSTM.from_torch(short), "proj_size must be 0, got 2")
    refused(ConfigError, RNN(3, 5, activation="sigmoid").to_torch, "no activation 'sigmoid'")
