"""Train any system of the catalogue on any data, by name."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from phosphene import catalog
from phosphene.api.occupying import occupied, write_record
from phosphene.api.stages import first_stage, run_stages
from phosphene.api.subject_of import check_subject
from phosphene.core.errors import ConfigError, brief
from phosphene.core.model import Model
from phosphene.core.paths import expanded
from phosphene.core.progress import Listener, Started, Warned
from phosphene.core.rng import check_seed
from phosphene.data.dataset import Dataset
from phosphene.subjects.dataset.planning import (
    Plan,
    load_split,
    plan_training,
)
from phosphene.subjects.dataset.resuming import check_same, plan_resume
from phosphene.subjects.environment.subject import Episodes, Practice, plan_agent, resume_agent
from phosphene.train.compiling import compiled
from phosphene.train.engine import Engine
from phosphene.train.folder import Run, find_run
from phosphene.train.probe import (
    available_cores,
    check_threads,
    choose_precision,
    choose_threads,
    set_threads,
)
from phosphene.train.runtime import Runtime
from phosphene.train.source import DatasetSource, Source, check_shares
from phosphene.train.validation import HeldOut, Judge

__all__ = ["MOST_WORKERS", "load_split", "train"]

MOST_WORKERS = 1024
"""Processes that step environments."""


def train(
    system: str,
    *,
    data: str | Dataset | None = None,
    validation: str | Dataset | None = None,
    env: Any = None,
    labels: int | None = None,
    context: str | Sequence[str] | None = None,
    budget: str | None = None,
    seed: int | None = None,
    name: str | None = None,
    recipe: str | None = None,
    folder: str | Path = "runs",
    resume: bool = False,
    model: Mapping[str, Any] | None = None,
    train: Mapping[str, Any] | None = None,
    device: str = "auto",
    threads: int | None = None,
    precision: str | None = None,
    compile: bool | None = None,
    init_from: str | Path | None = None,
    first: str | Path | None = None,
    workers: int | None = None,
    trust: bool = False,
    listeners: Sequence[Listener] = (),
    **overrides: Any,
) -> Run:
    """Train a system on data and return the run.

    Constructor defaults give way to the recipe, and the recipe to what is passed here.

    Args:
        system: A name of the catalogue.
        data: A data set's name, an adapter such as ``folder:PATH``, or a Dataset; None takes the
            recipe's.
        validation: What the best weights and early stopping are decided by, where that is not the
            validation split of ``data``: a Dataset of your own has none.
        env: The environment of an agent: a native one, any of gymnasium's, a map, ``grid:PATH``, or
            ``module:function``; an environment with gymnasium's methods, which is copied; a class
            or function that makes one; several of ``gymnasium.vector``, of which one is made again
            as often as the agent's ``environments`` says. None takes the recipe's.
        labels: How many labels a semi-supervised system uses, as many of each class as can be; None
            for all that the data have, or the recipe's number on the embedded data set that the
            recipe names.
        context: What the model is told of each example, in place of the recipe's choice:
            ``label``, ``image``, ``vector``, columns of a table as ``vector:a,b`` or
            ``label:class``, several of these in a list, or ``none``.
        budget: ``60s``, ``10m``, ``3000steps`` or ``5epochs``; None takes the recipe's. Steps of an
            agent are those of its environments, all together.
        seed: Seeds weights, batches and noise; None for 0.
        name: The run's folder below ``folder``; defaults to system, data and date, with a number
            behind it where another training has that name.
        recipe: Which recipe of the system: ``default``, ``paper``, ...; None for ``default``.
        folder: Where runs are kept.
        resume: Go on with the run of that name; ``budget`` may be raised and ``device`` may be
            another, and what else is said must be what the run began with.
        model: Hyperparameters of the model.
        train: Trainer settings, see :class:`~phosphene.train.settings.TrainSettings`.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: CPU threads; None times the first steps with one and with all. An agent takes one,
            unless it sees large images: its networks are small.
        precision: ``fp32``, ``bf16``, or ``auto`` to take bf16 where a timing shows it pays; None
            takes the recipe's.
        compile: Try ``torch.compile`` on the losses; falls back to eager with a warning.
        init_from: A run whose weights are the start.
        first: A run that is the first stage of a system with stages; it is not trained again.
        workers: Processes that step the environments of an agent, where those are slow and not
            native.
        trust: On resume, whether to follow what the run names to be imported, run or fetched; a
            name that is given here needs no trust.
        listeners: Called with each event of the training (:mod:`phosphene.core.progress`); one ends
            it by raising :class:`~phosphene.core.progress.StopTraining`.
        overrides: Hyperparameters of the model or trainer settings, by their plain names.

    Raises:
        PhospheneError: A name, value, data set or folder is not usable; found before a folder is
            made.

    Example:
        >>> import phosphene as ph, tempfile
        >>> with tempfile.TemporaryDirectory() as runs:
        ...     run = ph.train("vae", data="digits-binary", budget="3steps", folder=runs, threads=1)
        ...     run.model.sample(2).shape
        torch.Size([2, 1, 8, 8])
    """
    folder = expanded(folder)
    if threads is not None:
        check_threads(threads)
    if seed is not None:
        check_seed(seed)
    init_from = None if init_from is None else find_run(init_from, folder)
    first = None if first is None else find_run(first, folder)
    said: dict[str, Any] = {"model": model or {}, "train": train or {}, "overrides": overrides}
    if resume:
        began = {
            "seed": seed, "recipe": recipe, "precision": precision, "compile": compile,
            "threads": threads, "init_from": init_from, "first": first,
        }  # fmt: skip
        check_same(system, name, folder, began)
    if first is not None:
        said["model"] = first_stage(catalog.find(system).load(), first, said["model"])
    said |= {"budget": budget, "name": name, "folder": folder}
    anew: dict[str, Any] = {
        "seed": seed or 0, "recipe": "default" if recipe is None else recipe,
        "precision": precision, "compile": bool(compile), "init_from": init_from,
    }  # fmt: skip
    agent = check_subject(system, data, env)
    if workers is not None and not agent:
        raise ConfigError(f"{system!r} is no agent: it has no environments for workers to step")
    if workers is not None and not 1 <= workers <= MOST_WORKERS:
        raise ConfigError(f"workers must be from 1 to {MOST_WORKERS}, got {brief(workers)}")
    if agent:
        if labels is not None:
            raise ConfigError(f"{system!r} is an agent: it has no labels, got labels={labels}")
        if context is not None:
            raise ConfigError(f"{system!r} is an agent: it has no context, got {context!r}")
        plan = resume_agent(system, env=env, trust=trust, **said) if resume else plan_agent(
            system, env=env, **said, **anew
        )  # fmt: skip
    elif resume:
        plan = plan_resume(
            system,
            data=data,
            validation=validation,
            labels=labels,
            context=context,
            trust=trust,
            **said,
        )
    else:
        plan = plan_training(
            system,
            data=data,
            validation=validation,
            labels=labels,
            context=context,
            **said,
            **anew,
        )
    runtime = Runtime(device, plan.settings.strategy)
    try:
        if plan.dataset is None:
            return _practise(plan, runtime, threads, workers, listeners)
        if "stages" not in plan.record:
            return _execute(plan, runtime, threads, listeners)
        return run_stages(
            plan,
            runtime,
            lambda stage: _execute(stage, runtime, threads, listeners),
            first=None if first is None else Run(first),
        )
    finally:
        del plan  # a sharded model would keep the process group
        runtime.close()


def _execute(
    plan: Plan,
    runtime: Runtime,
    threads: int | None,
    listeners: Sequence[Listener],
) -> Run:
    settings, seed = plan.settings, plan.record["seed"]
    check_shares(settings.batch_size, settings.accumulate, runtime.world)
    plan.model.to(runtime.device)
    assert plan.dataset is not None
    source = DatasetSource(
        plan.dataset, settings.batch_size, seed, runtime.rank, runtime.world, runtime.device
    )
    if not plan.resume:
        _choose(plan, source, runtime, threads)
    judge = None
    if plan.validation is not None and type(plan.model).loss is not Model.loss:
        judge = HeldOut(plan.validation, seed, settings.evaluate_limit)
    return _run(plan, source, runtime, judge, listeners, (*plan.dataset.notes, *plan.notes))


def _practise(
    plan: Plan,
    runtime: Runtime,
    threads: int | None,
    workers: int | None,
    listeners: Sequence[Listener],
) -> Run:
    """Train an agent on what it meets in its environments."""
    plan.model.to(runtime.device)
    record = plan.record
    if not plan.resume:
        if threads is None:
            event = plan.model.event
            threads = available_cores() if event.is_image and min(event.shape[1:]) >= 36 else 1
        record["threads"] = int(runtime.first(threads))
        record["device"], record["world"] = str(runtime.device), runtime.world
    practice = Practice(plan, runtime, workers)
    judge = Episodes.planned(plan.env, record["seed"], plan.settings, plan.budget)
    try:
        return _run(plan, practice.experience, runtime, judge, listeners, practice.notes)
    finally:
        judge.close()
        practice.environment.close()


def _run(
    plan: Plan,
    source: Source,
    runtime: Runtime,
    judge: Judge | None,
    listeners: Sequence[Listener],
    notes: Sequence[str],
) -> Run:
    record = plan.record
    record["device"], record["world"] = str(runtime.device), runtime.world
    set_threads(record["threads"], "threads in run.json")
    with occupied(plan, runtime):
        if runtime.main:
            write_record(plan)
        runtime.barrier()
        sinks = _sinks(plan) if runtime.main else []
        _engine(plan, source, runtime, judge, [*sinks, *listeners], notes, sinks)
    return Run(plan.where, env=plan.env if record.get("own_env") else None, trust=True)


def _engine(
    plan: Plan,
    source: Source,
    runtime: Runtime,
    judge: Judge | None,
    tell: Sequence[Listener],
    notes: Sequence[str],
    sinks: Sequence[Any],
) -> None:
    record = plan.record
    engine = Engine(
        plan.model,
        source,
        plan.settings,
        plan.budget,
        plan.where,
        runtime,
        epoch=0 if plan.dataset is None else len(plan.dataset),
        judge=judge,
        precision=record["precision"],
        transform=compiled(tell) if record["compile"] else (lambda f: f),
        listeners=tell,
    )
    if runtime.main:
        _announce(plan, tell, notes)
    try:
        engine.run(plan.resume)
    finally:
        for sink in sinks:
            sink.close()


def _choose(plan: Plan, source: DatasetSource, runtime: Runtime, threads: int | None) -> None:
    """Fix what is measured or asked for on this machine; a resumed run keeps it."""
    record = plan.record
    if record["precision"] == "auto":
        record["precision"] = choose_precision(plan.model, source, plan.settings)
    if threads is None:
        threads = choose_threads(plan.model, source, plan.settings, record["precision"])
    record["threads"] = int(runtime.first(threads))
    record["device"], record["world"] = str(runtime.device), runtime.world


def _sinks(plan: Plan) -> list[Any]:
    if plan.settings.track == "none":
        return []
    from phosphene.train.sinks.tracking import TensorBoardSink, WandbSink

    if plan.settings.track == "wandb":
        return [WandbSink(plan.where, plan.record)]
    return [TensorBoardSink(plan.where)]


def _announce(plan: Plan, listeners: Sequence[Listener], notes: Sequence[str]) -> None:
    record = plan.record
    started = Started(
        system=record["system"],
        data=record["env"] if plan.dataset is None else plan.dataset.name,
        folder=str(plan.where),
        parameters=_size(plan.model),
        examples=0 if plan.dataset is None else len(plan.dataset),
        budget=str(plan.budget),
        threads=record["threads"],
        device=record["device"],
        model=plan.model,
    )
    for listener in listeners:
        listener(started)
        for note in notes:
            listener(Warned(note))


def _size(model: Model) -> int:
    """How many numbers are learned: parameters, or the entries of tables."""
    return sum(p.numel() for p in model.parameters()) or sum(b.numel() for b in model.buffers())
