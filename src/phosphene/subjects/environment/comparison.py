"""Agents side by side, ranked by the interquartile mean of their returns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from phosphene.core.errors import ConfigError
from phosphene.core.number_format import number
from phosphene.decision.environments.table import spec
from phosphene.evaluate import page, plots
from phosphene.evaluate.score import Score
from phosphene.subjects.environment.choosing import select_for
from phosphene.subjects.environment.scores import bootstrap_interval, interquartile_mean
from phosphene.subjects.results import Comparison, Table
from phosphene.train.building import build
from phosphene.train.folder import Run

__all__ = ["AgentEntry", "check", "compare_agents"]

_POINTS = 60  # of a curve


@dataclass(frozen=True)
class AgentEntry:
    """One agent of a comparison.

    Args:
        system: Its name.
        runs: One a seed.
        returns: Mean return of each seed's evaluation.
        seconds: Mean time of a training.
        steps: Mean number of environment steps.
    """

    system: str
    runs: tuple[Run, ...]
    returns: tuple[float, ...]
    seconds: float
    steps: float

    @property
    def iqm(self) -> float:
        """Interquartile mean over seeds."""
        return float(interquartile_mean(self.returns))

    @property
    def interval(self) -> tuple[float, float]:
        """95 % bootstrap interval of it, over seeds."""
        low, high = bootstrap_interval(self.returns)
        return float(low), float(high)

    def to_json(self) -> dict[str, Any]:
        """What ``compare.json`` holds of it."""
        return {
            "system": self.system,
            "returns": list(self.returns),
            "mean": sum(self.returns) / len(self.returns),
            "iqm": self.iqm,
            "interval": list(self.interval),
            "seconds": self.seconds,
            "environment_steps": self.steps,
            "runs": [str(run.path) for run in self.runs],
        }


def check(systems: Sequence[str], env: str | None, recipe: str) -> None:
    """Everything that can be wrong is found before the first training."""
    if env is None:
        raise ConfigError("agents are compared in an environment: --env CartPole-v1, for one")
    about = spec(env)
    for system in systems:
        build(system, about, **select_for(system, env, recipe).model)


def compare_agents(
    where: Path,
    systems: Sequence[str],
    runs: Sequence[Sequence[Run]],
    scores: Sequence[Sequence[Mapping[str, Score]]],
    about: Mapping[str, Any],
) -> Comparison:
    """The agents, the best first; learning curves show the same over environment steps."""
    entries = []
    for system, own, found in zip(systems, runs, scores, strict=True):
        entries.append(_entry(system, own, [s["return_mean"].value for s in found]))
    entries.sort(key=lambda e: -e.iqm)
    _write(where, entries, about)
    columns = ("agent", "iqm", "95 % interval", "worst seed", "steps", "seconds")
    rows = [
        (
            e.system,
            number(e.iqm),
            f"{number(e.interval[0])} .. {number(e.interval[1])}",
            number(min(e.returns)),
            f"{e.steps:,.0f}",
            f"{e.seconds:.1f}",
        )
        for e in entries
    ]
    title = f"Returns in {about['env']}, interquartile mean over {about['seeds']} seeds"
    return Comparison(where, entries, [Table(title, columns, rows, columns[1:])], about)


def _entry(system: str, runs: Sequence[Run], returns: Sequence[float]) -> AgentEntry:
    last = [next(m for m in reversed(run.metrics) if "environment_steps" in m) for run in runs]
    return AgentEntry(
        system,
        tuple(runs),
        tuple(returns),
        seconds=sum(m["seconds"] for m in last) / len(last),
        steps=sum(m["environment_steps"] for m in last) / len(last),
    )


def curve(runs: Sequence[Run]) -> tuple[list[float], list[float], list[float], list[float]]:
    """Environment steps, and the interquartile mean over seeds with its interval.

    Of greedy episodes at the judgements of each run, between which it is constant.
    """
    judged = [
        [
            (m["environment_steps"], m["return"])
            for m in run.metrics
            if m.get("split") == "validation"
        ]
        for run in runs
    ]
    first = max(rows[0][0] for rows in judged)
    last = min(rows[-1][0] for rows in judged)
    xs = np.linspace(first, max(first, last), _POINTS)
    values = np.stack(
        [
            np.array([v for _, v in rows])[
                np.searchsorted([s for s, _ in rows], xs, side="right") - 1
            ]
            for rows in judged
        ]
    )
    low, high = bootstrap_interval(values)
    return xs.tolist(), interquartile_mean(values).tolist(), low.tolist(), high.tolist()


def _write(where: Path, entries: Sequence[AgentEntry], about: Mapping[str, Any]) -> None:
    lines = {e.system: curve(e.runs) for e in entries}
    figure = plots.bands(lines, x="environment steps", y="return of greedy episodes")
    (where / "compare.png").write_bytes(plots.png(figure))
    rows = [
        (
            escape(e.system),
            f"{e.iqm:.4g}",
            f"{e.interval[0]:.4g} .. {e.interval[1]:.4g}",
            f"{min(e.returns):.4g}",
            f"{e.steps:,.0f}",
            f"{e.seconds:.1f}",
        )
        for e in entries
    ]
    columns = ("agent", "interquartile mean", "95 % interval", "worst seed", "steps", "seconds")
    seeds = about["seeds"]
    lead = (
        f"In {about['env']}, {seeds} training{'s' if seeds > 1 else ''} each, "
        f"{about['episodes']} episodes for each score."
    )
    note = "The interval is a bootstrap over trainings; with one training it says nothing."
    sections = [
        page.section("Scores", page.table(columns, rows, columns[1:]), page.paragraph(note)),
        page.section("Learning", page.figure(plots.svg(figure))),
    ]
    title = " · ".join(e.system for e in entries)
    header = (
        f'<p class="kicker">phosphene comparison</p><h1>{escape(title)}</h1>'
        f'<p class="lead">{escape(lead)}</p>'
    )
    text = page.page(f"Comparison in {about['env']}", header, sections, "")
    (where / "report.html").write_text(text, encoding="utf-8")
