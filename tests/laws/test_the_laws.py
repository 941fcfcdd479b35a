"""The test of the tests: each law passes on correct models and fails on the one broken for it."""

import ast
import inspect
from dataclasses import replace

import pytest

from phosphene.catalog import System
from phosphene.core.errors import PhospheneError
from tests.laws import small
from tests.laws.broken import BROKEN, RefusesRudely, TakesEverything, Variadic
from tests.laws.counted import asserting
from tests.laws.grounds import GROUNDS
from tests.laws.library import LAWS, ROW_LAWS, Case, cases, row_laws
from tests.laws.support import LABELS
from tests.laws.toys import CORRECT, Coins, Toy, row_of


def broken_laws(case: Case) -> set[str]:
    """The laws that a case breaks; any other error than a law's own is an error of ours."""
    found = set()
    for name in case.laws():
        try:
            asserting(LAWS[name], case.make, case.row)
        except (AssertionError, PhospheneError) as error:
            found.add(name if str(error) else f"{name}, without a sentence")
    return found


@pytest.mark.parametrize("cls", CORRECT, ids=lambda cls: cls.__name__)
def test_correct_models_obey(cls: type[Toy]) -> None:
    for case in cases(row_of(cls)):
        assert broken_laws(case) == set(), case.name


@pytest.mark.parametrize("cls", BROKEN, ids=lambda cls: cls.__name__)
def test_broken_models_break_exactly_these(cls: type[Toy]) -> None:
    row = row_of(cls)
    assert broken_laws(Case(row, small.events(row)[row.events[0]][0], LABELS)) == BROKEN[cls]


def test_every_law_has_a_model_that_breaks_it() -> None:
    assert set().union(*BROKEN.values()) >= set(LAWS) - {"law_loss_is_finite_in_double"}


def broken_row_laws(row: System) -> set[str]:
    found = set()
    for name in row_laws(row):
        try:
            asserting(ROW_LAWS[name], row)
        except (AssertionError, ImportError):
            found.add(name)
    return found


def test_a_correct_row_obeys() -> None:
    assert broken_row_laws(row_of(Coins)) == set()


@pytest.mark.parametrize(
    ("row", "laws"),
    [
        (replace(row_of(Coins), paper="nobody"), {"row_is_filled_in", "docstring_cites"}),
        (replace(row_of(Coins), rows=()), {"row_is_filled_in"}),
        (replace(row_of(Coins), paper="Gauss, 1713"), {"docstring_cites"}),
        (replace(row_of(Coins), context="none"), {"takes_the_context_it_claims"}),
        (replace(row_of(Coins), events=("binary",)), {"takes_what_it_claims"}),
        (row_of(Variadic), {"docstring_cites", "constructor_is_the_configuration"}),
        (row_of(TakesEverything), {"docstring_cites", "takes_what_it_claims"}),
        (row_of(RefusesRudely), {"docstring_cites", "takes_what_it_claims"}),
    ],
    ids=["no-year", "no-rows", "author", "context", "events", "variadic", "all-events", "rude"],
)
def test_broken_rows_break_exactly_these(row: System, laws: set[str]) -> None:
    assert broken_row_laws(row) == {f"law_{name}" for name in laws}


def test_a_row_whose_target_is_missing() -> None:
    row = replace(row_of(Coins), target="phosphene.no_such_module:Thing")
    assert "law_target_imports" in broken_row_laws(row)


def test_a_law_that_asserts_nothing_fails() -> None:
    """An early way out, a loop over nothing: what concerns no case must be no test of it."""

    def law_of_nothing(row: System) -> None:
        for event in ():
            assert event, row

    with pytest.raises(AssertionError, match="law_of_nothing asserted nothing"):
        asserting(law_of_nothing, row_of(Coins))


EVERY = ROW_LAWS | {n: law for ground in GROUNDS.values() for n, law in ground.laws.items()}


@pytest.mark.parametrize("name", EVERY)
def test_no_law_has_an_early_way_out(name: str) -> None:
    law = EVERY[name]
    (tree,) = ast.parse(inspect.getsource(law)).body
    inner = [n for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) and f is not tree
             for n in ast.walk(f)]  # fmt: skip
    early = [n for n in ast.walk(tree) if isinstance(n, ast.Return) and n not in inner]
    assert not early, f"{name} returns in line {early[0].lineno}: give it a selection instead"
