"""The row of a kind of subject; data sets and environments are built in."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from phosphene.core.checks import Check

__all__ = ["Kind", "kind_called", "kind_of_record", "kind_of_system", "kinds"]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of subject.

    Args:
        name: ``dataset``, ``environment``, ...
        option: The keyword of ``train`` and the flag of the command line that gives its address.
        trains: The catalogue's kind of the systems that learn from it.
        called: What it is, in a sentence: ``"data"``.
        learner: Who learns from it, in a sentence: ``"a model of data"``.
        target: ``module:Class`` of its :class:`~phosphene.subjects.kind.Handling`.
        options: A module with ``TrainOptions``, ``EvaluateOptions``, ``CompareOptions`` and perhaps
            ``SampleOptions``, frozen dataclasses of what may be said to these verbs; it imports no
            torch.
        fields: Of ``run.json``: name to a check and to what is allowed, in words.
        held_out: Where its systems are scored, in a sentence: ``"on the test split"``.
        listed: ``module:function`` of the table of known addresses, for the documents: the head,
            and the rows.
        place: Where it stands among the others.
    """

    name: str
    option: str
    trains: str
    called: str
    learner: str
    target: str
    options: str
    fields: Mapping[str, tuple[Check, str]] = field(default_factory=dict)
    held_out: str = "on what is held out"
    listed: str = ""
    place: int = 100

    def options_of(self, verb: str) -> type | None:
        """What may be said of it to a verb: a frozen dataclass; None where nothing can be."""
        module = importlib.import_module(self.options)
        return getattr(module, f"{verb.capitalize()}Options", None)

    def load(self) -> Any:
        """What can be done with it: one object a process."""
        return _loaded(self.target)

    def addresses(self) -> tuple[Sequence[str], Sequence[Sequence[str]]] | None:
        """The table of known addresses, its head and its rows; None where there is none."""
        if not self.listed:
            return None
        module, _, name = self.listed.partition(":")
        found: tuple[Sequence[str], Sequence[Sequence[str]]]
        found = getattr(importlib.import_module(module), name)()
        return found


@cache
def _loaded(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)()


@cache
def _table() -> dict[str, Kind]:
    """Those of this package, each in ``kind.py`` of its folder, and those of outside packages."""
    root = Path(__file__).parent.parent / "subjects"
    own = [
        importlib.import_module(f"phosphene.subjects.{file.parent.name}.kind").KIND
        for file in root.glob("*/kind.py")
    ]
    outside = [point.load() for point in entry_points(group="phosphene.kinds")]
    return {kind.name: kind for kind in sorted((*own, *outside), key=lambda k: (k.place, k.name))}


def kinds() -> tuple[Kind, ...]:
    """All kinds of subjects; outside packages add theirs by the entry point ``phosphene.kinds``.

    Example:
        >>> [kind.name for kind in kinds()][:2]
        ['dataset', 'environment']
    """
    return tuple(_table().values())


def kind_called(name: str) -> Kind:
    """The kind of that name; UnknownNameError with the nearest otherwise."""
    from phosphene.core.errors import UnknownNameError

    if name not in _table():
        raise UnknownNameError("kind of subject", name, _table())
    return _table()[name]


def kind_of_system(kind: str) -> Kind | None:
    """What the systems of a kind of the catalogue learn from; None for those that do not."""
    return next((k for k in kinds() if k.trains == kind), None)


def kind_of_record(record: Mapping[str, Any]) -> Kind | None:
    """What the run of a record learned from; None where it does not say.

    A run of before kinds had names has the option of its kind alone.
    """
    name = record.get("kind")
    if name is not None:
        found = _table().get(name) if isinstance(name, str) else None
        return found if found is not None and found.option in record else None
    known = [kind for kind in kinds() if kind.place < 100 and kind.option in record]
    return known[0] if len(known) == 1 else None
