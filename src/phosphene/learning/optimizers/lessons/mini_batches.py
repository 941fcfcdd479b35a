"""The gradient of a few examples, of a logistic regression on real digits."""

from typing import Annotated

import torch
from torch import Tensor

from phosphene import data
from phosphene.core.lesson import Curves, Lesson
from phosphene.core.ranges import Within
from phosphene.core.rng import generator
from phosphene.learning.optimizers.mini_batch import (
    batch_gradients,
    mini_batches,
    variance_of_batches,
)
from phosphene.learning.optimizers.sgd import SGD

__all__ = ["demonstrate"]

_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_DRAWS = 2000


def demonstrate(
    *,
    seed: int = 0,
    lr: Annotated[float, Within(0.001, 10)] = 0.1,
    epochs: Annotated[int, Within(1, 50)] = 8,
) -> Lesson:
    """Compare gradients of batches with the full one, and train with several sizes of batch.

    Robbins and Monro (1951) for why steps along a gradient with noise arrive at all.

    Args:
        seed: Of the batches.
        lr: Of descent, at all sizes.
        epochs: Passes over the examples.
    """
    digits = data.load("digits", "train")
    assert digits.y is not None
    assert digits.event.levels is not None
    x = digits.x.flatten(1).double() / digits.event.levels
    x = torch.cat([x, torch.ones(len(x), 1, dtype=torch.float64)], 1)
    y = (digits.y % 2).double()
    each = _gradients(torch.zeros(x.shape[1], dtype=torch.float64), x, y)
    full, n = each.mean(0), len(x)
    sizes = [m for m in _SIZES if m <= n]
    found, bias = [], []
    for m in sizes:
        batches = torch.rand(_DRAWS, n, generator=generator(seed, m)).topk(m).indices
        drawn = batch_gradients(each, batches)
        found.append(float((drawn - full).square().sum(1).mean()))
        expected = variance_of_batches(each, m) / _DRAWS
        bias.append(float((drawn.mean(0) - full).norm()) / expected**0.5)
    lines = {}
    for m in (1, 16, 256, n):
        lines["all" if m == n else f"{m} a batch"] = _train(x, y, m, lr, epochs, seed)
    one = variance_of_batches(each, 1)
    numbers = {
        "examples": n,
        "variance of one example's gradient": one,
        "variance of 16, times 16": found[sizes.index(16)] * 16,
        "formula for 16, times 16": variance_of_batches(each, 16) * 16,
        "mean of all gradients less the full one, in standard errors": bias[0],
    } | {f"last loss of {name}": values[1][-1] for name, values in lines.items()}
    text = (
        "Odd digits are told from even ones by logistic regression. The gradient of a mini-batch "
        "is right on average whatever its size, and its variance falls as 1 / m: twice the work "
        "halves it. (It falls a little faster when the batch is a good part of all examples, "
        "since none is drawn twice.) On the right all sizes see the same number of examples: "
        "small batches make more steps, with more noise, and which is ahead depends on lr. "
        f"After {epochs} passes with lr = {lr:g}, " + _told(lines)
    )
    panels = [
        Curves(
            title="variance of the gradient", x="examples in a batch, m", y="variance", log="xy",
            lines={
                f"{_DRAWS:,} batches each": (sizes, found),
                "S / m (n - m) / (n - 1)": (sizes, [variance_of_batches(each, m) for m in sizes]),
                "S / m": (sizes, [one / m for m in sizes]),
            },
            dashed=("S / m (n - m) / (n - 1)", "S / m"),
        ),
        Curves(title="training", x="passes over the examples", y="loss in nats", lines=lines),
    ]  # fmt: skip
    return Lesson(title="Mini-batches", text=text, numbers=numbers, panels=panels)


def _told(lines: dict[str, tuple[list[float], list[float]]]) -> str:
    """The loss that each size ended with, from the lowest to the highest."""
    last = {name: losses[-1] for name, (_, losses) in lines.items()}
    order = sorted(last, key=lambda name: last[name])
    ended = ", ".join(f"{name} at {last[name]:.3g}" for name in order)
    noisy = last["1 a batch"] > last["all"]
    why = ": the noise of one example outweighs what its many steps gain" if noisy else ""
    return f"the losses are: {ended}{why}."


def _gradients(w: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Of each example's loss (n, d)."""
    return (torch.sigmoid(x @ w) - y)[:, None] * x


def _train(
    x: Tensor, y: Tensor, m: int, lr: float, epochs: int, seed: int
) -> tuple[list[float], list[float]]:
    """Passes and losses, 16 a pass where steps allow."""
    w = torch.zeros(x.shape[1], dtype=torch.float64)
    optimizer = SGD([w], lr=lr)
    n, seen, passes, losses = len(x), 0, [0.0], [_loss(w, x, y)]
    due = n / 16
    for epoch in range(epochs):
        for batch in mini_batches(n, m, seed=seed, epoch=epoch):
            w.grad = _gradients(w, x[batch], y[batch]).mean(0)
            optimizer.step()
            seen += len(batch)
            if seen >= due:
                passes.append(seen / n)
                losses.append(_loss(w, x, y))
                due = max(due + n / 16, seen)
    return passes, losses


def _loss(w: Tensor, x: Tensor, y: Tensor) -> float:
    a = x @ w
    return float((torch.nn.functional.softplus(a) - y * a).mean())
