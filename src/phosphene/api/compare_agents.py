"""Train several agents in one environment with several seeds, and show them side by side."""

import datetime
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from phosphene import catalog
from phosphene.api.evaluate import evaluate
from phosphene.api.occupying import folder_of_runs
from phosphene.api.train import train
from phosphene.core.errors import ConfigError, RunError
from phosphene.core.paths import expanded
from phosphene.core.progress import Listener
from phosphene.core.ranges import COUNT
from phosphene.decision.environments.table import spec
from phosphene.evaluate import page, plots
from phosphene.evaluate.likelihood import Progress
from phosphene.subjects.environment.choosing import select_for
from phosphene.subjects.environment.scores import bootstrap_interval, interquartile_mean
from phosphene.train.building import build
from phosphene.train.files import write_atomically
from phosphene.train.folder import Run
from phosphene.train.probe import check_threads
from phosphene.train.settings import Budget

__all__ = ["AgentComparison", "AgentEntry", "compare_agents"]

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


@dataclass(frozen=True)
class AgentComparison:
    """What was found and where it was written.

    Args:
        path: The folder: ``compare.json``, ``compare.png``, ``report.html`` and the runs.
        entries: The agents, the best first.
    """

    path: Path
    entries: list[AgentEntry]


def compare_agents(
    systems: Sequence[str],
    *,
    env: str,
    budget: str | None = None,
    seeds: int = 1,
    episodes: int = 100,
    recipe: str = "default",
    folder: str | Path = "runs",
    name: str | None = None,
    threads: int | None = None,
    listeners: Sequence[Listener] = (),
    progress: Progress | None = None,
    announce: Callable[[str], None] | None = None,
) -> AgentComparison:
    """Train each agent in the same environment, play its best actions, and write one table.

    Agents are ranked by the interquartile mean over seeds of their mean returns, with a 95 %
    bootstrap interval (Agarwal et al., 2021); learning curves show the same over environment steps.

    Args:
        systems: Agents of the catalogue; a name may come once.
        env: The environment.
        budget: Of each training; None gives each agent the budget of its own recipe.
        seeds: Trainings of each agent, with seeds 0, 1, ...
        episodes: Played for each score, none of them met in training.
        recipe: Whose settings to use.
        folder: Where runs are kept.
        name: Of the comparison's folder.
        threads: CPU threads.
        listeners: Called with each event of each training.
        progress: Told what is being scored.
        announce: Told each training before it starts.

    Raises:
        PhospheneError: Something is not usable; found before anything is trained or written.
    """
    _check(systems, env, budget, seeds, recipe)
    if threads is not None:
        check_threads(threads)
    COUNT.check("episodes", episodes)
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    plain = "".join(c if c.isalnum() or c in "-_" else "-" for c in env)
    entries = []
    with folder_of_runs(expanded(folder), name, f"compare-{plain}-{stamp}") as where:
        for k, system in enumerate(systems):
            runs, returns = [], []
            for seed in range(seeds):
                if announce:
                    announce(f"{k + 1} of {len(systems)}: {system}, seed {seed}")
                run = train(
                    system, env=env, budget=budget, seed=seed, recipe=recipe, folder=where,
                    name=f"{system}-seed{seed}", threads=threads, listeners=listeners,
                )  # fmt: skip
                if run.metrics[-1].get("finished") == "interrupted":
                    raise RunError(f"interrupted; what was finished is in {str(where)!r}")
                runs.append(run)
                scores = evaluate(run, episodes=episodes, progress=progress)
                returns.append(scores["return_mean"].value)
            entries.append(_entry(system, runs, returns))
    entries.sort(key=lambda e: -e.iqm)
    about = {"env": env, "budget": budget or "recipe", "seeds": seeds, "episodes": episodes}
    record = {**about, "rows": [e.to_json() for e in entries]}
    write_atomically(where / "compare.json", json.dumps(record, indent=2) + "\n")
    _write(where, entries, about)
    return AgentComparison(where, entries)


def _check(systems: Sequence[str], env: str, budget: str | None, seeds: int, recipe: str) -> None:
    """Everything that can be wrong is found before the first training."""
    if len(set(systems)) < len(systems):
        twice = next(s for s in systems if list(systems).count(s) > 1)
        raise ConfigError(f"{twice!r} is named twice; --seeds trains each agent several times")
    if seeds < 1:
        raise ConfigError(f"seeds must be at least 1, got {seeds}")
    if budget is not None:
        Budget.parse(budget)
    about = spec(env)
    for system in systems:
        row = catalog.find(system)
        if row.kind != "agent":
            raise ConfigError(f"{system!r} is a {row.kind}; in an environment agents are compared")
        build(system, about, **select_for(system, env, recipe).model)


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


def _write(where: Path, entries: Sequence[AgentEntry], about: dict[str, Any]) -> None:
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
