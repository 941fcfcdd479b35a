"""Models of data side by side, ranked within a kind of score."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from phosphene import catalog
from phosphene.core.number_format import number
from phosphene.data.dataset import Dataset
from phosphene.evaluate.comparison import Entry, extras, grouped, write_comparison
from phosphene.evaluate.score import Score
from phosphene.subjects.dataset.choosing import select
from phosphene.subjects.dataset.splits import context_for, load_split
from phosphene.subjects.results import Comparison, Table
from phosphene.train.building import build
from phosphene.train.folder import Run

__all__ = ["check", "compare_models"]


def check(systems: Sequence[str], data: str, recipe: str) -> Dataset:
    """Everything that can be wrong is found before the first training; the test split."""
    dataset, test = load_split(data, "train"), load_split(data, "test")
    for row in (catalog.find(system) for system in systems):
        chosen = select(row.name, data, recipe, dataset.event, dataset.context.names)
        build(row.name, dataset.event, context_for(dataset, chosen), **chosen.model)
    return test


def compare_models(
    where: Path,
    systems: Sequence[str],
    runs: Sequence[Sequence[Run]],
    scores: Sequence[Sequence[Mapping[str, Score]]],
    about: Mapping[str, Any],
    test: Dataset,
) -> Comparison:
    """Entries by kind of score, with pictures of each system's samples beside the test split."""
    entries = [_entry(*each) for each in zip(systems, runs, scores, strict=True)]
    groups = grouped(entries)
    ordered = [entry for group in groups.values() for entry in group]
    spent, seeds = about["budget"], about["seeds"]
    each = "its recipe's budget" if spent == "recipe" else spent
    lead = f"On {about['data']}, {each} for each training, {seeds} seed{'s' if seeds > 1 else ''}."
    write_comparison(where, ordered, test, about=lead, command=about["command"])
    tables = [_table(heading, group) for heading, group in groups.items()]
    return Comparison(where, ordered, tables, about, groups)


def _table(heading: str, group: Sequence[Entry]) -> Table:
    shown = extras(group)
    columns = ("system", "value", "± stderr", "kind", *shown, "parameters", "steps")
    rows = []
    for entry in group:
        score = entry.scores[entry.main]
        error = "" if score.stderr is None else f"{score.stderr:.2g}"
        others = [number(entry.scores[c].value) if c in entry.scores else "" for c in shown]
        size = (f"{entry.parameters:,}", f"{entry.steps:,.0f}")
        rows.append((entry.system, number(entry.value), error, score.kind, *others, *size))
    right = [c for c in columns if c not in ("system", "kind")]
    return Table(heading, columns, rows, right, ("parameters", "steps", "kind", *shown))


def _entry(system: str, runs: Sequence[Run], scores: Sequence[Mapping[str, Score]]) -> Entry:
    model = runs[0].model
    steps = [next(m["step"] for m in reversed(r.metrics) if "step" in m) for r in runs]
    return Entry(
        system=system,
        runs=tuple(runs),
        scores={name: _mean([s[name] for s in scores]) for name in scores[0]},
        parameters=sum(p.numel() for p in model.parameters()),
        steps=sum(steps) / len(steps),
    )


def _mean(scores: Sequence[Score]) -> Score:
    """The mean over seeds; its standard error is over seeds, which also vary in their samples."""
    first = scores[0]
    if len(scores) == 1:
        return first
    values = [s.value for s in scores]
    mean = sum(values) / len(values)
    variance = sum((v - mean) ** 2 for v in values) / (len(values) - 1)
    floors: list[Any] = [s.floor for s in scores if s.floor is not None]
    floor = sum(floors) / len(floors) if floors else None
    return replace(first, value=mean, stderr=math.sqrt(variance / len(values)), floor=floor)
