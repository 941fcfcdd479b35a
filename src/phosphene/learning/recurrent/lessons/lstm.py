"""How far back gradients reach in an RNN, a GRU and an LSTM."""

from typing import Annotated

import torch

from phosphene.core.lesson import Curves, Lesson
from phosphene.core.ranges import Within
from phosphene.core.rng import generator
from phosphene.learning.recurrent.gru import GRU
from phosphene.learning.recurrent.layer import Recurrent
from phosphene.learning.recurrent.lstm import LSTM
from phosphene.learning.recurrent.rnn import RNN

__all__ = ["demonstrate"]

_BIASES = (0.0, 1.0, 3.0)


def demonstrate(
    *,
    seed: int = 0,
    hidden: Annotated[int, Within(1, 200)] = 32,
    length: Annotated[int, Within(2, 500)] = 100,
    forget_bias: Annotated[float, Within(-20, 20)] = 1.0,
) -> Lesson:
    """Send a gradient back from the last time, through layers as they begin.

    Hochreiter and Schmidhuber (1997).

    Args:
        seed: Of weights and inputs.
        hidden: Values of h.
        length: Times of a sequence.
        forget_bias: Of the LSTM on the left; on the right it has 0, 1 and 3.
    """
    x = torch.randn(length, 8, 2, generator=generator(seed, 1), dtype=torch.float64)
    double = torch.float64
    layers: dict[str, Recurrent] = {
        "RNN, tanh": RNN(2, hidden, seed=seed, dtype=double),
        "GRU": GRU(2, hidden, seed=seed, dtype=double),
        f"LSTM, forget bias {forget_bias:g}": LSTM(
            2, hidden, forget_bias=forget_bias, seed=seed, dtype=double
        ),
    }
    back = range(length)
    reach = {name: (back, _lengths(layer, x)) for name, layer in layers.items()}
    biases = {
        f"bias {b:g}, f about {torch.sigmoid(torch.tensor(b)):.2f}": (
            back,
            _lengths(LSTM(2, hidden, forget_bias=b, seed=seed, dtype=double), x),
        )
        for b in _BIASES
    }
    opened = LSTM(2, hidden, seed=seed, dtype=double)
    for name in ("W_xh", "W_hh"):
        opened.parameters[name].zero_()
    opened.parameters["b"][: 2 * hidden] = torch.tensor(
        [-1e3, 1e3], dtype=double
    ).repeat_interleave(hidden)
    opened.forward(x)
    opened.backward(
        torch.zeros(length, 8, hidden, dtype=double), torch.ones(8, hidden, dtype=double)
    )
    numbers = {
        f"{name}: part left after {length - 1} steps": v[-1] for name, (_, v) in reach.items()
    }
    numbers["f = 1, i = 0: dc_T/dc_0"] = float(opened.state_grads["c"].max())
    text = (
        "A gradient of length 1 is given to the last state, and its length at earlier inputs is "
        "drawn, divided by that at the last. In a plain network it is multiplied by the same "
        "matrix and by slopes below 1 at every step, and is soon gone. In an LSTM it goes back "
        "along the cell, where a step multiplies it by the forget gate and by nothing else: a "
        "bias of 1 keeps about 0.73 a step, a bias of 3 about 0.95. (Gradients also go through h "
        "and the gates, so that the line of bias 3 may rise.) With f = 1 and i = 0 nothing is "
        "lost at all: dc_T/dc_0 is exactly 1. Training opens and closes these gates; their biases "
        "decide whether there is any gradient to begin with."
    )
    panels = [
        Curves(title=title, x="steps back", y="part of the gradient", log="y", lines=lines)
        for title, lines in (("three layers", reach), ("LSTM: bias of the forget gate", biases))
    ]
    return Lesson(title="How far gradients reach", text=text, numbers=numbers, panels=panels)


def _lengths(layer: Recurrent, x: torch.Tensor) -> list[float]:
    """|dL/dx_(T-k)| / |dL/dx_T| for k = 0, 1, ..., the root mean square over examples."""
    y = layer.forward(x)
    dy = torch.zeros_like(y)
    dy[-1] = torch.randn(dy[-1].shape, generator=generator(0), dtype=dy.dtype)
    dx = layer.backward(dy).flatten(1).norm(dim=1).flip(0)
    return [max(float(d), 1e-30) for d in dx / dx[0]]
