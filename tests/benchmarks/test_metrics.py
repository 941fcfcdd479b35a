"""The metrics benchmark: each metric agrees with the package it is timed against."""

import numpy as np
import pytest

from benchmarks.common import run_all
from benchmarks.metrics import cases, compared, information


def test_a_result_that_differs_is_not_timed():
    case = compared("off", "numpy", lambda: [1.0, 2.0], lambda: [1.0, 2.1], 1e-3)
    with pytest.raises(AssertionError, match=r"off: .* differ"):
        run_all([case], 1)


def test_the_tolerance_is_relative_to_the_largest_number():
    case = compared("near", "numpy", lambda: [1.0, 1000.0], lambda: [1.5, 1000.0], 1e-3)
    (row,) = run_all([case], 1)
    assert row.max_difference == pytest.approx(0.5)


def test_mutual_information_agrees_with_scikit_learn():
    pytest.importorskip("sklearn")
    (row,) = run_all(information(200), 1)
    assert row.max_difference < 1e-9
    assert np.isfinite(row.ratio)


def test_every_case_has_a_name_of_its_own():
    names = [case.name for case in cases(quick=True)]
    assert len(set(names)) == len(names) >= 6
