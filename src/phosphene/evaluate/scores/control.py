"""Control: whether samples have the edges, the foreground or the sketch that was asked for."""

from phosphene.core.model import Model
from phosphene.core.protocols import Samples
from phosphene.evaluate.control import control, controlled
from phosphene.evaluate.metric import Metric
from phosphene.evaluate.score import Score
from phosphene.evaluate.scorer import Held, How, scorer

__all__ = ["obeys"]

_CHANCE = "The same samples against the conditions of other examples."


@scorer(
    place=92,
    says="control",
    needs=(Samples,),
    when=lambda model, held, how: controlled(model, held.test),
    metrics=(
        Metric(
            "control_f1",
            "Agreement with the condition (F1)",
            about="Edges or foreground of samples against those that were asked for.",
            better="higher",
            card=18,
        ),
        Metric("control_f1_chance", "The same by chance", about=_CHANCE),
        Metric(
            "control_agreement",
            "Agreement with the condition",
            about="Part of the pixels of the condition that samples have as it was asked for.",
            better="higher",
            card=18.5,
        ),
        Metric("control_agreement_chance", "The same by chance", about=_CHANCE),
    ),
)
def obeys(model: Model, held: Held, how: How) -> dict[str, Score]:
    """F1 of binary conditions, agreement of others, and what chance gives."""
    return control(model, held.test, samples=how.samples, seed=how.seed)
