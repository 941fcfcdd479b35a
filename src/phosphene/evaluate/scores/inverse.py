"""How well a bijection inverts."""

import math

from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.model import Model
from phosphene.core.protocols import Inverts
from phosphene.evaluate.batches import batches, condition, evaluating
from phosphene.evaluate.metric import Metric
from phosphene.evaluate.missing_capability import lacking
from phosphene.evaluate.score import Score
from phosphene.evaluate.scorer import Held, How, scorer

__all__ = ["inverse", "largest_error"]

_MOST = 1000
"""The most examples that a bijection is sent forth and back for."""


@scorer(
    place=20,
    needs=(Inverts,),
    metrics=(
        Metric(
            "inverse_error",
            "Error of the inverse",
            about="Largest difference between a test example and what the flow comes back to.",
            better="lower",
        ),
    ),
)
def inverse(model: Model, held: Held, how: How) -> dict[str, Score]:
    """The largest error over the first examples."""
    return {"inverse_error": largest_error(model, *held.examples)}


def largest_error(model: Model, x: Tensor, context: Context | None = None) -> Score:
    """How far a bijection is from what it comes back to, in floating point."""
    if not isinstance(model, Inverts):
        raise lacking(model, Inverts)
    context, x, worst = condition(model, context, len(x)), x[:_MOST], 0.0
    context = None if context is None else context[: len(x)]
    with evaluating(model):
        for part, c in batches(model, x, context):
            error = model.inverse_error(part, c)
            worst = max(worst, float(error.max())) if bool(error.isfinite().all()) else math.inf
    return Score(worst, "largest", note=f"{len(x):,} examples, of the largest value")
