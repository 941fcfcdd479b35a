"""Train any system of the catalogue on any data, by name."""

import datetime
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch

from phosphene import catalog
from phosphene.core.config import SCHEMA, decode, encode
from phosphene.core.context import ContextSpec
from phosphene.core.errors import ConfigError, RunError, UnknownNameError
from phosphene.core.events import Listener, Started, Warned
from phosphene.core.model import Model
from phosphene.data import load as load_data
from phosphene.data.dataset import Dataset
from phosphene.recipes.recipe import Recipe, select
from phosphene.train.building import build
from phosphene.train.compiling import compiled
from phosphene.train.engine import Engine
from phosphene.train.folder import Run, build_from, read_tensors, versions, write_atomically
from phosphene.train.probe import choose_precision, choose_threads
from phosphene.train.runtime import Runtime, choose_device
from phosphene.train.settings import Budget, TrainSettings
from phosphene.train.source import DatasetSource

__all__ = ["load_split", "train"]

_PRECISIONS = ("fp32", "bf16", "auto")


def train(
    system: str,
    *,
    data: str | Dataset | None = None,
    budget: str | None = None,
    seed: int = 0,
    name: str | None = None,
    recipe: str = "default",
    folder: str | Path = "runs",
    resume: bool = False,
    model: Mapping[str, Any] | None = None,
    train: Mapping[str, Any] | None = None,
    device: str = "auto",
    threads: int | None = None,
    precision: str | None = None,
    compile: bool = False,
    init_from: str | Path | None = None,
    listeners: Sequence[Listener] = (),
    **overrides: Any,
) -> Run:
    """Train a system on data and return the run.

    Constructor defaults give way to the recipe, and the recipe to what is passed here.

    Args:
        system: A name of the catalogue.
        data: A data set's name, an adapter such as ``folder:PATH``, or a Dataset; None takes the
            recipe's.
        budget: ``60s``, ``10m``, ``3000steps`` or ``5epochs``; None takes the recipe's.
        seed: Seeds weights, batches and noise.
        name: The run's folder below ``folder``; defaults to system, data and date.
        recipe: Which recipe of the system: ``default``, ``paper``, ...
        folder: Where runs are kept.
        resume: Go on with the run of that name; ``budget`` may be raised, nothing else changes.
        model: Hyperparameters of the model.
        train: Trainer settings, see :class:`~phosphene.train.settings.TrainSettings`.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: CPU threads; None times the first steps with one and with all.
        precision: ``fp32``, ``bf16``, or ``auto`` to take bf16 where a timing shows it pays; None
            takes the recipe's.
        compile: Try ``torch.compile`` on the losses; falls back to eager with a warning.
        init_from: A run whose weights are the start.
        listeners: Called with each event of the training.
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
    cls = catalog.find(system).load()
    model, train = _sort_overrides(cls, dict(model or {}), dict(train or {}), overrides)
    data_name = data.name if isinstance(data, Dataset) else data
    if resume:
        return _resume(system, name, Path(folder), data, budget, model, train, listeners, device)
    chosen = select(system, data_name, recipe)
    settings = TrainSettings(**{**chosen.train, **train})
    spent = Budget.parse(budget or chosen.budget)
    precision = precision or chosen.precision
    if precision not in _PRECISIONS:
        raise UnknownNameError("precision", precision, _PRECISIONS)
    choose_device(device)
    dataset = _labelled(load_split(data or chosen.data, "train"), chosen, seed)
    context = _context(dataset, chosen)
    built = build(system, dataset.event, context, seed, **{**chosen.model, **model})
    if init_from is not None:
        _initialise(built, Path(init_from))
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    where = Path(folder) / (name or f"{system}-{_slug(dataset.name)}-{stamp}")
    runtime = Runtime(device, settings.strategy)
    try:
        if runtime.main:
            _make_folder(where)
        runtime.barrier()
        built.to(runtime.device)
        source = DatasetSource(
            dataset, settings.batch_size, seed, runtime.rank, runtime.world, runtime.device
        )
        if precision == "auto":
            precision = choose_precision(built, source, settings)
        if threads is None:
            threads = choose_threads(built, source, settings, precision)
        threads = int(runtime.first(threads))
        torch.set_num_threads(threads)
        record = {
            "schema": SCHEMA,
            "system": system,
            "data": dataset.name,
            "recipe": chosen.name,
            "labels": chosen.labels,
            "model": encode(built.config),
            "train": encode(settings),
            "budget": str(spent),
            "seed": seed,
            "threads": threads,
            "precision": precision,
            "compile": compile,
            "device": str(runtime.device),
            "world": runtime.world,
            "versions": versions(),
            "command": _command(),
            "started": stamp,
        }
        if runtime.main:
            built.describe_to(where / "model", system)
            write_atomically(where / "run.json", json.dumps(record, indent=2) + "\n")
        return _run(built, source, dataset, settings, spent, where, runtime, record, listeners)
    finally:
        runtime.close()


def _run(
    model: Model,
    source: DatasetSource,
    dataset: Dataset,
    settings: TrainSettings,
    budget: Budget,
    where: Path,
    runtime: Runtime,
    record: Mapping[str, Any],
    listeners: Sequence[Listener],
    resume: bool = False,
) -> Run:
    extra: list[Any] = []
    if runtime.main and settings.track != "none":
        from phosphene.train.sinks.tracking import TensorBoardSink, WandbSink

        wandb = settings.track == "wandb"
        extra = [WandbSink(where, dict(record)) if wandb else TensorBoardSink(where)]
    tell = [*extra, *listeners]
    engine = Engine(
        model,
        source,
        settings,
        budget,
        where,
        runtime,
        epoch=len(dataset),
        seed=record["seed"],
        validation=_validation(dataset),
        precision=record["precision"],
        transform=compiled(tell) if record["compile"] else (lambda f: f),
        listeners=tell,
    )
    started = Started(
        system=record["system"],
        data=dataset.name,
        folder=str(where),
        parameters=sum(p.numel() for p in model.parameters()),
        examples=len(dataset),
        budget=str(budget),
        threads=record["threads"],
        device=str(runtime.device),
    )
    if runtime.main:
        for listener in tell:
            listener(started)
            for note in dataset.notes:
                listener(Warned(note))
    try:
        engine.run(resume)
    finally:
        for sink in extra:
            sink.close()
    return Run(where)


def _resume(
    system: str,
    name: str | None,
    folder: Path,
    data: str | Dataset | None,
    budget: str | None,
    model: Mapping[str, Any],
    train: Mapping[str, Any],
    listeners: Sequence[Listener],
    device: str,
) -> Run:
    run = Run(_latest(system, folder) if name is None else folder / name)
    record = dict(run.config)
    if record["system"] != system:
        raise RunError(f"{str(run.path)!r} is a run of {record['system']!r}, not of {system!r}")
    if not (run.path / "checkpoint" / "latest").is_file():
        raise RunError(
            f"{str(run.path)!r} has no checkpoint to resume from; train without --resume"
        )
    _same(run, record["model"], model, "model")
    _same(run, record["train"], train, "train")
    settings = decode(record["train"])
    spent = Budget.parse(budget or record["budget"])
    wanted = data if isinstance(data, Dataset) else load_split(data or record["data"], "train")
    if wanted.name != record["data"]:
        raise RunError(f"{str(run.path)!r} was trained on {record['data']!r}, not {wanted.name!r}")
    chosen = select(system, record["data"], record["recipe"])
    dataset = _labelled(wanted, chosen, record["seed"])
    described = json.loads((run.path / "model" / "config.json").read_text())
    built = build_from(described, str(run.path / "model" / "config.json"))
    runtime = Runtime(device, settings.strategy)
    try:
        torch.set_num_threads(record["threads"])
        built.to(runtime.device)
        seed = record["seed"]
        source = DatasetSource(
            dataset, settings.batch_size, seed, runtime.rank, runtime.world, runtime.device
        )
        if runtime.main and str(spent) != record["budget"]:
            record["budget"] = str(spent)
            write_atomically(run.path / "run.json", json.dumps(record, indent=2) + "\n")
        return _run(
            built, source, dataset, settings, spent, run.path, runtime, record, listeners, True
        )
    finally:
        runtime.close()


def load_split(data: str | Dataset, split: str) -> Dataset:
    """A split of a data set given by name, or the data set itself."""
    return data if isinstance(data, Dataset) else load_data(data, split)


def _sort_overrides(
    cls: type[Model], model: dict[str, Any], train: dict[str, Any], overrides: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Plain names go to the model if its constructor knows them, else to the trainer."""
    from phosphene.core.config import parameters_of

    if not (isinstance(cls, type) and issubclass(cls, Model)):
        raise ConfigError(f"{cls.__name__} is not trained; see `phosphene prove`")
    own = set(parameters_of(cls.__init__)) - {"context"}
    trainer = {f.name for f in fields(TrainSettings)}
    for name, value in overrides.items():
        if name in own:
            model[name] = value
        elif name in trainer:
            train[name] = value
        else:
            raise UnknownNameError("setting", name, own | trainer)
    for name in train:
        if name not in trainer:
            raise UnknownNameError("trainer setting", name, trainer)
    cls.check_settings(model)
    return model, train


