"""Results of the verbs, for any kind of subject."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phosphene.evaluate.score import Score

__all__ = ["Comparison", "Evaluation", "Sampled", "Table"]


@dataclass
class Evaluation:
    """What an evaluation found, and what ``evaluation.json`` says beside it.

    Args:
        scores: By name.
        about: What they are of.
        on: What they are of, in words: ``"on digits, test split"``.
    """

    scores: dict[str, Score]
    about: Mapping[str, Any]
    on: str


@dataclass
class Sampled:
    """What was drawn, and the files that it was written to.

    Args:
        paths: The files.
        shape: Of what was drawn.
        texts: What was drawn, where it is text.
    """

    paths: list[Path]
    shape: tuple[int, ...] = ()
    texts: list[str] = field(default_factory=list)


@dataclass
class Table:
    """One table of a comparison, for the terminal.

    Args:
        title: Over it.
        columns: Their heads.
        rows: Texts.
        right: Columns of numbers.
        optional: Columns that a narrow terminal leaves out, the first last.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: Sequence[str] = ()
    optional: Sequence[str] = ()


@dataclass
class Comparison:
    """What a comparison found.

    Args:
        path: Its folder: ``compare.json``, ``compare.png``, ``report.html`` and the runs.
        entries: One a system, the best first; of several groups, group after group.
        tables: As the terminal shows them.
        about: What ``compare.json`` says beside the rows.
        groups: Entries by what they are ranked by, where values are not all of one kind.
    """

    path: Path
    entries: list[Any]
    tables: list[Table] = field(default_factory=list)
    about: Mapping[str, Any] = field(default_factory=dict)
    groups: Mapping[str, list[Any]] = field(default_factory=dict)
