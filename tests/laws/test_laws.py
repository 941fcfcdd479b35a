"""Every law for every system of the catalogue: a new row is covered the moment it exists."""

import pytest

from phosphene.catalog import System, systems
from tests.laws.contexts import conditioned_cases
from tests.laws.counted import asserting
from tests.laws.covers import context_shown, cover, trials
from tests.laws.library import LAWS, ROW_LAWS, Case, cases, row_laws

ROWS = systems()
MODELS = [row for row in ROWS if row.kind == "model"]
CONTEXT_LAWS = (
    "law_one_row_of_context_stands_for_all",
    "law_contexts_have_a_row_for_each_example",
    "law_context_is_used",
)
ROW_TRIALS = [(row, name) for row in ROWS for name in row_laws(row)]
TRIALS = [trial for row in MODELS for trial in trials(list(cases(row)))]
TOLD = [
    (case, name)
    for row in MODELS
    for case in cover(list(conditioned_cases(row)), context_shown)
    for name in CONTEXT_LAWS
]


def needs_what(row: System) -> None:
    for package in row.requires:
        pytest.importorskip(package)


@pytest.mark.parametrize(
    ("row", "name"), ROW_TRIALS, ids=[f"{row.name}-{name[4:]}" for row, name in ROW_TRIALS]
)
def test_row(row: System, name: str) -> None:
    needs_what(row)
    asserting(ROW_LAWS[name], row)


@pytest.mark.parametrize(
    ("case", "name"), TRIALS, ids=[f"{case.name}-{name[4:]}" for case, name in TRIALS]
)
def test_model(case: Case, name: str) -> None:
    needs_what(case.row)
    asserting(LAWS[name], case.make, case.row)


@pytest.mark.parametrize(
    ("case", "name"), TOLD, ids=[f"{case.name}-{name[4:]}" for case, name in TOLD]
)
def test_contexts_of_every_kind(case: Case, name: str) -> None:
    needs_what(case.row)
    asserting(LAWS[name], case.make, case.row)