def _context(dataset: Dataset, recipe: Recipe) -> ContextSpec | None:
    if not recipe.context:
        return None
    available = dataset.context
    for name in recipe.context:
        if name not in available.names:
            raise ConfigError(
                f"{recipe.system} is conditioned on the {name}, and the data set "
                f"{dataset.name!r} has none"
            )
    return replace(ContextSpec(), **{n: getattr(available, n) for n in recipe.context})


def _labelled(dataset: Dataset, recipe: Recipe, seed: int) -> Dataset:
    """Keep only the recipe's number of labels, repeated so that each batch holds some."""
    if recipe.labels is None or dataset.y is None:
        return dataset
    from phosphene.data.labels import oversample_labelled

    return oversample_labelled(dataset.with_labels(recipe.labels, seed), recipe.labelled_fraction)


def _validation(dataset: Dataset) -> Dataset | None:
    try:
        return load_data(dataset.name, "validation")
    except ValueError:
        return None


def _initialise(model: Model, path: Path) -> None:
    from phosphene.core.model import load_tensors
    from phosphene.train.folder import WEIGHTS

    run = Run(path)
    if not run.weights:
        raise RunError(f"{str(path)!r} holds no weights")
    file = run.path / "model" / WEIGHTS[run.weights[0]]
    load_tensors(model, read_tensors(file), str(file))


