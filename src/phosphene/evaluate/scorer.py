"""Scorers: functions that score a model, registered by the capabilities that they need.

A metric is one function in one file of ``evaluate/scores/``, or of another package that names its
module by an entry point of the group ``phosphene.scorers``:

    @scorer(
        needs=(Samples,),
        metrics=(Metric("brightness", "Mean brightness", about="Of samples.", better=None),),
    )
    def brightness(model: Model, held: Held, how: How) -> dict[str, Score]:
        x = draw(model, how.samples, seed=how.seed)
        return {"brightness": mean_score(x.flatten(1).double().mean(1), "samples")}

Scores, reports, comparisons and documents then know it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.errors import ConfigError
from phosphene.core.model import Model
from phosphene.data.dataset import Dataset
from phosphene.evaluate.data_kind import DataKind, kind_of
from phosphene.evaluate.features import Features
from phosphene.evaluate.likelihood import Progress
from phosphene.evaluate.metric import METRICS, Metric, declare
from phosphene.evaluate.registry import Registry, guarded
from phosphene.evaluate.score import Score

__all__ = ["SCORERS", "Held", "How", "Scorer", "scorer"]


@dataclass(frozen=True)
class Held:
    """What a model is scored on.

    Args:
        test: Held-out examples, with their labels, factors, density, tokenizer.
        train: The examples that the model was trained on.
    """

    test: Dataset
    train: Dataset

    @cached_property
    def examples(self) -> tuple[Tensor, Context]:
        """All held-out examples and their context."""
        return self.test.take(torch.arange(len(self.test)))

    @cached_property
    def kind(self) -> DataKind:
        """What kind of data they are."""
        return kind_of(self.test.event, self.test)


@dataclass(frozen=True, kw_only=True)
class How:
    """How a model is scored.

    Args:
        samples: How many samples are drawn.
        particles: Importance-weighted particles per example.
        seed: Seeds everything random.
        features: What sets of examples are compared on; None where no features say anything.
        progress: Told what is being computed and the fraction of it that is done.
        found: The scores of the scorers that came before.
    """

    samples: int = 1000
    particles: int = 500
    seed: int = 0
    features: Features | None = None
    progress: Progress | None = None
    found: Mapping[str, Score] = field(default_factory=dict)


Compute: TypeAlias = Callable[[Model, Held, How], dict[str, Score]]
Need: TypeAlias = type | tuple[type, ...]


@dataclass(frozen=True)
class Scorer:
    """A function with what it needs and what it gives.

    Args:
        name: Of the function.
        compute: Gives scores by name; those that are not true for the data are left out.
        needs: Capabilities that the model must have; of several in a tuple, one.
        metrics: What it gives, in words.
        place: When it runs and where its scores stand, the smallest first.
        when: Whether the data and the features allow it.
        says: What progress is told at first; nothing where the function tells it itself.
    """

    name: str
    compute: Compute
    needs: tuple[Need, ...]
    metrics: tuple[Metric, ...]
    place: float
    when: Callable[[Model, Held, How], bool]
    says: str

    def scores(self, model: Model, held: Held, how: How) -> dict[str, Score]:
        """The scores that are true for a model; none where it lacks what they need.

        Raises:
            ConfigError: A scorer of another package fails, or gives what it has not declared.
        """
        able = all(isinstance(model, need) for need in self.needs)
        if not (able and self.when(model, held, how)):
            return {}
        if self.says and how.progress:
            how.progress(self.says, 0.0)
        found = guarded("scorer", self.compute, model, held, how)
        for name, score in found.items():
            if METRICS.get(name) is None or not isinstance(score, Score):
                raise ConfigError(
                    f"the scorer {self.name!r} of {self.compute.__module__!r} gave {name!r}, which "
                    "is no Score of a metric that is declared"
                )
        return found


SCORERS: Registry[Scorer] = Registry(
    "scorer", files=("evaluate/scores/*.py",), group="phosphene.scorers"
)
"""Every scorer of models, in order."""


def scorer(
    *,
    needs: tuple[Need, ...] = (),
    metrics: tuple[Metric, ...] = (),
    place: float = 1000.0,
    when: Callable[[Model, Held, How], bool] = lambda model, held, how: True,
    says: str | None = None,
) -> Callable[[Compute], Compute]:
    """Register a function as a scorer.

    Args:
        needs: Capabilities that the model must have (:mod:`phosphene.core.protocols`); of several
            in a tuple, one.
        metrics: The words of what it gives.
        place: When it runs and where its scores stand, the smallest first; by default, last.
        when: Whether the data and the features allow it.
        says: What progress is told at first; None for the first metric.

    Raises:
        ConfigError: Another scorer or metric has the name.
    """

    def register(compute: Compute) -> Compute:
        first = metrics[0].name if metrics and says is None else says or ""
        name = getattr(compute, "__name__", repr(compute))
        declare(*metrics)
        SCORERS.add(Scorer(name, compute, needs, metrics, place, when, first))
        return compute

    return register
