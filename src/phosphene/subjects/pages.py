"""Pages that any kind of subject can have: the report of a run, and systems side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from statistics import fmean
from typing import Any

from phosphene.core.number_format import number
from phosphene.evaluate import page
from phosphene.evaluate.metric import falls, label, ranking
from phosphene.evaluate.score import Score
from phosphene.evaluate.sections.scores import headline, score_table
from phosphene.evaluate.sections.settings import settings_table
from phosphene.subjects.results import Comparison, Table
from phosphene.train.files import write_atomically
from phosphene.train.folder import Run

__all__ = ["ComparedEntry", "compare_scores", "write_page"]


def write_page(run: Run, scores: Mapping[str, Score], sections: Sequence[str]) -> Path:
    """Write ``report.html`` into a run: scores, sections and settings."""
    title = f"{run.config['system']} on {run.subject}"
    header = f'<p class="kicker">phosphene report</p><h1>{escape(title)}</h1>'
    parts = [headline(scores), *sections, score_table(scores), settings_table(run)]
    versions = ", ".join(f"{k} {v}" for k, v in run.config.get("versions", {}).items())
    path = run.place("report.html")
    write_atomically(path, page.page(title, header, parts, escape(versions)))
    return path


@dataclass(frozen=True)
class ComparedEntry:
    """One system of a comparison.

    Args:
        system: Its name.
        runs: One a seed.
        scores: Means over seeds, by name.
    """

    system: str
    runs: tuple[Run, ...]
    scores: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """What ``compare.json`` holds of it."""
        runs = [str(run.path) for run in self.runs]
        return {"system": self.system, "scores": dict(self.scores), "runs": runs}


def compare_scores(
    where: Path,
    systems: Sequence[str],
    runs: Sequence[Sequence[Run]],
    scores: Sequence[Sequence[Mapping[str, Score]]],
    about: Mapping[str, Any],
) -> Comparison:
    """Systems by the mean over seeds of each score, ranked by the first that has a direction."""
    entries = [
        ComparedEntry(
            system, tuple(own), {name: fmean(s[name].value for s in found) for name in found[0]}
        )
        for system, own, found in zip(systems, runs, scores, strict=True)
    ]
    names = list(entries[0].scores)
    main = ranking(names)
    entries.sort(key=lambda e: e.scores[main] * (1 if falls(main) else -1))
    columns = ("system", *(label(name) for name in names))
    rows = [(e.system, *(number(e.scores[name]) for name in names)) for e in entries]
    title = f"{label(main)}, mean over {about['seeds']} seeds"
    table = Table(title, columns, rows, columns[1:])
    lead = f"<h1>{escape(' · '.join(e.system for e in entries))}</h1>"
    shown = page.section(title, page.table(columns, [tuple(map(escape, r)) for r in rows]))
    text = page.page("Comparison", lead, [shown], "")
    write_atomically(where / "report.html", text)
    return Comparison(where, entries, [table], about)
