"""The textbook's training loop, for proofs: in memory, nothing written."""

import torch
from torch import Tensor

from phosphene.core.batch import Batch, Noise
from phosphene.core.context import Context
from phosphene.core.model import Model
from phosphene.core.phase import Phase
from phosphene.core.rng import generator

__all__ = ["fit"]


def fit(
    model: Model,
    x: Tensor,
    *,
    steps: int,
    lr: float = 1e-3,
    batch_size: int | None = None,
    cosine: bool = False,
    seed: int = 0,
    context: Context | None = None,
) -> Model:
    """Train a model whose phases are losses; ``batch_size=None`` takes all of x every step.

    A phase with its own optimizer keeps it, and is given a closure, which L-BFGS needs.

    Args:
        model: Trained in place, and returned.
        x: Examples (n, *event.shape).
        steps: Cycles through the phases.
        lr: Adam's learning rate.
        batch_size: Examples drawn with replacement for each step.
        cosine: Let the learning rate fall to zero by a cosine.
        seed: Names the batches and their noise.
        context: What the examples are conditioned on.
    """
    model.prepare(_batch(x, batch_size, seed, 0, context))
    turns = [(phase, _optimizer(phase, lr)) for phase in model.phases()]
    schedules = [
        torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps) if cosine else None
        for _, optimizer in turns
    ]
    for step in range(steps):
        for (phase, optimizer), schedule in zip(turns, schedules, strict=True):
            _turn(phase, optimizer, _batch(x, batch_size, seed, step, context))
            if schedule is not None:
                schedule.step()
    return model


def _turn(phase: Phase, optimizer: torch.optim.Optimizer, batch: Batch) -> None:
    def closure() -> float:
        assert phase.loss is not None, "a proof trains by gradients only"
        optimizer.zero_grad()
        # L-BFGS evaluates the loss several times: each must see the same noise.
        batch.noise.draws = 0
        total = phase.loss(batch).total
        total.backward()
        return float(total.detach())

    optimizer.step(closure)


def _optimizer(phase: Phase, lr: float) -> torch.optim.Optimizer:
    if phase.optimizer is not None:
        return phase.optimizer(phase.parameters)
    return torch.optim.Adam(phase.parameters, lr=lr, fused=True)


def _batch(x: Tensor, size: int | None, seed: int, step: int, context: Context | None) -> Batch:
    if size is None:
        index = torch.arange(len(x))
    else:
        index = torch.randint(len(x), (size,), generator=generator(seed, step, 1))
    given = Context() if context is None else context[index]
    return Batch(x[index], index, given, Noise((seed, step), 0, len(index)))
