"""The benchmark of optimizers at a tiny size: it compares before it times."""

import json

import pytest
import torch

from benchmarks import learning_optimizers
from benchmarks.common import measure
from phosphene.learning.optimizers.momentum import Momentum


def test_every_case_is_checked_and_timed(capsys):
    names = set()
    for case in learning_optimizers.cases(3, 5):
        row = measure(case, 1)
        assert row.max_difference < 1e-12
        assert row.ratio > 0
        json.dumps(row.to_json())
        names.add(row.case.split(",")[0])
    assert names == set(learning_optimizers.makers())


def test_a_step_that_differs_is_noticed():
    with pytest.raises(AssertionError, match="differ by"):
        learning_optimizers.same(
            lambda p: Momentum(p, lr=1e-3, momentum=0.9),
            lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.8),
        )
