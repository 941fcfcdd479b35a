"""Train several systems under one budget, and put them in one table."""

import datetime
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from phosphene.api.evaluate import evaluate
from phosphene.api.occupying import folder_of_runs
from phosphene.api.train import train
from phosphene.core.errors import ConfigError, RunError
from phosphene.core.paths import expanded
from phosphene.core.progress import Listener
from phosphene.evaluate.likelihood import Progress
from phosphene.subjects.handling import handling_of, taken
from phosphene.subjects.plan import slug
from phosphene.subjects.results import Comparison
from phosphene.train.files import write_atomically
from phosphene.train.folder import Run
from phosphene.train.probe import check_threads
from phosphene.train.settings import Budget

__all__ = ["Comparison", "compare"]


def compare(
    systems: Sequence[str],
    *,
    budget: str | None = None,
    seeds: int = 1,
    recipe: str = "default",
    folder: str | Path = "runs",
    name: str | None = None,
    threads: int | None = None,
    device: str = "auto",
    listeners: Sequence[Listener] = (),
    progress: Progress | None = None,
    announce: Callable[[str], None] | None = None,
    **options: Any,
) -> Comparison:
    """Train each system under one budget on one subject, score it, and write one table.

    Models of data see the same codes, and likelihoods are those of the codes, whatever a model does
    with them inside; so nats compare. Values of different kinds are not ranked together. Agents are
    ranked by the interquartile mean over seeds of their mean returns, with a 95 % bootstrap
    interval (Agarwal et al., 2021).

    Args:
        systems: Names of the catalogue that learn from one kind of subject; each once.
        budget: Of each training, as ``30s`` or ``2000steps``; None gives each system the budget of
            its own recipe.
        seeds: Trainings of each system, with seeds 0, 1, ...; scores are means over them.
        recipe: Whose settings to use, where a system has a recipe of that name.
        folder: Where runs are kept.
        name: Of the comparison's folder; defaults to ``compare``, the subject and date.
        threads: CPU threads; None takes the fastest for each system.
        device: ``auto``, ``cpu`` or ``cuda``.
        listeners: Called with each event of each training.
        progress: Told what is being scored.
        announce: Told each training before it starts.
        options: Of the kind of subject: ``data``, ``samples``, ``particles`` of models of data;
            ``env``, ``episodes`` of agents.

    Raises:
        PhospheneError: A system, subject, budget or folder is not usable; found before anything is
            trained or written.
    """
    handling, told = _check(systems, options, budget, seeds)
    checked = handling.check_comparison(systems, recipe, **told)
    if threads is not None:
        check_threads(threads)
    option = handling.kind.option
    address = told.pop(option, None)
    called = handling.called(address)
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    runs: list[list[Run]] = []
    scores: list[list[Any]] = []
    with folder_of_runs(expanded(folder), name, f"compare-{slug(called)}-{stamp}") as where:
        for k, system in enumerate(systems):
            runs.append([])
            scores.append([])
            for seed in range(seeds):
                if announce:
                    announce(f"{k + 1} of {len(systems)}: {system}, seed {seed}")
                run = train(
                    system, budget=budget, seed=seed, recipe=recipe, folder=where,
                    name=f"{system}-seed{seed}", threads=threads, device=device,
                    listeners=listeners, **{option: address},
                )  # fmt: skip
                _refuse_interrupted(run)
                runs[-1].append(run)
                scores[-1].append(evaluate(run, progress=progress, **told))
    spent = "recipe" if budget is None else str(Budget.parse(budget))
    about = {option: called, "budget": spent, "seeds": seeds, **_said(told), "command": _command()}
    found: Comparison = handling.compare(where, systems, runs, scores, about, checked)
    record = {**about, "rows": [entry.to_json() for entry in found.entries]}
    write_atomically(where / "compare.json", json.dumps(record, indent=2) + "\n")
    return found


def _check(
    systems: Sequence[str], options: dict[str, Any], budget: str | None, seeds: int
) -> tuple[Any, dict[str, Any]]:
    """What all systems learn from, and the options of its kind."""
    if not systems:
        raise ConfigError("a comparison needs systems, such as vae beta-vae")
    if len(set(systems)) < len(systems):
        twice = next(s for s in systems if list(systems).count(s) > 1)
        raise ConfigError(f"{twice!r} is named twice; --seeds trains each system several times")
    if seeds < 1:
        raise ConfigError(f"seeds must be at least 1, got {seeds}")
    if budget is not None:
        Budget.parse(budget)
    handlings = [handling_of(system) for system in systems]
    first = handlings[0]
    for system, other in zip(systems, handlings, strict=True):
        if other is not first:
            raise ConfigError(
                f"{system!r} is {other.kind.learner} and {systems[0]!r} is {first.kind.learner}: "
                f"what is compared learns from one kind of subject"
            )
    return first, taken(first, "compare", options)


def _said(told: dict[str, Any]) -> dict[str, Any]:
    """Options that are recorded: those that were said or have a default."""
    return {name: value for name, value in told.items() if value is not None}


def _refuse_interrupted(run: Run) -> None:
    last = run.metrics[-1] if run.metrics else {}
    if last.get("finished") == "interrupted":
        raise RunError(
            f"interrupted; the trainings that were finished are in {str(run.path.parent)!r}"
        )


def _command() -> str:
    return " ".join(["phosphene" if sys.argv[0].endswith("phosphene") else "python", *sys.argv[1:]])
