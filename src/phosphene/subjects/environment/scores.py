"""Scores of agents: returns of whole episodes, and honest intervals over few seeds."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phosphene.core.rng import mix
from phosphene.decision.playing import Played
from phosphene.evaluate.metric import Metric, declare
from phosphene.evaluate.score import Score, mean_score
from phosphene.train.folder import Run

__all__ = [
    "bootstrap_interval",
    "interquartile_mean",
    "score_episodes",
    "score_last",
    "steps_of",
]

Array = NDArray[np.float64]

declare(
    Metric(
        "return_mean",
        "Mean return",
        about="Sum of rewards of an episode; higher is better.",
        better="higher",
        card=0,
    ),
    Metric(
        "return_iqm",
        "Interquartile mean of returns",
        about="The mean of the middle half of the episodes: luck and mishaps are left out.",
        better="higher",
        card=1,
    ),
    Metric("return_min", "Worst return", about="Of these episodes.", better="higher", card=2),
    Metric("return_max", "Best return", about="Of these episodes.", better="higher"),
    Metric(
        "last_return_mean",
        "Mean return of the last weights",
        about="In the same episodes; the other scores are of the weights that were best on "
        "validation.",
        better="higher",
    ),
    Metric(
        "last_return_min",
        "Worst return of the last weights",
        about="Of the same episodes.",
        better="higher",
    ),
    Metric(
        "training_steps", "Steps of training", unit="steps", about="Taken in environments to learn."
    ),
    Metric(
        "validation_steps",
        "Steps of validation",
        unit="steps",
        about="Taken in environments, beside those of training, to choose weights.",
    ),
    Metric("length_mean", "Mean length", unit="steps", about="Of an episode."),
    Metric(
        "terminated",
        "Episodes that terminated",
        about="The part that reached a terminal state; the others were cut off by the limit.",
    ),
    Metric(
        "random_return",
        "Random actions, for comparison",
        about="Mean return of a policy that looks at nothing.",
        card=3,
    ),
)


def interquartile_mean(values: Array | Sequence[float], axis: int = 0) -> Array:
    r"""The mean of the middle half of the values (Agarwal et al., 2021).

    Fewer than a quarter of the values cannot move it far, as they can the mean; it wastes less than
    the median. The share of a value that a quartile cuts is weighted.

    Example:
        >>> float(interquartile_mean([0.0, 10.0, 12.0, 500.0]))
        11.0
    """
    ordered = np.sort(np.asarray(values, np.float64), axis=axis)
    n = ordered.shape[axis]
    # Value k covers ranks k..k+1; those within n/4..3n/4 count.
    weight = np.clip(np.minimum(np.arange(n) + 1, 0.75 * n) - np.maximum(np.arange(n), n / 4), 0, 1)
    result: Array = np.tensordot(ordered, weight, axes=(axis, 0)) / weight.sum()
    return result


def bootstrap_interval(
    values: Array | Sequence[float],
    statistic: Callable[[Array], Array] = interquartile_mean,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[Array, Array]:
    """A percentile interval of a statistic over seeds (Efron, 1979).

    Args:
        values: (seeds, ...): what each seed got, such as one learning curve each.
        statistic: Of (seeds, ...) along its first axis.
        level: Share of resamples within the interval.
        resamples: How often seeds are drawn with replacement.
        seed: Of the draws.

    Returns:
        Low and high, of the statistic's shape.

    Example:
        >>> low, high = bootstrap_interval([1.0, 2.0, 3.0, 4.0])
        >>> bool(1 <= low < 2.5 < high <= 4)
        True
    """
    values = np.asarray(values, np.float64)
    rng = np.random.default_rng(mix(seed, len(values)))
    picks = rng.integers(0, len(values), (resamples, len(values)))
    drawn = np.stack([statistic(values[pick]) for pick in picks])
    tail = (1 - level) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0)
    return low, high


def score_episodes(played: Played, kind: str, random: Tensor | None = None) -> dict[str, Score]:
    """Scores of whole episodes, none of which was met in training.

    Args:
        played: The episodes.
        kind: ``greedy episodes`` or ``sampled episodes``.
        random: Returns of a policy that acts at random, for comparison.
    """
    returns = played.returns
    scores = {
        "return_mean": mean_score(returns, kind),
        "return_iqm": Score(float(interquartile_mean(returns.numpy())), kind),
        "return_min": Score(float(returns.min()), kind),
        "return_max": Score(float(returns.max()), kind),
        "length_mean": mean_score(played.lengths, kind),
        "terminated": mean_score(played.terminated.to(torch.float64), kind),
    }
    if random is not None:
        scores["random_return"] = mean_score(random, "random actions")
    return scores


def score_last(played: Played, kind: str) -> dict[str, Score]:
    """What the last weights earn in the same episodes, where the best on validation are scored."""
    return {
        "last_return_mean": mean_score(played.returns, kind),
        "last_return_min": Score(float(played.returns.min()), kind),
    }


def steps_of(run: Run) -> dict[str, int]:
    """Environment steps in ``training`` and in ``validation``, as far as the run has counted them.

    To choose weights costs steps as learning does: an agent's score is what both have bought.
    """
    found = {}
    for name, key in (("training", "environment_steps"), ("validation", "validation_steps")):
        row = next((m for m in reversed(run.metrics) if key in m), None)
        if row is not None:
            found[name] = int(row[key])
    return found
