"""A cliff in the loss of a recurrent network, and descent that comes near it."""

from itertools import pairwise
from typing import Annotated

import torch
from torch import Tensor

from phosphene.core.lesson import Curves, Lesson
from phosphene.core.ranges import Within
from phosphene.learning.optimizers.sgd import SGD
from phosphene.learning.recurrent.clipping import clip_factor, clip_gradient_norm
from phosphene.learning.recurrent.rnn import RNN

__all__ = ["demonstrate"]


def demonstrate(
    *,
    seed: int = 0,
    threshold: Annotated[float, Within(0, above=True)] = 1.0,
    lr: Annotated[float, Within(0.0001, 10)] = 0.2,
    length: Annotated[int, Within(2, 500)] = 30,
    steps: Annotated[int, Within(1, 1000)] = 200,
) -> Lesson:
    """Train a network of one unit that must be low after many steps.

    Pascanu, Mikolov and Bengio (2013), figure 6.

    Args:
        seed: Nothing here is random.
        threshold: The most that the gradient's norm may be.
        lr: Of descent.
        length: Steps of the network.
        steps: Of training.
    """
    weights = torch.linspace(4.7, 5.0, 399, dtype=torch.float64)
    landscape = [_loss(_unit(float(w), _BIAS), length) for w in weights]
    runs = {
        "clipped": _descend(threshold, length, lr, steps),
        "as it is": _descend(float("inf"), length, lr, steps),
    }
    losses = {name: (range(len(v["loss"])), v["loss"]) for name, v in runs.items()}
    norms = {name: (range(len(v["norm"])), v["norm"]) for name, v in runs.items()}
    numbers: dict[str, float] = {"largest slope of the cliff": max(g for _, g in landscape)}
    for name, values in runs.items():
        numbers[f"{name}: loss at the end"] = values["loss"][-1]
        numbers[f"{name}: largest norm met"] = max(values["norm"])
        numbers[f"{name}: longest step, in units of lr"] = max(values["step"])
    slopes = sorted(g for _, g in landscape)
    steepest, middle = slopes[-1], slopes[len(slopes) // 2]
    text = (
        f"One unit, h <- sigmoid(w h + b), {length} times from 0.5; the loss is (h - 0.5)^2. "
        "Where the unit falls from its upper to its lower resting point the loss has a cliff, the "
        "steeper the longer the sequence, and the lowest point lies on it: the longest gradient "
        f"drawn is {steepest:.3g}, {steepest / middle:.0f} times the median. A step of such a "
        "length lands far off; clipping makes it short and keeps its direction. "
        + "; ".join(_told(name, run["loss"]) for name, run in runs.items())
        + ". The dashed lines show what becomes of a gradient's length: without the condition |g| "
        "> threshold, short gradients would be made as long as those of the cliff."
    )
    panels = [
        Curves(
            title=f"the loss along w, at b = {_BIAS:g}", x="w", y="loss",
            lines={"loss": (weights.tolist(), [f for f, _ in landscape])},
        ),
        Curves(
            title="the gradient along w", x="w", y="norm", log="y",
            lines={
                "norm": (weights.tolist(), [max(g, 1e-12) for _, g in landscape]),
                "after clipping": (
                    weights.tolist(),
                    [
                        max(g * float(clip_factor(torch.tensor(g), threshold)), 1e-12)
                        for _, g in landscape
                    ],
                ),
                "without the condition": (weights.tolist(), [threshold] * len(landscape)),
            },
            dashed=("after clipping", "without the condition"),
        ),
        Curves(title="training: loss", x="step", y="loss", lines=losses),
        Curves(title="training: norm of the gradient", x="step", y="norm", log="y", lines=norms),
    ]  # fmt: skip
    return Lesson(title="Gradient clipping", text=text, numbers=numbers, panels=panels)


_BIAS, _GOAL, _START = -2.4, 0.5, 5.5
_JUMP = 0.05


def _told(name: str, losses: list[float]) -> str:
    """How often a run's loss jumped up, and where it ended."""
    jumps = sum(b - a > _JUMP for a, b in pairwise(losses))
    count = f"{jumps} step{'s' if jumps > 1 else ''}" if jumps else "no step"
    run = {"clipped": "Clipped, descent", "as it is": "as it is, it"}[name]
    return (
        f"{run} took {count} that raised the loss by more than {_JUMP} and ends at {losses[-1]:.3g}"
    )


def _unit(w: float, b: float) -> RNN:
    layer = RNN(1, 1, activation="sigmoid", dtype=torch.float64)
    layer.parameters["W_hh"].fill_(w)
    layer.parameters["b"].fill_(b)
    return layer


def _loss(layer: RNN, length: int) -> tuple[float, float]:
    """(h_T - goal)^2 and the norm of its gradient in w and b, which stay in ``layer.grads``."""
    y = layer.forward(
        torch.zeros(length, 1, 1, dtype=torch.float64), torch.full((1, 1), 0.5, dtype=torch.float64)
    )
    dy = torch.zeros_like(y)
    dy[-1] = 2 * (y[-1] - _GOAL)
    layer.backward(dy)
    norm = torch.stack([g.norm() for g in _moved(layer.grads)]).norm()
    return float((y[-1] - _GOAL).square()), float(norm)


def _moved(values: dict[str, Tensor]) -> list[Tensor]:
    return [values["W_hh"], values["b"]]


def _descend(threshold: float, length: int, lr: float, steps: int) -> dict[str, list[float]]:
    """Losses, norms before clipping and lengths of steps."""
    layer = _unit(_START, _BIAS)
    weights = _moved(layer.parameters)
    optimizer = SGD(weights, lr=lr)
    found: dict[str, list[float]] = {"loss": [], "norm": [], "step": []}
    for _ in range(steps):
        loss, norm = _loss(layer, length)
        gradients = _moved(layer.grads)
        if threshold < float("inf"):
            clip_gradient_norm(gradients, threshold)
        for w, g in zip(weights, gradients, strict=True):
            w.grad = g
        optimizer.step()
        found["loss"].append(loss)
        found["norm"].append(max(norm, 1e-12))
        found["step"].append(float(torch.stack([g.norm() for g in gradients]).norm()))
    return found
