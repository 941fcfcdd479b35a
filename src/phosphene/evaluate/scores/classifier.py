"""Accuracy of a model's own classifier."""

import torch

from phosphene.core.model import Model
from phosphene.core.protocols import Classifies
from phosphene.evaluate.batches import ROWS, evaluating
from phosphene.evaluate.metric import Metric
from phosphene.evaluate.score import Score, mean_score
from phosphene.evaluate.scorer import Held, How, scorer

__all__ = ["classified"]


@scorer(
    place=50,
    needs=(Classifies,),
    when=lambda model, held, how: held.test.y is not None and bool((held.test.y >= 0).any()),
    metrics=(
        Metric(
            "accuracy",
            "Classification accuracy",
            about="Higher is better.",
            better="higher",
            card=18,
        ),
    ),
)
def classified(model: Model, held: Held, how: How) -> dict[str, Score]:
    """The part of the test examples with a label to which the model gives that label."""
    test = held.test
    assert isinstance(model, Classifies)
    assert test.y is not None
    others = bool(set(model.context.names) - {"label"})  # many classify(x) take no context
    parts = []
    with evaluating(model):
        for rows in torch.arange(len(test)).split(ROWS):
            x, context = test.take(rows)
            told = (context.to(model.device),) if others else ()
            parts.append(model.classify(x.to(model.device), *told).argmax(1).cpu())
    right = (torch.cat(parts) == test.y)[test.y >= 0]
    note = "of the model's own classifier"
    return {"accuracy": mean_score(right.double(), "classifier", note)}
