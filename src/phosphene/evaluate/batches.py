"""A model evaluated in batches."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.model import Model

__all__ = ["ROWS", "batches", "condition", "evaluating"]

ROWS = 256
"""The most examples that a model is given at once."""


@contextmanager
def evaluating(model: Model) -> Iterator[None]:
    """Evaluation mode without gradients, restored after.

    ``no_grad`` rather than ``inference_mode``: samplers by Langevin dynamics and likelihoods by
    divergences differentiate inside, which inference tensors forbid.
    """
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)


def condition(model: Model, context: Context | None, n: int) -> Context | None:
    """What the model is conditioned on in n examples, wherever it lies; None if on nothing."""
    if not model.context:
        return None
    return model.context.check(context, n, unknown_label=model.label_may_be_unknown)


def batches(
    model: Model, x: Tensor, context: Context | None = None, rows: int = ROWS
) -> Iterator[tuple[Tensor, Context | None]]:
    """Examples and what they are given, where the model lies."""
    context = condition(model, context, len(x))
    for start in range(0, len(x), rows):
        c = None if context is None else context[start : start + rows].to(model.device)
        yield x[start : start + rows].to(model.device), c
