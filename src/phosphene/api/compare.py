"""Train several systems on the same data, usually under one budget, and put them in one table."""

import datetime
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from phosphene import catalog
from phosphene.api.evaluate import evaluate
from phosphene.api.occupying import folder_of_runs
from phosphene.api.train import load_split, train
from phosphene.core.errors import ConfigError, RunError
from phosphene.core.paths import expanded
from phosphene.core.progress import Listener
from phosphene.core.ranges import COUNT
from phosphene.data.dataset import Dataset
from phosphene.evaluate.comparison import Entry, grouped, write_comparison
from phosphene.evaluate.likelihood import Progress
from phosphene.evaluate.score import Score
from phosphene.subjects.dataset.choosing import select
from phosphene.subjects.dataset.planning import context_for
from phosphene.train.building import build
from phosphene.train.files import write_atomically
from phosphene.train.folder import Run
from phosphene.train.probe import check_threads
from phosphene.train.settings import Budget

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True)
class Comparison:
    """What a comparison found and where it was written.

    Args:
        path: The folder: ``compare.json``, ``compare.png``, ``report.html`` and the runs.
        groups: Entries by what they are compared by, each group sorted, best first.
    """

    path: Path
    groups: dict[str, list[Entry]]

    @property
    def entries(self) -> list[Entry]:
        """All entries, group after group."""
        return [entry for group in self.groups.values() for entry in group]


def compare(
    systems: Sequence[str],
    *,
    data: str,
    budget: str | None = None,
    seeds: int = 1,
    recipe: str = "default",
    folder: str | Path = "runs",
    name: str | None = None,
    samples: int = 1000,
    particles: int | None = None,
    threads: int | None = None,
    device: str = "auto",
    listeners: Sequence[Listener] = (),
    progress: Progress | None = None,
    announce: Callable[[str], None] | None = None,
) -> Comparison:
    """Train each system under one budget on one data set, score it, and write one table.

    Every system sees the same codes, and likelihoods are those of the codes, whatever a system
    does with them inside; so nats compare. Values of different kinds are not ranked together.

    Args:
        systems: Two or more names of the catalogue; a name may come once.
        data: A data set's name.
        budget: Of each training, as ``30s`` or ``2000steps``; None gives each system the budget of
            its own recipe.
        seeds: Trainings of each system, with seeds 0, 1, ...; scores are means over them.
        recipe: Whose settings to use, where a system has a recipe of that name.
        folder: Where runs are kept.
        name: Of the comparison's folder; defaults to ``compare``, data and date.
        samples: Samples drawn for the distances.
        particles: Importance-weighted particles; None for what suits each model.
        threads: CPU threads; None takes the fastest for each system.
        device: ``auto``, ``cpu`` or ``cuda``.
        listeners: Called with each event of each training.
        progress: Told what is being scored.
        announce: Told each training before it starts.

    Raises:
        PhospheneError: A system, data set, budget or folder is not usable; found before anything
            is trained or written.
    """
    test = _check(systems, data, budget, seeds, recipe)
    if threads is not None:
        check_threads(threads)
    COUNT.check("samples", samples)
    COUNT.check("particles", particles)
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    plain = "".join(c if c.isalnum() or c in "-_" else "-" for c in data)
    entries = []
    with folder_of_runs(expanded(folder), name, f"compare-{plain}-{stamp}") as where:
        for k, system in enumerate(systems):
            runs, scores = [], []
            for seed in range(seeds):
                if announce:
                    announce(f"{k + 1} of {len(systems)}: {system}, seed {seed}")
                run = train(
                    system, data=data, budget=budget, seed=seed, recipe=recipe,
                    folder=where, name=f"{system}-seed{seed}", threads=threads, device=device,
                    listeners=listeners,
                )  # fmt: skip
                _refuse_interrupted(run)
                runs.append(run)
                scores.append(
                    evaluate(run, samples=samples, particles=particles, progress=progress)
                )
            entries.append(_entry(system, runs, scores))
    groups = grouped(entries)
    spent = "recipe" if budget is None else str(Budget.parse(budget))
    about = {"data": data, "budget": spent, "seeds": seeds}
    ordered = [entry for group in groups.values() for entry in group]
    record = {**about, "command": _command(), "rows": [entry.to_json() for entry in ordered]}
    write_atomically(where / "compare.json", json.dumps(record, indent=2) + "\n")
    each = "its recipe's budget" if budget is None else budget
    lead = f"On {data}, {each} for each training, {seeds} seed{'s' if seeds > 1 else ''}."
    write_comparison(where, ordered, test, about=lead, command=_command())
    return Comparison(where, groups)


def _check(
    systems: Sequence[str], data: str, budget: str | None, seeds: int, recipe: str
) -> Dataset:
    """Everything that can be wrong is found before the first training."""
    if not systems:
        raise ConfigError("a comparison needs systems, such as vae beta-vae")
    if len(set(systems)) < len(systems):
        twice = next(s for s in systems if list(systems).count(s) > 1)
        raise ConfigError(f"{twice!r} is named twice; --seeds trains each system several times")
    if seeds < 1:
        raise ConfigError(f"seeds must be at least 1, got {seeds}")
    if budget is not None:
        Budget.parse(budget)
    rows = [catalog.find(system) for system in systems]
    dataset, test = load_split(data, "train"), load_split(data, "test")
    for row in rows:
        if row.kind != "model":
            raise ConfigError(
                f"{row.name!r} is not a model of data: agents are compared with --env"
            )
        chosen = select(row.name, data, recipe, dataset.event)
        build(row.name, dataset.event, context_for(dataset, chosen), **chosen.model)
    return test


def _refuse_interrupted(run: Run) -> None:
    last = run.metrics[-1] if run.metrics else {}
    if last.get("finished") == "interrupted":
        raise RunError(
            f"interrupted; the trainings that were finished are in {str(run.path.parent)!r}"
        )


def _entry(system: str, runs: Sequence[Run], scores: Sequence[dict[str, Score]]) -> Entry:
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


def _command() -> str:
    return " ".join(["phosphene" if sys.argv[0].endswith("phosphene") else "python", *sys.argv[1:]])
