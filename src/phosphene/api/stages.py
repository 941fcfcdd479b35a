"""Training in stages: each part of a model is trained on the output of the parts before it.

A model with stages (:class:`phosphene.core.stages.Staged`) names them, and says of each which part
it is and what its data are. Each stage is a run of its own in ``stages/`` of the run's folder, with
its share of the budget, its checkpoints and its resume; a stage that is done is not repeated.
"""

import json
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from phosphene import catalog
from phosphene.api.occupying import occupied, write_record
from phosphene.catalog.recipe import Recipe
from phosphene.core.config import encode
from phosphene.core.errors import ConfigError, RunError
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.core.paths import anchored
from phosphene.core.protocols import may_be
from phosphene.core.stages import HandsOver, Staged
from phosphene.core.trainable import tensors
from phosphene.data.dataset import Dataset
from phosphene.subjects.handling import Handling, of_system
from phosphene.subjects.plan import Plan, Request
from phosphene.train.files import replacing, write_atomically
from phosphene.train.folder import Run, load, save_tensors
from phosphene.train.runtime import Runtime
from phosphene.train.settings import Budget

__all__ = ["first_stage", "run_stages"]

Execute = Callable[[Plan], Run]
_ROWS = 256


def run_stages(plan: Plan, runtime: Runtime, execute: Execute, first: Run | None = None) -> Run:
    """Train the parts of a model in turn, and put them together.

    Args:
        plan: Of the whole model.
        runtime: This process among the others.
        execute: Trains one stage, given its plan.
        first: A run whose model is the first stage; it is not trained again.

    Returns:
        The run, whose model is whole once all stages are done.
    """
    if first is None and plan.record.get("first") is not None:
        # A run that is resumed began with it.
        first = Run(anchored(plan.record["first"], plan.record.get("directory", "")))
    elif first is not None:
        check_first(plan, first)
        plan.record["first"] = str(first.path)
    with occupied(plan, runtime):
        if runtime.main:
            write_record(plan)
        runtime.barrier()
        return _stages(plan, runtime, execute, first)


def _stages(plan: Plan, runtime: Runtime, execute: Execute, first: Run | None) -> Run:
    model = cast(Staged, plan.model)
    for number, stage in enumerate(model.stages):
        folder = plan.where / "stages"
        name = f"{number + 1}-{stage}"
        done = first if number == 0 and first is not None else _done(folder / name)
        if done is None:
            train, validation = _data(plan, number, folder, runtime)
            part = _plan(plan, number, train, validation, folder, name)
            runtime.barrier()
            done = execute(part)
            if _reason(done) == "interrupted":
                return Run(plan.where, trust=True)
        _adopt(model.part(stage).model, done)
    if runtime.main:
        _assemble(plan, model.stages)
    runtime.barrier()
    return Run(plan.where, trust=True)


def _plan(
    plan: Plan, number: int, data: Dataset, validation: Dataset | None, folder: Path, name: str
) -> Plan:
    """The plan of one stage: a recipe made of the part's settings and its share of the budget."""
    stage = cast(Staged, plan.model).stages[number]
    part = cast(Staged, plan.model).part(stage)
    told = plan.record["stages"][stage]
    budget = _share(plan.budget, told["share"])
    handling = cast(Handling, of_system(catalog.find(part.system).kind))
    ask = Request(
        system=part.system, options={"data": data, "validation": validation}, budget=budget,
        name=name, folder=folder,
    )  # fmt: skip
    if (folder / name / "run.json").exists():
        return _begun(plan, number, handling.resume(ask))
    ask.recipe = Recipe(
        name=plan.record["recipe"],
        system=part.system,
        on=data.name,
        budget=budget,
        model=part.settings,
        train=told["train"],
        context=part.told,
    )
    ask.seed, ask.compile = plan.record["seed"], plan.record["compile"]
    ask.precision = told["precision"]
    return _begun(plan, number, handling.plan(ask))


def _begun(plan: Plan, number: int, made: Plan) -> Plan:
    """The plan of a stage, whose model is told what the parts before it have learned.

    One that goes on is told again, and then reads its checkpoint: what learns is then the same.
    """
    made.record.pop("stages", None)  # it is one itself
    if number > 0 and isinstance(plan.model, HandsOver):
        stage = cast(Staged, plan.model).stages[number]
        plan.model.hand_over(stage, cast(Model, made.model))
    return made


def _share(budget: Budget, share: float) -> str:
    if budget.seconds is not None:
        return f"{budget.seconds * share:g}s"
    if budget.steps is not None:
        return f"{max(1, round(budget.steps * share))}steps"
    assert budget.epochs is not None
    return f"{budget.epochs * share:g}epochs"


