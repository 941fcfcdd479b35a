"""The lessons on recurrent networks say what their pictures show."""

from itertools import pairwise

import pytest
import torch

from phosphene.api.learn import learn
from phosphene.core.errors import ConfigError
from phosphene.core.rng import generator
from phosphene.learning.recurrent.adding import Adder, adding_problem, trained
from phosphene.learning.recurrent.lstm import LSTM
from phosphene.learning.recurrent.rnn import RNN


def test_spectrum_below_its_bounds_and_above_the_eigenvalue():
    lesson = learn("rnn-spectrum", steps=30)
    lines = lesson.panels[2].lines
    for name in ("tanh", "sigmoid"):
        found, bound = lines[f"{name} network"][1], lines[f"bound, {name}"][1]
        assert all(f <= b * (1 + 1e-9) for f, b in zip(found, bound, strict=False))
    assert lines["W^t alone"][1][20] > lines["eigenvalue^t"][1][20]
    symmetric = learn("rnn-spectrum", steps=10, skew=0.0).numbers
    assert symmetric["largest singular value"] == pytest.approx(0.95)


def test_truncation_loses_less_by_windows():
    lesson = learn("truncated-backprop", hidden=8, length=24)
    lines = lesson.panels[0].lines
    windows, chunks = (lines[f"{k} of kappa"][1] for k in ("window", "chunks"))
    assert sum(windows) < 0.8 * sum(chunks)
    assert windows == sorted(windows, reverse=True)
    assert lesson.numbers["bias, window of all"] < 1e-12
    assert lesson.panels[1].values.sum(1).max() == 4
    assert lesson.panels[2].values[4].tolist() == [0] * 4 + [1] + [0] * 7


def test_clipping_holds_at_the_cliff():
    numbers = learn("gradient-clipping").numbers
    assert numbers["clipped: longest step, in units of lr"] <= 1
    assert numbers["as it is: longest step, in units of lr"] > 5
    assert numbers["clipped: loss at the end"] < 0.01 < 0.2 < numbers["as it is: loss at the end"]


def test_an_lstm_reaches_farther_back():
    numbers = learn("lstm", hidden=8, length=40).numbers
    left = {k.split(":")[0]: v for k, v in numbers.items() if "part left" in k}
    assert left["LSTM, forget bias 1"] > 100 * left["RNN, tanh"]
    assert numbers["f = 1, i = 0: dc_T/dc_0"] == 1.0


def test_adding_is_shown():
    lesson = learn("adding-problem-lstm", length=6, steps=60, hidden=8)
    assert set(lesson.panels[0].lines) == {"LSTM", "RNN", "saying 1"}
    assert len(lesson.panels[0].lines["LSTM"][0]) == 3


def test_gradients_of_an_adder_are_those_of_autograd():
    adder = Adder.of(LSTM(2, 4, seed=1))
    adder.w += 0.5
    x, y = adding_problem(5, 8, generator(0))
    error, gradients = adder.gradients(x, y)
    module = adder.layer.to_torch()
    w, b = adder.w.clone().requires_grad_(), adder.b.clone().requires_grad_()
    loss = (module(x)[0][-1] @ w + b - y).square().mean()
    loss.backward()
    assert error == pytest.approx(loss.item(), rel=1e-5)
    torch.testing.assert_close(gradients[-2:], [w.grad, b.grad], rtol=1e-4, atol=1e-6)
    found = adder.layer.torch_names(adder.layer.grads)
    torch.testing.assert_close(found["weight_hh_l0"], module.weight_hh_l0.grad)


def test_training_lowers_the_error():
    adder = Adder.of(RNN(2, 16, seed=0))
    errors = list(trained(adder, length=4, steps=300))
    assert sum(errors[-20:]) < 0.5 * sum(errors[:20])


@pytest.mark.parametrize(
    ("topic", "options", "words"),
    [
        ("rnn-spectrum", {"size": 1}, "size must be at least 2"),
        ("truncated-backprop", {"length": 3}, "length must be at least 4"),
        ("gradient-clipping", {"threshold": 0.0}, "threshold must be above 0"),
        ("lstm", {"hidden": 2.5}, "hidden must be a whole number"),
        ("adding-problem-lstm", {"lr": 2.0}, "lr must be above 0 and at most 1"),
    ],
)
def test_bad_options_are_refused(topic, options, words):
    with pytest.raises(ConfigError, match=words):
        learn(topic, **options)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_an_lstm_adds_over_100_steps_and_an_rnn_does_not(seed):
    """Half a minute for each seed: ours alone, layers, gradients, clipping and Adam."""
    numbers = learn("adding-problem-lstm", seed=seed).numbers
    assert numbers["mean squared error of saying 1"] == pytest.approx(1 / 6, abs=0.015)
    assert numbers["mean squared error of the LSTM on 1,000 new sequences"] < 0.01
    assert numbers["mean squared error of the RNN on 1,000 new sequences"] > 0.14


# -- texts say what was found -------------------------------------------------------------------


def test_the_text_on_the_spectrum_says_where_lines_end():
    skewed = learn("rnn-spectrum", radius=0.9, skew=3.0)
    ends = {name: values[-1] for name, (_, values) in skewed.panels[2].lines.items()}
    assert ends["tanh network"] > 100
    assert f"the tanh network's at {ends['tanh network']:.3g}" in skewed.text
    assert "decide the long run" not in skewed.text
    assert "its line is crossed" in skewed.text
    assert "its line is crossed" not in learn("rnn-spectrum", skew=0.0, steps=20).text


def test_the_text_on_clipping_counts_the_jumps():
    lesson = learn("gradient-clipping")
    losses = lesson.panels[2].lines["as it is"][1]
    jumps = sum(b - a > 0.05 for a, b in pairwise(losses))
    assert jumps > 1
    assert f"{jumps} steps that raised the loss by more than 0.05" in lesson.text
    assert "where it stays" not in lesson.text
    assert f"ends at {losses[-1]:.3g}" in lesson.text
    assert "no step that raised" in learn("gradient-clipping", lr=0.001, steps=5).text


def test_the_text_on_truncation_says_whether_windows_lose_less_and_less():
    for scale in (1.5, 0.1):  # with the latter, rounding is all that is left
        assert "falls with every kappa" in learn("truncated-backprop", scale=scale).text
    assert "does not fall with every kappa" in learn("truncated-backprop", scale=2.0).text
