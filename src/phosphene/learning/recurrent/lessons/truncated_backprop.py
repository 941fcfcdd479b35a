"""What is lost where gradients go back only so far."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

import torch
from torch import Tensor

from phosphene.core.lesson import Curves, Heat, Lesson
from phosphene.core.ranges import Within
from phosphene.core.rng import generator
from phosphene.learning.recurrent.rnn import RNN
from phosphene.learning.recurrent.truncated import chunked, windowed

__all__ = ["demonstrate"]

_SHOWN, _CUT = 12, 4
_ROUNDING = 1e-12


def demonstrate(
    *,
    seed: int = 0,
    hidden: Annotated[int, Within(1, 200)] = 30,
    length: Annotated[int, Within(4, 500)] = 64,
    scale: Annotated[float, Within(0.1, 5)] = 1.5,
) -> Lesson:
    """Compare both forms of truncation with the full gradient.

    Williams and Peng (1990).

    Args:
        seed: Of weights, inputs and losses.
        hidden: Values of h.
        length: Times of a sequence.
        scale: What the recurrent weights are multiplied by: memory is longer where it is larger.
    """
    layer = RNN(2, hidden, seed=seed, dtype=torch.float64)
    layer.parameters["W_hh"] *= scale
    g = generator(seed, 1)
    layer.forward(torch.randn(length, 16, 2, generator=g, dtype=torch.float64))
    dy = torch.randn(length, 16, hidden, generator=g, dtype=torch.float64)
    layer.backward(dy)
    full = layer.grads["W_hh"]
    sizes = sorted({round(length ** (k / 16)) for k in range(16)} | {min(8, length), length})

    def bias() -> float:
        off = float((layer.grads["W_hh"] - full).norm() / full.norm())
        return max(off, 1e-17)  # a logarithm is drawn

    windows, chunks = [], []
    for k in sizes:
        windowed(layer, dy, k)
        windows.append(bias())
        chunked(layer, dy, k, k)
        chunks.append(bias())
    at = sizes.index(min(8, length))
    numbers = {
        f"bias, window of {sizes[at]}": windows[at],
        f"bias, chunks of {sizes[at]}": chunks[at],
        "bias, window of all": windows[-1],
    }
    text = (
        "Two things are called truncated backpropagation. A window: the loss of every time goes "
        "back over its own last kappa times. Chunks: the sequence is cut, and the state between "
        "two pieces is detached; the first loss of a piece then goes back over one time only, the "
        "last over all of them. The panels on the right show which loss (row) reaches which time "
        "(column). What a window misses is what the network remembers beyond it, and --scale "
        f"changes how long it remembers. {_trend(windows)} A loss just after a cut loses all of "
        "its past, so that what chunks miss depends on where the cuts fall; but chunks cost one "
        "pass where a window costs kappa. Both miss nothing once kappa is the whole sequence."
    )
    panels = [
        Curves(
            title="what is missing of the gradient of W_hh",
            x="kappa",
            y="part of its length",
            log="xy",
            lines={
                "window of kappa": (sizes[:-1], windows[:-1]),
                "chunks of kappa": (sizes[:-1], chunks[:-1]),
            },
        ),
        Heat(title=f"window of {_CUT}", values=_reached(chunks=False), x="time k", y="loss t"),
        Heat(title=f"chunks of {_CUT}", values=_reached(chunks=True), x="time k", y="loss t"),
    ]
    return Lesson(
        title="Truncated backpropagation through time", text=text, numbers=numbers, panels=panels
    )


def _trend(windows: Sequence[float]) -> str:
    if all(b <= max(a, _ROUNDING) for a, b in pairwise(windows)):
        return "Here what is missing falls with every kappa."
    return (
        "Here what is missing does not fall with every kappa: parts of a gradient may cancel one "
        "another, and a sum of more of them need not be nearer to the whole."
    )


def _reached(*, chunks: bool) -> Tensor:
    """1 where the loss of time t goes back to time k, found by asking the functions."""
    found = torch.zeros(_SHOWN, _SHOWN, dtype=torch.float64)
    layer = RNN(1, 1, activation="relu", dtype=torch.float64)
    for value in layer.parameters.values():
        value.fill_(1.0)
    layer.forward(torch.ones(_SHOWN, 1, 1, dtype=torch.float64))
    for t in range(_SHOWN):
        dy = torch.zeros(_SHOWN, 1, 1, dtype=torch.float64)
        dy[t] = 1
        dx = chunked(layer, dy, _CUT, _CUT) if chunks else windowed(layer, dy, _CUT)
        found[t] = (dx[:, 0, 0] != 0).double()
    return found
