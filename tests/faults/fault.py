"""A planted fault: what is wrong, of which kind, how it is planted and what must catch it."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.laws import small
from tests.laws.counted import asserting
from tests.laws.library import LAWS, Case
from tests.laws.support import LABELS
from tests.laws.toys import row_of

__all__ = ["FAULTS", "Caught", "Fault", "law", "planted"]

Caught = (AssertionError, pytest.fail.Exception)
"""What a test that catches a fault raises; any other error is a fault of the test."""

Plant = Callable[[pytest.MonkeyPatch], None]
FAULTS: list["Fault"] = []


@dataclass(frozen=True)
class Fault:
    """One fault.

    Args:
        says: What is wrong.
        kind: The part that is broken so.
        caught_by: The name of the law or test that is meant for it.
        check: Passes on sound code; given whether the fault is there, and a folder.
        plant: Breaks the code, until the end of the test.
    """

    says: str
    kind: str
    caught_by: str
    check: Callable[[bool, Path], None]
    plant: Plant


def law(says: str, kind: str, name: str, sound: type[Any], broken: type[Any]) -> None:
    """A fault of a model: a toy that is sound and one that breaks this law."""

    def check(faulty: bool, folder: Path) -> None:
        row = row_of(broken if faulty else sound)
        context = None if row.context == "none" else LABELS
        case = Case(row, small.events(row)[row.events[0]][0], context)
        asserting(LAWS[f"law_{name}"], case.make, row)

    FAULTS.append(Fault(says, kind, f"law_{name} on {broken.__name__}", check, lambda patch: None))


def planted(
    says: str, kind: str, test: Callable[..., None], plant: Plant, *arguments: object
) -> None:
    """A fault of any other part: a test as it stands in the suite, on code that is patched."""
    takes_folder = "tmp_path" in inspect.signature(test).parameters

    def check(faulty: bool, folder: Path) -> None:
        torch.manual_seed(0)
        folder.mkdir()
        test(*arguments, **({"tmp_path": folder} if takes_folder else {}))

    where = test.__module__.removeprefix("tests.").replace(".", "/")
    FAULTS.append(Fault(says, kind, f"{where}.py: {test.__name__}", check, plant))
