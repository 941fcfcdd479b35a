"""An LSTM adds two numbers that stand 100 steps apart, and an RNN does not."""

from typing import Annotated

import torch

from phosphene.core.lesson import Curves, Lesson
from phosphene.core.ranges import Within
from phosphene.core.rng import generator
from phosphene.learning.recurrent.adding import Adder, adding_problem, trained
from phosphene.learning.recurrent.layer import Recurrent
from phosphene.learning.recurrent.lstm import LSTM
from phosphene.learning.recurrent.rnn import RNN

__all__ = ["demonstrate"]

_MEAN = 25
"""Steps over which the curves are averaged."""


def demonstrate(
    *,
    seed: int = 0,
    length: Annotated[int, Within(2, 1000)] = 100,
    hidden: Annotated[int, Within(1, 200)] = 32,
    forget_bias: Annotated[float, Within(-20, 20)] = 3.0,
    steps: Annotated[int, Within(1, 20_000)] = 1000,
    lr: Annotated[float, Within(0, 1, above=True)] = 0.01,
) -> Lesson:
    """Train both with the same optimizer on the same sequences; it takes half a minute.

    Hochreiter and Schmidhuber (1997). Layers, gradients, clipping and Adam are those of this
    package, without autograd.

    Args:
        seed: Of weights and sequences.
        length: Of a sequence.
        hidden: Values of h.
        forget_bias: What the LSTM's forget gates begin with.
        steps: Batches of 32 sequences, never the same twice.
        lr: Of Adam.
    """
    layers: dict[str, Recurrent] = {
        "LSTM": LSTM(2, hidden, forget_bias=forget_bias, seed=seed),
        "RNN": RNN(2, hidden, seed=seed),
    }
    x, y = adding_problem(1000, length, generator(seed, 2))
    constant = float((y - 1).square().mean())
    numbers, lines = {"mean squared error of saying 1": constant}, {}
    for name, layer in layers.items():
        adder = Adder.of(layer)
        errors = list(trained(adder, length=length, steps=steps, lr=lr, seed=seed))
        means = torch.tensor(errors).split(min(_MEAN, steps))
        at = [min((k + 1) * _MEAN, steps) for k in range(len(means))]
        lines[name] = (at, [float(part.mean()) for part in means])
        found = float((adder.answer(x) - y).square().mean())
        numbers[f"mean squared error of the {name} on 1,000 new sequences"] = found
    lines["saying 1"] = ([0, steps], [1 / 6, 1 / 6])
    text = (
        f"Of {length} numbers, uniform on [0, 1], two are marked, and their sum is asked for at "
        "the end. Saying 1 has a mean squared error of 1/6 = 0.167. The RNN stays there: what the "
        "last loss says of a number far back is gone before it gets there. The LSTM stays there "
        "too, until its cells have found the markers, and then falls below it within a few "
        f"hundred steps. Its forget gates begin with a bias of {forget_bias:g}; with 1, as usual, "
        "it takes longer."
    )
    panels = [
        Curves(
            title="training", x="step", y="mean squared error", log="y",
            lines=lines, dashed=("saying 1",),
        )
    ]  # fmt: skip
    return Lesson(title="The adding problem", text=text, numbers=numbers, panels=panels)
