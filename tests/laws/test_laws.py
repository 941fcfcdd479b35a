"""Every law for every system of the catalogue: a new row is covered the moment it exists."""

import pytest

from phosphene.catalog import System, systems
from tests.laws.library import LAWS, ROW_LAWS, Case, cases

ROWS = systems()
CASES = [case for row in ROWS if row.kind == "model" for case in cases(row)]
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
