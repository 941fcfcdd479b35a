"""Every law for every system of the catalogue: a new row is covered the moment it exists."""

import pytest

from phosphene.catalog import System, systems
from tests.laws.contexts import conditioned_cases
from tests.laws.library import LAWS, ROW_LAWS, Case, cases

ROWS = systems()
CASES = [case for row in ROWS if row.kind == "model" for case in cases(row)]
CONTEXT_LAWS = (
    "law_one_row_of_context_stands_for_all",
    "law_contexts_have_a_row_for_each_example",
    "law_context_is_used",
)
TRIALS = [(case, name) for case in CASES for name in LAWS if case.has(name)]


@pytest.mark.parametrize("name", ROW_LAWS)
@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_row(row: System, name: str) -> None:
    for package in row.requires:
        pytest.importorskip(package)
    ROW_LAWS[name](row)


@pytest.mark.parametrize(
    ("case", "name"), TRIALS, ids=[f"{case.name}-{name[4:]}" for case, name in TRIALS]
)
def test_model(case: Case, name: str) -> None:
    for package in case.row.requires:
        pytest.importorskip(package)
    LAWS[name](case.make, case.row)


TOLD = [row for row in ROWS if row.kind == "model" and row.context != "none"]


@pytest.mark.parametrize("row", TOLD, ids=[row.name for row in TOLD])
def test_contexts_of_every_kind(row: System) -> None:
    for case in conditioned_cases(row):
        for name in CONTEXT_LAWS:
            try:
                LAWS[name](case.make, row)
            except AssertionError as error:
                raise AssertionError(f"{case.name}: {error}") from error
