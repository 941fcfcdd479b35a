"""For each score there is a model, or a play, so bad that the score must say so.

A score that is right for good models and blind to bad ones is worse than none. Every name that
scores are known by is here: a new metric needs a bad model before it is told of.
"""

import math

import pytest

import tests.evaluate.bad_codes
import tests.evaluate.bad_samples  # noqa: F401  (each adds its cases)
from phosphene.evaluate.metric import METRICS
from tests.evaluate.bad import CASES

# -- all of them ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [metric.name for metric in METRICS])
def test_a_bad_model_gets_a_bad_score(name: str) -> None:
    way, make = CASES[name]
    good, worse = (scores[name] for scores in make())
    errors = [score.stderr or 0.0 for score in (good, worse)]
    loss = (worse.value - good.value) * (1 if way == "up" else -1)
    assert loss > 5 * math.hypot(*errors), f"{name}: {good.value:.4g} of a good model, "\
        f"{worse.value:.4g} of a bad one"  # fmt: skip
    assert loss > 0.1 * abs(good.value)


def test_every_score_has_a_bad_model() -> None:
    assert set(CASES) == {metric.name for metric in METRICS}
