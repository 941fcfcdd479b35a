"""Diffusion models learned: few steps do as well as many, and the recipe comes near data."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import phosphene as ph
from phosphene.core.batch import Batch
from phosphene.core.context import Context
from phosphene.core.model import Model
from phosphene.core.rng import generator, seeded
from phosphene.data.dataset import Dataset
from phosphene.evaluate.distances import kernel_distance, paired_difference, sliced_wasserstein
from phosphene.evaluate.features import make_features
from phosphene.evaluate.fidelity import fidelity

PLANES = ("moons", "checkerboard", "grid25", "ring8")
SEEDS = range(5)
TARGET = 0.6
"""What transport is to leave of the distance at four steps."""
LEFT = {"ring8": 0.9}
"""What it leaves where the target is missed."""
REACHED = {
    "kernel_distance": 5e-4,
    "precision": 0.95,
    "recall": 0.8,
    "coverage": 0.97,
    "conditional_accuracy": 0.95,
}
"""By samples of the default recipe on 8x8 digits."""


def fit(model: Model, train: Dataset, *, steps: int, seed: int) -> None:
    """Steps of Adam on batches of 256, its rate falling along a cosine."""
    order = generator(seed)
    model.prepare(Batch.of(train.x))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        rows = torch.randint(len(train), (256,), generator=order)
        batch = Batch.of(*train.take(rows), seed=seed * steps + step)
        optimizer.zero_grad()
        model.loss(batch).total.backward()
        optimizer.step()
        decay.step()
    model.eval()


def distance_of_four_steps(data: str, coupling: str, seed: int) -> float:
    """Sliced Wasserstein distance of samples by 4 steps of Euler to held-out points."""
    train, test = ph.data.load(data, "train"), ph.data.load(data, "test")
    with seeded(seed):
        model = ph.build("flow-matching", train.event, widths=(64,), coupling=coupling)
    fit(model, train, steps=500, seed=seed)
    x = model.sample(len(test), steps=4, sampler="euler", generator=generator(seed, 1))
    return sliced_wasserstein(x, test.x)[0]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """What the default recipe of ddpm makes of 8x8 digits."""
    folder = tmp_path_factory.mktemp("runs")
    return ph.train("ddpm", data="digits", folder=folder, name="run", threads=1).model.eval()


def drawn(model: Model, n: int, **how: Any) -> tuple[Tensor, Tensor]:
    """Samples and the labels that they were asked for, which are those of test examples."""
    test = ph.data.load("digits", "test")
    assert test.y is not None
    labels = test.y[torch.arange(n) % len(test)]
    return model.sample(n, Context(label=labels), generator=generator(8), **how), labels


def nearest_label(x: Tensor, train: Dataset) -> Tensor:
    """That of the nearest of the training examples, by a classifier that never saw a sample."""
    assert train.y is not None
    return train.y[torch.cdist(x.flatten(1).float(), train.x.flatten(1).float()).argmin(1)]


def samplers_compared(model: Model, n: int) -> tuple[float, float]:
    """DPM-Solver++ at 15 steps against all 1000, from the same noise."""
    test = ph.data.load("digits", "test")
    extract = make_features("randconv", ph.data.load("digits", "train"))
    few, many = (
        extract(drawn(model, n, sampler=name, steps=steps)[0])
        for name, steps in (("dpm++", 15), ("ancestral", 1000))
    )
    real = extract(test.x)
    for name, x in (("dpm++ 15", few), ("ancestral 1000", many)):
        print(name, "kernel distance", kernel_distance(x, real))
    found = paired_difference(few, many, real)
    print("paired difference", found)
    return found


def near_data(model: Model, n: int) -> dict[str, float]:
    """Scores of samples, each printed beside its floor."""
    train, test = ph.data.load("digits", "train"), ph.data.load("digits", "test")
    x, labels = drawn(model, n)
    scores = fidelity(x, test, train)
    for name in (*REACHED, "memorization_ratio"):
        if name in scores:
            print(name, scores[name].value, "+-", scores[name].stderr, "floor", scores[name].floor)
    right = float((nearest_label(x, train) == labels).double().mean())
    floor = float((nearest_label(test.x, train) == test.y).double().mean())
    print("conditional_accuracy", right, "floor", floor)
    return {name: score.value for name, score in scores.items()} | {"conditional_accuracy": right}


def test_a_paired_difference_is_zero_of_the_same_and_seen_of_others() -> None:
    g = generator(0)
    x, real = (torch.randn(200, 4, generator=g) for _ in range(2))
    assert paired_difference(x, x, real) == (0.0, 0.0)
    found, error = paired_difference(2 * x, x, real)
    assert found > 2 * error


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_fifteen_steps_do_as_well_as_a_thousand(digits: Model) -> None:
    found, error = samplers_compared(digits, 500)
    assert found <= 2 * error, (found, error)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_default_recipe_comes_near_digits(digits: Model) -> None:
    found = near_data(digits, 1000)
    assert found["kernel_distance"] <= REACHED["kernel_distance"], found
    for name, least in REACHED.items():
        assert name == "kernel_distance" or found[name] >= least, (name, found[name])


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_transport_makes_four_steps_enough() -> None:
    """Pairs that do not cross leave at most .6 of the distance, over paired seeds.

    But not on the ring of eight: there both kinds come to the error of the network itself, which
    fifty steps do not lower either, and .8 is left.
    """
    ratios = {}
    for data in PLANES:
        ratios[data] = [
            distance_of_four_steps(data, "transport", seed)
            / distance_of_four_steps(data, "independent", seed)
            for seed in SEEDS
        ]
        print(data, [round(r, 3) for r in ratios[data]], flush=True)
    for data, found in ratios.items():
        assert math.fsum(found) / len(found) <= LEFT.get(data, TARGET), (data, found)
    every = [ratio for found in ratios.values() for ratio in found]
    assert math.fsum(every) / len(every) <= TARGET
