"""Likelihoods in the units of a field, beside what simple models reach on the same data."""

from phosphene.core.model import Model
from phosphene.evaluate.metric import Metric
from phosphene.evaluate.score import Score
from phosphene.evaluate.scorer import Held, How, scorer

__all__ = ["baselines", "per_symbol"]


@scorer(
    place=11,
    says="",
    when=lambda model, held, how: "bits_per_dim" in how.found,
    metrics=(
        Metric(
            "nats_per_character",
            "Nats per character",
            unit="nats",
            about="Surprise of a character given those before it in its chunk; lower is better.",
            better="lower",
            card=4,
        ),
        Metric(
            "nats_per_byte",
            "Nats per byte",
            unit="nats",
            about="Surprise of a byte given those before it in its chunk; lower is better.",
            better="lower",
            card=5,
        ),
        Metric(
            "bits_per_sample",
            "Bits per sample",
            unit="bits",
            about="Surprise of a sample of sound given those before it in its window; lower is "
            "better.",
            better="lower",
            card=6,
        ),
    ),
)
def per_symbol(model: Model, held: Held, how: How) -> dict[str, Score]:
    """The likelihood in the units that the kind of data is used to."""
    return held.kind.per_symbol(how.found["bits_per_dim"], held.test)


@scorer(
    place=12,
    says="",
    when=lambda model, held, how: bool(how.found) and held.test.event.discrete,
    metrics=(
        Metric(
            "baseline_ngram",
            "A 5-gram, for comparison",
            unit="nats",
            about="What counts of up to five symbols in a row reach on the same examples.",
            card=7,
        ),
        Metric(
            "baseline_unigram",
            "Symbol frequencies, for comparison",
            unit="nats",
            about="What independent symbols reach on the same examples.",
        ),
        Metric(
            "baseline_lpc",
            "Linear prediction, for comparison",
            unit="bits",
            about="What linear prediction from 16 samples reaches on the same examples.",
            card=8,
        ),
        Metric(
            "baseline_histogram",
            "Code frequencies, for comparison",
            unit="bits",
            about="What independent samples reach on the same examples.",
        ),
    ),
)
def baselines(model: Model, held: Held, how: How) -> dict[str, Score]:
    """What simple models of the kind of data reach, where the model has a likelihood."""
    return held.kind.baselines(held.test, held.train)
