"""Which family of the catalogue a test concerns, so that ``--family`` can select it.

A test of one row, case or recipe says so by its parameters; any other by what its file imports.
"""

from typing import Any

import pytest

from phosphene.catalog import System, systems

__all__ = ["families_of"]

_FAMILY = {row.name: row.family for row in systems()}


def _packages() -> dict[str, str]:
    """Package -> family: where the rows of a family live, if no other family's do."""
    found: dict[str, set[str]] = {}
    for row in systems():
        parts = row.target.partition(":")[0].split(".")
        for k in range(3, len(parts) + 1):
            found.setdefault(".".join(parts[:k]), set()).add(row.family)
    found.setdefault("phosphene.decision", set()).add("decision")
    return {package: min(names) for package, names in found.items() if len(names) == 1}


_PACKAGES = _packages()


def _named(value: Any) -> set[str]:
    """The families that a parameter of a test names."""
    if isinstance(value, System):
        return {value.family}
    if isinstance(value, str):
        return {_FAMILY[value]} if value in _FAMILY else set()
    row, system = getattr(value, "row", None), getattr(value, "system", None)
    told = row if isinstance(row, System) else system
    return _named(told) if isinstance(told, System | str) else set()


def _imported(module: Any) -> set[str]:
    """The families whose packages a test's file imports from, or is in a folder of."""
    found = set()
    for value in vars(module).values():
        home = getattr(value, "__module__", None) or getattr(value, "__name__", None)
        parts = home.split(".") if isinstance(home, str) else []
        names = (".".join(parts[:k]) for k in range(len(parts), 2, -1))
        found |= {_PACKAGES[name] for name in names if name in _PACKAGES}
    return found


def families_of(item: pytest.Item) -> set[str]:
    """The families that a test concerns."""
    case = getattr(item, "callspec", None)
    told = set().union(*map(_named, case.params.values())) if case is not None else set()
    if told:
        return told
    folders = set(item.path.parts) & set(_FAMILY.values())
    return folders or _imported(getattr(item, "module", None))
