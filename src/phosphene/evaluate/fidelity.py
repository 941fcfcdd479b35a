"""How close samples are to real examples, on stated features, beside what real data would get."""

from collections.abc import Callable

import torch
from torch import Tensor

from phosphene.core.errors import DataError
from phosphene.core.rng import generator
from phosphene.data.dataset import Dataset
from phosphene.evaluate.distances import (
    frechet_distance,
    kernel_distance,
    sliced_wasserstein,
    wasserstein_1d,
)
from phosphene.evaluate.features import Features, default_name, make_features
from phosphene.evaluate.moments import Moments
from phosphene.evaluate.neighbors import (
    Manifolds,
    diversity,
    manifolds,
    memorization_ratio,
    nearest_distance,
)
from phosphene.evaluate.score import Score, standard_error
from phosphene.evaluate.two_sample import TwoSample, classifier_two_sample_test

__all__ = [
    "FEWEST",
    "Manifolds",
    "Moments",
    "TwoSample",
    "classifier_two_sample_test",
    "compare_sets",
    "diversity",
    "fidelity",
    "frechet_distance",
    "kernel_distance",
    "manifolds",
    "memorization_ratio",
    "nearest_distance",
    "sliced_wasserstein",
    "wasserstein_1d",
]

Numbers = dict[str, tuple[float, float | None, str | None]]
"""Metric name -> value, standard error, note."""

FEWEST = 20
"""The smallest set that fidelity is computed for."""


def compare_sets(
    fake: Tensor,
    real: Tensor,
    *,
    seed: int = 0,
    k: int = 5,
    step: Callable[[str], None] = lambda name: None,
) -> Numbers:
    """Every distance between two sets of features.

    Args:
        fake: Features (n, d) of samples.
        real: Features (m, d) of real examples.
        seed: Seeds groups, halves and directions.
        k: Neighbors of precision, recall, density, coverage and the two-sample test.
        step: Told what is being computed.
    """
    numbers: Numbers = {}
    step("frechet_distance")
    numbers["frechet_distance"] = (frechet_distance(fake, real), None, None)
    step("kernel_distance")
    numbers["kernel_distance"] = (*kernel_distance(fake, real, seed=seed), "squared, unbiased")
    step("precision")
    balls = manifolds(real, fake, k=k)
    for name in ("precision", "recall", "density", "coverage"):
        values = getattr(balls, name)
        numbers[name] = (float(values.mean()), standard_error(values), f"{k} neighbors")
    step("c2st_accuracy")
    test = classifier_two_sample_test(real, fake, k=k, seed=seed)
    note = f"logistic {test.logistic:.3f}, {k} neighbors {test.neighbors:.3f}"
    numbers["c2st_accuracy"] = (test.accuracy, test.stderr, note)
    step("sliced_wasserstein")
    numbers["sliced_wasserstein"] = (*sliced_wasserstein(fake, real, seed=seed), None)
    numbers["diversity"] = (diversity(fake, real), None, None)
    return numbers


def fidelity(
    samples: Tensor,
    test: Dataset,
    train: Dataset,
    *,
    features: str | Features | None = None,
    seed: int = 0,
    progress: Callable[[str, float], None] | None = None,
) -> dict[str, Score]:
    """Scores of samples against the test split, each with its real-against-real floor.

    The floor takes as many training examples as there are samples in their place, drawn by the
    seed, so it has the same bias at the same counts. The floor of the memorization ratio puts one
    half of the test split in the place of the samples.

    Args:
        samples: Samples (n, *event.shape).
        test: Held-out real examples.
        train: The examples that the model was trained on.
        features: A name (``raw``, ``pca``, ``randconv``, ``classifier``), a function to features
            with a ``name``, or None for those that fit the data.
        seed: Seeds every random choice; the same seed gives the same scores.
        progress: Told how far it is.

    Raises:
        DataError: Fewer than 20 examples in a set.
        EventError: The samples are not of the data's event.
        ConfigError: The features do not take this event.
        UnknownNameError: There are no such features.
    """
    test.event.check(samples)
    for what, given in (
        ("samples", samples),
        ("test examples", test),
        ("training examples", train),
    ):
        _refuse_few(what, len(given))
    extract = features
    if extract is None or isinstance(extract, str):
        extract = make_features(extract or default_name(test), train)
    fake, real, seen = extract(samples), extract(test.x), extract(train.x)
    steps = ["frechet_distance", "kernel_distance", "precision", "c2st_accuracy"]
    steps.append("sliced_wasserstein")

    def step(name: str, offset: float = 0.0) -> None:
        if progress:
            progress(name, offset + steps.index(name) / (2 * len(steps)))

    order = torch.randperm(len(seen), generator=generator(seed, 7))
    standing_in = seen[order[: len(fake)]]
    numbers = compare_sets(fake, real, seed=seed, step=step)
    floors = compare_sets(standing_in, real, seed=seed, step=lambda name: step(name, 0.5))
    if 2 * len(torch.unique(real, dim=0)) < len(real):  # balls to the neighbors have no volume
        for name in ("precision", "recall", "density", "coverage"):
            numbers.pop(name, None)
    if float(nearest_distance(real, seen).mean()) > 0.0:  # else all held-out examples are known
        numbers["memorization_ratio"] = (*memorization_ratio(fake, real, seen), None)
        floors["memorization_ratio"] = (*_memorization_floor(real, seen, seed), None)
    if progress:
        progress("fidelity", 1.0)
    kind = f"{extract.name} features"
    return {
        name: Score(value, kind, error, floors[name][0], note, extract.name)
        for name, (value, error, note) in numbers.items()
    }


def _refuse_few(what: str, n: int) -> None:
    if n < FEWEST:
        raise DataError(f"fidelity needs {FEWEST} {what}, got {n}")


def _memorization_floor(real: Tensor, seen: Tensor, seed: int) -> tuple[float, float]:
    """The ratio with one half of the test split in the place of the samples."""
    order = torch.randperm(len(real), generator=generator(seed, 8))
    half = len(real) // 2
    return memorization_ratio(real[order[:half]], real[order[half:]], seen)
