"""One table of several trainings on the same data: grouped by kind, never ranked across kinds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import torch

from phosphene.core.context import Context
from phosphene.core.errors import EventError
from phosphene.core.model import Model
from phosphene.core.protocols import Samples, SamplesMean
from phosphene.data.dataset import Dataset
from phosphene.evaluate import page, plots, views
from phosphene.evaluate.data_kind import picture
from phosphene.evaluate.metric import columns, falls, label, ranking, unit
from phosphene.evaluate.score import Score
from phosphene.evaluate.score_kinds import KINDS, RANKED
from phosphene.train.folder import Run

__all__ = ["Entry", "extras", "grouped", "heading", "write_comparison"]


@dataclass(frozen=True)
class Entry:
    """One system of a comparison, its scores averaged over seeds.

    Args:
        system: Its name in the catalogue.
        runs: One run a seed.
        scores: Means over seeds. With several seeds, ``stderr`` is that of the mean over seeds.
        parameters: How many numbers were learned.
        steps: Mean number of steps within the budget.
    """

    system: str
    runs: tuple[Run, ...]
    scores: Mapping[str, Score]
    parameters: int
    steps: float

    @property
    def main(self) -> str:
        """The score it is ranked by: its likelihood, else the distance of its samples."""
        return ranking(self.scores)

    @property
    def given(self) -> str:
        """What the likelihood is given, in words: another quantity than that of x alone."""
        likely = self.scores[self.main].kind in RANKED
        names = self.runs[0].model.context.names if likely else ()
        return f"given the {' and '.join(names)}" if names else ""

    @property
    def value(self) -> float:
        """The main score as a loss: lower is better."""
        value = self.scores[self.main].value
        return value if falls(self.main) else -value

    def to_json(self) -> dict[str, Any]:
        """What ``compare.json`` holds of it."""
        return {
            "system": self.system,
            "main": self.main,
            "kind": self.scores[self.main].kind,
            "parameters": self.parameters,
            "steps": self.steps,
            "runs": [str(run.path) for run in self.runs],
            "scores": {name: score.to_json() for name, score in self.scores.items()},
        }


def grouped(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """Entries by their main score, its kind and what it is given; groups are sorted, best first."""
    groups: dict[str, list[Entry]] = {}

    def place(entry: Entry) -> tuple[int, str, float]:
        kind = entry.scores[entry.main].kind
        return (RANKED.index(kind) if kind in RANKED else len(RANKED), entry.given, entry.value)

    for entry in sorted(entries, key=place):
        groups.setdefault(heading(entry), []).append(entry)
    return groups


def heading(entry: Entry) -> str:
    """What a group of entries is compared by."""
    name = f"{'' if falls(entry.main) else 'negative '}{label(entry.main).lower()}"
    measure = unit(entry.main)
    kind = entry.scores[entry.main].kind
    return ", ".join(part for part in (name, measure, kind, entry.given) if part)


def write_comparison(
    path: Path, entries: Sequence[Entry], test: Dataset, *, about: str, command: str
) -> None:
    """Write ``compare.png`` and ``report.html`` into the folder of a comparison."""
    groups = grouped(entries)
    rows = {
        name: [(e.system, e.value, e.scores[e.main].stderr) for e in group]
        for name, group in groups.items()
    }
    figure = plots.compare_figure(rows, x="lower is better, within a kind")
    (path / "compare.png").write_bytes(plots.png(figure))
    sections = [
        page.section("Scores", _table(groups), page.paragraph(_caution(groups))),
        page.section("Side by side", page.figure(plots.svg(figure))),
        _pictures(entries, test),
    ]
    title = " · ".join(e.system for e in entries)
    header = (
        f'<p class="kicker">phosphene comparison</p><h1>{escape(title)}</h1>'
        f'<p class="lead">{escape(about)}</p><pre>{escape(command)}</pre>'
    )
    text = page.page(f"Comparison on {test.name}", header, sections, "")
    (path / "report.html").write_text(text, encoding="utf-8")


def extras(group: Sequence[Entry]) -> list[str]:
    """The scores beside the main ones that a table of a group shows."""
    return columns([name for entry in group for name in entry.scores if name != entry.main])


def _caution(groups: Mapping[str, Sequence[Entry]]) -> str:
    if len(groups) == 1:
        return "All values are of one kind, so they may be ranked."
    return (
        "Rows are ranked within a kind only. A bound may be worse than the truth by an unknown "
        "gap: a system with a bound behind one with an exact value need not be the worse model. A "
        "model that is given a label or an image has less left to explain."
    )


def _table(groups: Mapping[str, Sequence[Entry]]) -> str:
    parts = []
    for name, group in groups.items():
        extra = extras(group)
        numbers = ["Value", "Standard error", *map(_short, extra), "Parameters", "Steps"]
        rows = [_row(entry, extra) for entry in group]
        parts.append(f"<h3 style='margin:20px 0 6px'>{escape(name)}</h3>")
        parts.append(page.table(["System", *numbers, "Kind"], rows, numbers))
    used = {e.scores[e.main].kind for group in groups.values() for e in group}
    kinds = [f"<p class='note'>{page.chip(k)} {escape(KINDS[k])}</p>" for k in KINDS if k in used]
    return "".join(parts) + "<br>" + "".join(kinds)


def _short(name: str) -> str:
    return label(name).removesuffix(" of reconstructions")


def _row(entry: Entry, extra: Sequence[str]) -> list[str]:
    score = entry.scores[entry.main]
    error = "" if score.stderr is None else f"± {score.stderr:.2g}"
    others = [f"{entry.scores[c].value:.4g}" if c in entry.scores else "" for c in extra]
    size = [f"{entry.parameters:,}", f"{entry.steps:,.0f}"]
    name = f"<b>{escape(entry.system)}</b>"
    return [name, f"{entry.value:.5g}", error, *others, *size, page.chip(score.kind)]


def _pictures(entries: Sequence[Entry], test: Dataset) -> str:
    n = min(48, len(test))
    x, context = test.take(torch.arange(n))
    shown = [page.figure(picture(x, test.event), "held out", "Test examples")]
    for entry in entries:
        model: Model = entry.runs[0].model
        if not isinstance(model, Samples):
            continue
        mean = isinstance(model, SamplesMean)
        given: Context | None = context if model.context else None
        try:
            drawn = views.draws(model, n, given, mean=mean)
            image = picture(drawn, model.event)
        except EventError:  # what is drawn cannot be shown: the table still holds
            continue
        shown.append(page.figure(image, "means of samples" if mean else "samples", entry.system))
    return page.section("Samples", f'<div class="pair">{"".join(shown)}</div>')
