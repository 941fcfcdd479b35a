"""The settings of every system as a table, and how many of them are declared more than once.

``python -m tests.helpers.settings`` prints the counts; with ``--table`` the table itself, which
``tests/core/settings.json`` freezes.
"""

import ast
import inspect
import json
import sys
import textwrap
from collections import Counter
from typing import Annotated, Any, get_args, get_origin

from phosphene.catalog import kinds, systems

MOST_REPEATED = 28
"""Declarations whose name, type and default stand elsewhere too: choices that happen to agree."""

Table = dict[str, dict[str, str]]


def plain(annotation: Any) -> str:
    """A type as text, without the ranges that are declared with it."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return inspect.formatannotation(annotation)


def _learning() -> list[str]:
    return [kind.trains for kind in kinds()]


def table() -> Table:
    """The type and default of each setting of each system, by name."""
    found: Table = {}
    for row in systems():
        if row.kind in _learning():
            parameters = inspect.signature(row.load().__init__).parameters.values()
            found[row.name] = {
                p.name: f"{plain(p.annotation)} = {p.default!r}"
                for p in sorted(parameters, key=lambda p: p.name)
                if p.kind is inspect.Parameter.KEYWORD_ONLY
            }
    return found


def declarations() -> list[tuple[str, str, str]]:
    """Name, type and default of every setting that is written down, once each time it is.

    Those of constructors, and those declared on classes, of the systems and all that they inherit.
    """
    classes = {c: None for row in systems() if row.kind in _learning()
               for c in row.load().__mro__ if c.__module__.startswith("phosphene.")}  # fmt: skip
    return [found for cls in classes for found in _written(cls)]


def _written(cls: type) -> list[tuple[str, str, str]]:
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(body, ast.ClassDef)
    found = []
    for item in body.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            for a, default in zip(item.args.kwonlyargs, item.args.kw_defaults, strict=True):
                found.append((a.arg, _text(a.annotation), _text(default)))
        elif isinstance(item, ast.AnnAssign) and isinstance(item.value, ast.Call):
            said = {k.arg: k.value for k in item.value.keywords}
            if _text(item.value.func) == "setting" and "kw_only" not in said:
                name = ast.literal_eval(said["alias"]) if "alias" in said else _text(item.target)
                found.append((name, _text(item.annotation), _text(said.get("default"))))
    return found


def _text(node: ast.AST | None) -> str:
    return "" if node is None else ast.unparse(node)


def main() -> None:
    if "--table" in sys.argv:
        print(json.dumps(table(), indent=1))
        return
    told = Counter(declarations())
    used = sum(len(settings) for settings in table().values())
    repeated = sum(told.values()) - len(told)
    print(f"{used} settings of systems, {sum(told.values())} declarations, {repeated} repeated")
    if "--which" in sys.argv:
        for declared, times in told.most_common():
            if times > 1:
                print(times, *declared)


if __name__ == "__main__":
    main()
