"""What a model scores does not change when the code that scores it does."""

import json

import pytest

from tests.evaluate.frozen import CASES, PATH, scored

KEPT = json.loads(PATH.read_text())
SLACK = {"rel": 2e-3, "abs": 1e-4}
"""Processors differ in the last bits of a product."""


@pytest.mark.parametrize("name", CASES)
def test_scores_their_order_and_all_they_say_are_those_that_were_kept(name: str) -> None:
    found, kept = scored(name), KEPT[name]
    assert list(found["scores"]) == list(kept["scores"])
    assert found["left_out"] == kept["left_out"]
    for metric, said in kept["scores"].items():
        got = found["scores"][metric]
        numbers = {key: said[key] for key in ("value", "stderr", "floor") if key in said}
        assert {key: got.get(key) for key in numbers} == pytest.approx(numbers, **SLACK), metric
        assert set(got) == set(said), metric
        assert [got[k] for k in ("kind", "features")] == [said[k] for k in ("kind", "features")]
        assert (got["note"] is None) == (said["note"] is None), metric