def _data(
    plan: Plan, number: int, folder: Path, runtime: Runtime
) -> tuple[Dataset, Dataset | None]:
    """The training and validation data of a stage; outputs of earlier stages are kept in files."""
    own = plan.subject
    if number == 0:
        return own.dataset, own.validation
    stage = cast(Staged, plan.model).stages[number]
    made = [
        None if d is None else _made(plan, stage, d, folder / f"{stage}-{d.split}.npz", runtime)
        for d in (own.dataset, own.validation)
    ]
    assert made[0] is not None
    return made[0], made[1]


def _made(plan: Plan, stage: str, data: Dataset, path: Path, runtime: Runtime) -> Dataset:
    model = plan.model.eval()
    event = cast(Staged, model).part(stage).model.event
    few = data.x[:1].to(model.device)
    if cast(Staged, model).outputs(stage, few) is few:
        return data
    if runtime.main and _kept(path, len(data), event) is None:
        with torch.no_grad():
            parts = [
                cast(Staged, model).outputs(stage, x.to(model.device)).cpu()
                for x in data.x.split(_ROWS)
            ]
        with replacing(path) as aside, aside.open("wb") as file:
            np.savez_compressed(file, x=torch.cat(parts).numpy())
    runtime.barrier()
    x = _kept(path, len(data), event)
    if x is None:
        raise RunError(f"{str(path)!r} does not hold what the stages before {stage!r} make")
    return replace(
        data,
        name=f"{data.name} as {stage}",
        event=event,
        x=x,
        columns=(),
        log_prob=None,
        factors=None,
    )


def _kept(path: Path, n: int, event: Event) -> Tensor | None:
    """What earlier stages made of n examples; None where it must be made anew."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = archive.getinfo("x.npy").file_size
        if size > 8 * n * event.dimensions + 1024:
            return None
        with np.load(path, allow_pickle=False) as arrays:
            x = torch.from_numpy(arrays["x"])
        return event.check(x) if len(x) == n else None
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error):
        return None


def _done(folder: Path) -> Run | None:
    """The run of a stage that has spent its budget."""
    if not (folder / "run.json").is_file():
        return None
    run = Run(folder)
    return run if _reason(run) not in (None, "interrupted") else None


def _reason(run: Run) -> str | None:
    """Why a run ended, or None where it did not."""
    last = run.metrics[-1] if run.metrics else {}
    reason: str | None = last.get("finished")
    return reason


def check_first(plan: Plan, first: Run) -> None:
    """Refuse a first stage that is of other data than this one; before anything is written.

    Raises:
        RunError: Its model is of another event, or is told something else.
    """
    whole = cast(Staged, plan.model)
    part, own = whole.part(whole.stages[0]).model, first.model
    if own.event != part.event:
        raise RunError(
            f"{str(first.path)!r} is of {own.event}, and {plan.subject.name!r} holds {part.event}: "
            f"the {whole.stages[0]} must be of the same"
        )
    if own.context != part.context:
        told = ", ".join(own.context.names) or "nothing"
        wanted = ", ".join(part.context.names) or "nothing"
        raise RunError(
            f"{str(first.path)!r} was told {told}, and as the {whole.stages[0]} of this model it "
            f"is told {wanted}: --context says what"
        )


def _adopt(part: Model, run: Run) -> None:
    trained = load(run.path)
    if encode(trained.config) != encode(part.config):
        raise RunError(
            f"{str(run.path)!r} holds a model with other settings than this stage's; "
            "leave them out to take its own"
        )
    part.load_state_dict(trained.state_dict())


def _assemble(plan: Plan, stages: Sequence[str]) -> None:
    """The whole model's weights, and the stages' metrics one after another."""
    save_tensors(tensors(plan.model), plan.where / "model" / "model.safetensors")
    lines, step, seconds, threads = [], 0, 0.0, None
    for number, stage in enumerate(stages):
        folder = plan.where / "stages" / f"{number + 1}-{stage}"
        rows = Run(folder).metrics if folder.exists() else []
        for row in rows:
            moved = {**row, "stage": stage}
            moved["step"] = row.get("step", 0) + step
            moved["seconds"] = row.get("seconds", 0.0) + seconds
            lines.append(json.dumps(moved))
        if rows:
            last = max((r for r in rows if "step" in r), key=lambda r: r["step"])
            step, seconds = step + last["step"], seconds + last.get("seconds", 0.0)
            threads = Run(folder).config["threads"]
    write_atomically(plan.where / "metrics.jsonl", "".join(f"{line}\n" for line in lines))
    plan.record["threads"] = threads
    write_atomically(plan.where / "run.json", json.dumps(encode(plan.record), indent=2) + "\n")


def first_stage(model: type, path: str | Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a staged model whose first stage is a run: that run's own settings.

    Raises:
        ConfigError: The system has no stages, or the run is of another system.
    """
    if not may_be(model, Staged):
        raise ConfigError(f"{model.__name__} has no stages that could begin with a run")
    run = Run(path)
    config = {k: v for k, v in run.model.config.items() if k not in ("event", "context")}
    staged = cast(type[Staged], model)
    return staged.beginning_with(run.config["system"], config, dict(settings))
