"""Pairs of scores, of a good model and of one that a score must tell from it, by the score."""

from collections.abc import Callable

from phosphene.core.model import Model
from phosphene.data.dataset import Dataset
from phosphene.evaluate.score import Score
from phosphene.evaluate.scores.samples import draw
from phosphene.evaluate.scoring import evaluate_model

Scores = dict[str, Score]
Pair = tuple[Scores, Scores]
CASES: dict[str, tuple[str, Callable[[], Pair]]] = {}
"""Metric -> which way is worse (``up`` or ``down``), and scores of a good and of a bad model."""


def bad(**worse: str) -> Callable[[Callable[[], Pair]], Callable[[], Pair]]:
    """Say which scores a bad model moves, and which way."""

    def register(make: Callable[[], Pair]) -> Callable[[], Pair]:
        found: list[Pair] = []

        def once() -> Pair:
            if not found:
                found.append(make())
            return found[0]

        for name, way in worse.items():
            assert name not in CASES
            CASES[name] = (way, once)
        return once

    return register


def drawn(model: Model, n: int, seed: int, split: str = "test", **more: object) -> Dataset:
    x = draw(model, n, seed=seed)
    return Dataset(name="toy", split=split, event=model.event, x=x, **more)  # type: ignore[arg-type]


def both(good: Model, bad: Model, test: Dataset, train: Dataset, **how: object) -> Pair:
    told = {"samples": 120, "particles": 20, **how}
    return evaluate_model(good, test, train, **told), evaluate_model(bad, test, train, **told)  # type: ignore
