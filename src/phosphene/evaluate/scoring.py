"""All scores of a model, chosen by its capabilities."""

import math

from phosphene.core.errors import ConfigError, DivergedError
from phosphene.core.model import Model
from phosphene.data.dataset import Dataset
from phosphene.evaluate.features import Features, make_features
from phosphene.evaluate.fidelity import FEWEST
from phosphene.evaluate.likelihood import Progress
from phosphene.evaluate.score import Score
from phosphene.evaluate.scorer import SCORERS, Held, How

__all__ = ["Scores", "evaluate_model"]


class Scores(dict[str, Score]):
    """Scores by name; ``left_out`` says which are not among them, and why."""

    def __init__(self) -> None:
        super().__init__()
        self.left_out: dict[str, str] = {}

    def take(self, found: dict[str, Score], model: Model) -> None:
        """Add what is defined; a score that is none is left out and the others stand.

        Raises:
            DivergedError: No score can be trusted, since the model's weights are not finite.
        """
        for name, score in found.items():
            if not math.isnan(score.value):
                self[name] = score
            elif finite(model):
                self.left_out[name] = "not a number for this model and these data"
            else:
                raise DivergedError(f"{name} is not a number: the model's weights are not finite")


def finite(model: Model) -> bool:
    """Whether no weight is NaN or infinite."""
    return all(bool(p.isfinite().all()) for p in model.parameters())


def evaluate_model(
    model: Model,
    dataset_test: Dataset,
    dataset_train: Dataset,
    *,
    samples: int = 1000,
    particles: int = 500,
    seed: int = 0,
    features: str | Features | None = None,
    progress: Progress | None = None,
) -> Scores:
    """Every score that is true for a model, by name.

    Each scorer (:mod:`phosphene.evaluate.scorer`) whose needs the model meets gives its scores:
    likelihoods, the divergence from a known density, how well a bijection inverts,
    reconstructions, codes, disentanglement where factors are known, the model's own classifier, the
    use of a codebook, and, with at least 20 examples of each split, fidelity of samples with
    floors. The page of metrics lists them all.

    Text and sound get their likelihood a symbol, the same of simple models, and, unless features
    are given, nothing that compares flat vectors.

    Args:
        model: Any model.
        dataset_test: Held-out examples of the model's event.
        dataset_train: The examples it was trained on.
        samples: How many samples are drawn for fidelity.
        particles: Importance-weighted particles per example.
        seed: Seeds everything random; the same seed gives the same scores.
        features: Features for fidelity; None for those that fit the data.
        progress: Told what is being computed and the fraction of it that is done.

    Raises:
        EventError: The data are not of the model's event, or lack the context it needs.
        ConfigError: ``samples`` or ``particles`` is too small, the features do not fit, or a scorer
            of another package fails.
    """
    if samples < FEWEST:
        raise ConfigError(f"samples must be {FEWEST} or more, got {samples}")
    model.event.check_shape(dataset_test.x)
    held, scores = Held(dataset_test, dataset_train), Scores()
    if features is None:
        features = held.kind.features(dataset_test)
    if isinstance(features, str):
        features = make_features(features, dataset_train)
    how = How(
        samples=samples,
        particles=particles,
        seed=seed,
        features=features,
        progress=progress,
        found=scores,
    )
    for one in SCORERS:
        scores.take(one.scores(model, held, how), model)
    return scores