def _make_folder(where: Path) -> None:
    if where.exists():
        raise RunError(
            f"the run folder {str(where)!r} exists; choose another --name, or add --resume"
        )
    try:
        (where / "model").mkdir(parents=True)
        (where / "checkpoint").mkdir()
    except OSError as error:
        raise RunError(f"cannot make the run folder {str(where)!r}: {error.strerror}") from None


def _latest(system: str, folder: Path) -> Path:
    runs = [p for p in folder.glob("*/run.json") if json.loads(p.read_text())["system"] == system]
    if not runs:
        raise RunError(f"there is no run of {system!r} in {str(folder)!r} to resume")
    return max(runs, key=lambda p: p.stat().st_mtime).parent


def _same(run: Run, recorded: Mapping[str, Any], wanted: Mapping[str, Any], what: str) -> None:
    for name, value in wanted.items():
        if recorded.get(name) != encode(value):
            raise RunError(
                f"{str(run.path)!r} was trained with --{what}.{name.replace('_', '-')} "
                f"{recorded.get(name)}, not {value}: another architecture or schedule "
                "cannot be resumed"
            )


def _slug(text: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in text)[:40].strip("-")


def _command() -> str:
    program = os.path.basename(sys.argv[0]) if sys.argv else "python"
    return " ".join([program, *sys.argv[1:]])
