"""Train any system by name: a model on data, an agent in an environment."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

from phosphene import catalog
from phosphene.api.occupying import occupied, write_record
from phosphene.api.stages import first_stage, run_stages
from phosphene.core.config import parameters_of
from phosphene.core.paths import expanded
from phosphene.core.progress import Listener, Started, Warned
from phosphene.core.rng import check_seed
from phosphene.core.subject import Judge, Source
from phosphene.core.trainable import Trainable
from phosphene.subjects.handling import Handling, handling_of, refuse_foreign, taken
from phosphene.subjects.plan import Plan, Request
from phosphene.subjects.resume import check_same
from phosphene.train.compiling import compiled
from phosphene.train.engine import Engine
from phosphene.train.folder import Run, find_run
from phosphene.train.probe import check_threads, choose_precision, set_threads
from phosphene.train.runtime import Runtime
from phosphene.train.settings import TrainSettings

__all__ = ["train"]


def train(
    system: str | Trainable,
    *,
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
    trust: bool = False,
    listeners: Sequence[Listener] = (),
    **options: Any,
) -> Run:
    """Train a system and return the run.

    Constructor defaults give way to the recipe, and the recipe to what is passed here.

    Args:
        system: A name of the catalogue; or a model of your own, built, whose weights are trained.
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
        threads: CPU threads; None times the first steps of a model with one and with all; an
            agent takes one, unless it sees large images: its networks are small.
        precision: ``fp32``, ``bf16``, or ``auto`` to take bf16 where a timing shows it pays; None
            takes the recipe's.
        compile: Try ``torch.compile`` on the losses; falls back to eager with a warning.
        init_from: A run whose weights are the start.
        first: A run that is the first stage of a system with stages; it is not trained again.
        trust: On resume, whether to follow what the run names to be imported, run or fetched; a
            name that is given here needs no trust.
        listeners: Called with each event of the training (:mod:`phosphene.core.progress`); one ends
            it by raising :class:`~phosphene.core.progress.StopTraining`.
        options: What it learns from, and hyperparameters of the model or trainer settings by their
            plain names. A model of data takes ``data``, ``validation``, ``labels`` and ``context``
            (:class:`~phosphene.subjects.dataset.options.TrainOptions`); an agent takes ``env`` and
            ``workers`` (:class:`~phosphene.subjects.environment.options.TrainOptions`).

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
    made = None if isinstance(system, str) else system
    called = system if isinstance(system, str) else type(system).__name__
    if resume:
        began = {
            "seed": seed, "recipe": recipe, "precision": precision, "compile": compile,
            "threads": threads, "init_from": init_from, "first": first,
        }  # fmt: skip
        check_same(called, name, folder, began)
    if first is not None:
        model = first_stage(catalog.find(called).load(), first, model or {})
    handling = handling_of(system)
    ask = Request(
        system=called, options={}, made=made, budget=budget, seed=seed or 0, name=name,
        recipe="default" if recipe is None else recipe, folder=folder, model=model or {},
        train=train or {}, precision=precision, compile=bool(compile), init_from=init_from,
        trust=trust,
    )  # fmt: skip
    ask.options, ask.overrides = _sorted(handling, called, ask.base(), options)
    plan = handling.resume(ask) if resume else handling.plan(ask)
    runtime = Runtime(device, plan.settings.strategy)
    try:
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


def _sorted(
    handling: Handling, called: str, cls: type[Trainable], options: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What was said of the subject, and settings by their plain names."""
    own = {f.name for f in fields(cast(Any, handling.kind.options_of("train")))}
    of_subject = {name: value for name, value in options.items() if name in own}
    others = {name: value for name, value in options.items() if name not in own}
    settings = set(parameters_of(cls.__init__)) | {f.name for f in fields(TrainSettings)}
    for name in [name for name in others if name not in settings]:
        if others[name] is None:
            refuse = others.pop(name)  # nobody said it
            assert refuse is None
            continue
        refuse_foreign(handling.kind, name, "train", repr(called))
    return taken(handling, "train", of_subject), others


def _execute(
    plan: Plan, runtime: Runtime, threads: int | None, listeners: Sequence[Listener]
) -> Run:
    plan.model.to(runtime.device)
    subject, record = plan.subject, plan.record
    try:
        source = subject.source(plan, runtime)
        if not plan.resume:
            _choose(plan, source, runtime, threads)
        judge = subject.judge(plan, runtime)
        record["device"], record["world"] = str(runtime.device), runtime.world
        set_threads(record["threads"], "threads in run.json")
        with occupied(plan, runtime):
            if runtime.main:
                write_record(plan)
            runtime.barrier()
            _engine(plan, source, runtime, judge, listeners)
    finally:
        subject.close()
    run = Run(plan.where, trust=True, model=plan.made)
    return run if plan.given is None else Run.of(run, **{run.kind.option: plan.given})


def _engine(
    plan: Plan,
    source: Source,
    runtime: Runtime,
    judge: Judge | None,
    listeners: Sequence[Listener],
) -> None:
    record = plan.record
    sinks = _sinks(plan) if runtime.main else []
    tell = [*sinks, *listeners]
    engine = Engine(
        plan.model,
        source,
        plan.settings,
        plan.budget,
        plan.where,
        runtime,
        judge=judge,
        precision=record["precision"],
        transform=compiled(tell) if record["compile"] else (lambda f: f),
        listeners=tell,
    )
    if runtime.main:
        _announce(plan, source, tell)
    try:
        engine.run(plan.resume)
    finally:
        for sink in sinks:
            sink.close()


def _choose(plan: Plan, source: Source, runtime: Runtime, threads: int | None) -> None:
    """Fix what is measured or asked for on this machine; a resumed run keeps it."""
    record = plan.record
    if record["precision"] == "auto":
        record["precision"] = choose_precision(plan.model, source, plan.settings)
    if threads is None:
        threads = plan.subject.threads(plan, source)
    record["threads"] = int(runtime.first(threads))


def _sinks(plan: Plan) -> list[Any]:
    if plan.settings.track == "none":
        return []
    from phosphene.train.sinks.tracking import TensorBoardSink, WandbSink

    if plan.settings.track == "wandb":
        return [WandbSink(plan.where, plan.record)]
    return [TensorBoardSink(plan.where)]


def _announce(plan: Plan, source: Source, listeners: Sequence[Listener]) -> None:
    record = plan.record
    started = Started(
        system=record["system"],
        data=plan.subject.name,
        folder=str(plan.where),
        parameters=_size(plan.model),
        examples=plan.subject.size,
        budget=str(plan.budget),
        threads=record["threads"],
        device=record["device"],
        clock_name=source.clock_name,
        headline=source.headline,
        aside=source.aside,
        model=plan.model,
    )
    for listener in listeners:
        listener(started)
        for note in plan.subject.notes:
            listener(Warned(note))


def _size(model: Trainable) -> int:
    """How many numbers are learned: parameters, or the entries of tables."""
    return sum(p.numel() for p in model.parameters()) or sum(b.numel() for b in model.buffers())
