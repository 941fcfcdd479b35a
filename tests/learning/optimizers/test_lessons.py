"""The lessons on optimizers say what their pictures show."""

import pytest

from phosphene.api.learn import learn
from phosphene.core.errors import ConfigError, UnknownNameError


def test_optimizers_on_two_hills():
    lesson = learn("optimizers", steps=300, kappa=20.0)
    paths = lesson.panels[0].lines
    assert len(paths) == 8
    assert all(len(p) <= 301 for p in paths.values())
    steps = {k.split(" of ")[1].split(" to ")[0]: v for k, v in lesson.numbers.items()
             if k.startswith("quadratic")}  # fmt: skip
    assert steps["momentum"] < steps["SGD"]
    assert steps["Nesterov"] < steps["SGD"]


def test_a_path_that_diverges_is_cut():
    lesson = learn("optimizers", steps=50, lr=1.0)
    assert len(lesson.panels[0].lines["SGD"]) < 10
    assert lesson.numbers["quadratic: steps of SGD to 0.01 of the lowest point"] is None


def test_mini_batches_vary_as_the_formula_says():
    numbers = learn("mini-batches", epochs=1).numbers
    found, formula = (numbers[f"{k} 16, times 16"] for k in ("variance of", "formula for"))
    assert found == pytest.approx(formula, rel=0.1)
    assert numbers["mean of all gradients less the full one, in standard errors"] < 3
    assert numbers["last loss of 1 a batch"] < numbers["last loss of all"]


def test_adam_fails_and_amsgrad_does_not():
    numbers = learn("adam-fails", steps=3000).numbers
    assert numbers["Adam: x at the end"] > 0.95
    assert numbers["AMSGrad: x at the end"] < -0.9
    assert numbers["AMSGrad: regret a step"] < 0.05 < numbers["Adam: regret a step"]


@pytest.mark.parametrize(
    ("topic", "options", "words"),
    [
        ("optimizers", {"kappa": 0.5}, "kappa must be at least 1"),
        ("optimizers", {"momentum": 1.0}, "momentum must be at least 0 and below 1"),
        ("mini-batches", {"epochs": 0}, "epochs must be at least 1"),
        ("adam-fails", {"slope": 2.0}, "slope must be above 2"),
    ],
)
def test_bad_options_are_refused(topic, options, words):
    with pytest.raises(ConfigError, match=words):
        learn(topic, **options)
    with pytest.raises(UnknownNameError, match="kapa"):
        learn("optimizers", kapa=3.0)


# -- texts say what was found -------------------------------------------------------------------


def test_the_text_on_optimizers_says_who_arrives_and_who_does_not():
    text = learn("optimizers").text
    assert "SGD takes 297 steps, momentum 83" in text
    assert "RMSProp jumps from wall to wall" in text
    flat = learn("optimizers", kappa=1.0, momentum=0.0).text
    assert "SGD takes 1 step, momentum 1" in flat
    assert "creeps" not in flat
    assert "With a momentum of 0" in flat
    wild = learn("optimizers", lr=1.0, steps=50).text
    assert "SGD" in wild.partition("In the bent valley")[0].partition("; ")[2]
    assert "diverge" in wild
    assert "RMSProp jumps from wall to wall" not in learn("optimizers", lr=1e-4, steps=50).text


def test_the_text_on_mini_batches_says_which_is_ahead():
    for lr in (0.1, 0.5):
        lesson = learn("mini-batches", lr=lr)
        last = {name: values[-1] for name, (_, values) in lesson.panels[1].lines.items()}
        best, worst = min(last, key=last.get), max(last, key=last.get)
        assert f"{best} at {last[best]:.3g}" in lesson.text
        assert f"{worst} at {last[worst]:.3g}" in lesson.text
        assert ("the noise of one example outweighs" in lesson.text) == (lr == 0.5)
