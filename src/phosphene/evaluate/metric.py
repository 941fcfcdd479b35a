"""A metric's name, unit and meaning, declared beside the code that computes it."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from phosphene.evaluate.registry import Registry
from phosphene.evaluate.score_kinds import KINDS

__all__ = [
    "METRICS",
    "Metric",
    "about",
    "carded",
    "columns",
    "declare",
    "falls",
    "label",
    "meaning",
    "ranking",
    "unit",
]


@dataclass(frozen=True)
class Metric:
    """One number that evaluations give, in words for people who did not write it.

    Places begin at 0 and may have fractions; None is no place at all.

    Args:
        name: As in ``--json``.
        label: A name for people.
        unit: What it is measured in; nothing for plain numbers.
        about: What it says, in a sentence.
        better: Which way is better, where one is.
        card: Its place among the cards at the head of a report, which shows the first few.
        instead: A card that makes this one superfluous.
        column: Its place among the columns of a comparison.
        ranks: Its place among the scores that a comparison may rank a system by.
    """

    name: str
    label: str
    unit: str = ""
    about: str = ""
    better: Literal["higher", "lower"] | None = None
    card: float | None = None
    instead: str | None = None
    column: float | None = None
    ranks: float | None = None

    @property
    def place(self) -> float:
        """Metrics are listed as they are declared."""
        return 0.0


METRICS: Registry[Metric] = Registry(
    "metric", files=("evaluate/scores/*.py", "subjects/*/scores.py"), group="phosphene.scorers"
)
"""Every metric, whoever computes it."""


def declare(*metrics: Metric) -> None:
    """Tell the words of metrics that no scorer of models computes.

    Raises:
        ConfigError: Another metric has one of the names.
    """
    for metric in metrics:
        METRICS.add(metric)


def label(name: str) -> str:
    """A name for people.

    Example:
        >>> label("psnr_gain"), label("my_score")
        ('Gain over bicubic interpolation', 'My score')
    """
    found = METRICS.get(name)
    return name.replace("_", " ").capitalize() if found is None else found.label


def unit(name: str) -> str:
    """The unit of a score, or nothing."""
    found = METRICS.get(name)
    return "" if found is None else found.unit


def about(name: str) -> str:
    """What a score says, or nothing."""
    found = METRICS.get(name)
    return "" if found is None else found.about


def carded(scores: Collection[str]) -> list[str]:
    """Which scores may head a report, in the order of their places."""
    found = [m for name in scores if (m := METRICS.get(name)) and m.card is not None]
    chosen = [m for m in found if m.instead not in scores]
    return [m.name for m in sorted(chosen, key=lambda m: m.card or 0.0)]


def columns(scores: Collection[str]) -> list[str]:
    """Which scores are columns of a comparison, in the order of their places."""
    found = [m for name in set(scores) if (m := METRICS.get(name)) and m.column is not None]
    return [m.name for m in sorted(found, key=lambda m: m.column or 0.0)]


def ranking(scores: Collection[str]) -> str:
    """The score that a system is ranked by; the first of all where none is meant for it.

    Example:
        >>> ranking(["mse", "elbo", "iwae_nll"]), ranking(["my_score"])
        ('iwae_nll', 'my_score')
    """
    found = [m for name in scores if (m := METRICS.get(name)) and m.ranks is not None]
    best = min(found, key=lambda m: m.ranks or 0.0, default=None)
    return next(iter(scores)) if best is None else best.name


def falls(name: str) -> bool:
    """Whether a lower score is better; so are scores of which nothing is known."""
    found = METRICS.get(name)
    return found is None or found.better != "higher"


def meaning(kind: str) -> tuple[str, str] | None:
    """The heading and the sentence that explain a kind of score.

    Example:
        >>> meaning("pca features")[0]
        'features'
    """
    head = "features" if kind.endswith("features") else kind
    return (head, KINDS[head]) if head in KINDS else None
