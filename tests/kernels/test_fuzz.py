"""Every random call of a kernel is computed or refused: none crashes, hangs or says nonsense."""

import collections

import pytest

from tests.kernels.fuzz import BAD, run


def judged(calls, seed):
    found = run(calls, seed)
    bad = [f"{outcome}: {name}, seed {s}, {kind}: {said}" for name, s, kind, outcome, said in found
           if outcome in BAD]  # fmt: skip
    assert not bad, "\n".join(bad)
    counts = collections.Counter(outcome for *_, outcome, _ in found)
    assert counts["equal"] >= calls / 2
    assert counts["refused"] >= calls / 5


@pytest.mark.timeout(120)
def test_random_calls_are_computed_or_refused():
    judged(408, 0)


@pytest.mark.slow
def test_two_thousand_random_calls_are_computed_or_refused():
    judged(2000, 100)
