"""What a training will do, worked out and checked before anything is written."""

import datetime
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from phosphene import catalog
from phosphene.core.config import SCHEMA, decode, encode, parameters_of
from phosphene.core.context import ContextSpec
from phosphene.core.errors import ConfigError, RunError, UnknownNameError
from phosphene.core.model import Model, load_tensors
from phosphene.data import load as load_data
from phosphene.data.dataset import Dataset
from phosphene.data.labels import oversample_labelled
from phosphene.recipes.recipe import Recipe, Stage, recipes, select
from phosphene.train.building import build
from phosphene.train.folder import WEIGHTS, Run, build_from, read_tensors, versions
from phosphene.train.settings import Budget, TrainSettings

__all__ = [
    "Plan",
    "about",
    "context_for",
    "described",
    "initialize",
    "load_split",
    "new_folder",
    "plan_resume",
    "plan_training",
    "recorded",
    "sort_overrides",
]

_PRECISIONS = ("fp32", "bf16", "auto")


@dataclass
class Plan:
    """A training, ready to run.

    Args:
        model: Built, with its first weights.
        dataset: The training split; None for an agent.
        settings: How to train.
        budget: How long.
        where: The run folder.
        record: What ``run.json`` holds.
        resume: Whether the run exists.
    """

    model: Model
    dataset: Dataset | None
    settings: TrainSettings
    budget: Budget
    where: Path
    record: dict[str, Any]
    resume: bool = False


def plan_training(
    system: str,
    *,
    data: str | Dataset | None,
    budget: str | None,
    seed: int,
    name: str | None,
    recipe: str | Recipe,
    folder: Path,
    model: Mapping[str, Any],
    train: Mapping[str, Any],
    precision: str | None,
    compile: bool,
    init_from: str | Path | None,
    overrides: Mapping[str, Any],
) -> Plan:
    """Resolve constructor defaults < recipe < what the caller says; see ``train``."""
    model, train = sort_overrides(system, dict(model), dict(train), overrides)
    dataset = None if data is None else load_split(data, "train")
    chosen = recipe if isinstance(recipe, Recipe) else _selected(system, dataset, recipe)
    settings = TrainSettings(**{**chosen.train, **train})
    spent = Budget.parse(budget or chosen.budget)
    precision = precision or chosen.precision
    if precision not in _PRECISIONS:
        raise UnknownNameError("precision", precision, _PRECISIONS)
    dataset = load_split(chosen.data, "train") if dataset is None else dataset
    if chosen.plain:
        dataset = replace(dataset, notes=(*dataset.notes, chosen.notes))
    dataset = _labelled(dataset, chosen.labels, chosen.labelled_fraction, seed)
    context = context_for(dataset, chosen)
    built = build(system, dataset.event, context, seed, **{**chosen.model, **model})
    if init_from is not None:
        initialize(built, Path(init_from))
    where = new_folder(folder, name, system, dataset.name)
    record = {
        **about(system, chosen, built, settings, spent, seed, precision, compile),
        "data": dataset.name,
        "labels": chosen.labels,
        "labelled_fraction": chosen.labelled_fraction,
        # What turns samples into text and sound must not need the data.
        "tokenizer": encode(dataset.tokenizer),
        "sample_rate": dataset.sample_rate,
    }
    if hasattr(built, "stages"):
        record["stages"] = _stages(built.stages, chosen, train, precision)
    return Plan(built, dataset, settings, spent, where, record)


def new_folder(folder: Path, name: str | None, system: str, subject: str) -> Path:
    """Where a run will be written: its name, or system, data or environment, and date."""
    where = folder / (name or f"{system}-{_slug(subject)}-{_now()}")
    if where.exists():
        raise RunError(
            f"the run folder {str(where)!r} exists; choose another --name, or add --resume"
        )
    return where


def about(
    system: str,
    recipe: Recipe,
    model: Model,
    settings: TrainSettings,
    budget: Budget,
    seed: int,
    precision: str,
    compile: bool,
) -> dict[str, Any]:
    """What the record of any training holds."""
    return {
        "schema": SCHEMA,
        "system": system,
        "recipe": recipe.name,
        "model": encode(model.config),
        "train": encode(settings),
        "budget": str(budget),
        "seed": seed,
        "precision": precision,
        "compile": compile,
        "versions": versions(),
        "command": " ".join([os.path.basename(sys.argv[0] or "python"), *sys.argv[1:]]),
        "started": _now(),
    }


def _now() -> str:
    return datetime.datetime.now().strftime("%Y%m%d-%H%M%S")


def _selected(system: str, data: Dataset | None, recipe: str) -> Recipe:
    if data is None:
        return select(system, None, recipe)
    return select(system, data.name, recipe, data.event)


def _stages(
    names: Sequence[str], recipe: Recipe, train: Mapping[str, Any], precision: str
) -> dict[str, Any]:
    """How each stage is trained: the recipe's common settings < its stage's < the caller's."""
    told: dict[str, Any] = {}
    for name in names:
        stage = recipe.stages.get(name, Stage(share=1 / len(names), precision=precision))
        settings = {**recipe.train, **stage.train, **train}
        TrainSettings(**settings)
        told[name] = {"share": stage.share, "train": settings, "precision": stage.precision}
    return told


def plan_resume(
    system: str,
    *,
    data: str | Dataset | None,
    budget: str | None,
    name: str | None,
    folder: Path,
    model: Mapping[str, Any],
    train: Mapping[str, Any],
    overrides: Mapping[str, Any],
) -> Plan:
    """Go on as recorded; only the budget may be another."""
    model, train = sort_overrides(system, dict(model), dict(train), overrides)
    run, record = recorded(system, name, folder, model, train)
    dataset = load_split(data or record["data"], "train")
    if dataset.name != record["data"]:
        raise RunError(f"{str(run.path)!r} was trained on {record['data']!r}, not {dataset.name!r}")
    dataset = _labelled(dataset, record["labels"], record["labelled_fraction"], record["seed"])
    spent = Budget.parse(budget or record["budget"])
    record["budget"] = str(spent)
    settings = decode(record["train"])
    return Plan(described(run), dataset, settings, spent, run.path, record, resume=True)


def recorded(
    system: str,
    name: str | None,
    folder: Path,
    model: Mapping[str, Any],
    train: Mapping[str, Any],
) -> tuple[Run, dict[str, Any]]:
    """The run to go on with and its record; refuses settings that differ from it."""
    run = Run(_latest(system, folder) if name is None else folder / name)
    record = dict(run.config)
    if record["system"] != system:
        raise RunError(f"{str(run.path)!r} is a run of {record['system']!r}, not of {system!r}")
    if "stages" not in record and not (run.path / "checkpoint" / "latest").is_file():
        raise RunError(
            f"{str(run.path)!r} has no checkpoint to resume from; train without --resume"
        )
    _same(run, record["model"], model, "model")
    _same(run, record["train"], train, "train")
    return run, record


def described(run: Run) -> Model:
    """The model of a run as it was built, before any training."""
    path = run.path / "model" / "config.json"
    return build_from(json.loads(path.read_text()), str(path))


def load_split(data: str | Dataset, split: str) -> Dataset:
    """A split of a data set given by name, or the data set itself."""
    return data if isinstance(data, Dataset) else load_data(data, split)


def sort_overrides(
    system: str, model: dict[str, Any], train: dict[str, Any], overrides: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Plain names go to the model if its constructor knows them, else to the trainer."""
    cls = catalog.find(system).load()
    if not (isinstance(cls, type) and issubclass(cls, Model)):
        raise ConfigError(f"{system!r} is not trained; see `phosphene prove {system}`")
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


def context_for(dataset: Dataset, recipe: Recipe) -> ContextSpec | None:
    """Those parts of the data's context that the recipe gives to the model.

    Raises:
        ConfigError: The data have no such part.
    """
    if not recipe.context:
        return None
    available = dataset.context
    fit = next((r.data for r in recipes() if r.system == recipe.system), "")
    hint = f"; {fit!r} has" if fit else ""
    for name in recipe.context:
        if name not in available.names:
            raise ConfigError(
                f"{recipe.system} is conditioned on the {name}, and the data set "
                f"{dataset.name!r} has none{hint}"
            )
    return replace(ContextSpec(), **{n: getattr(available, n) for n in recipe.context})


def _labelled(dataset: Dataset, labels: int | None, fraction: float, seed: int) -> Dataset:
    """Keep only so many labels, repeated so that each batch holds some."""
    if labels is None or dataset.y is None:
        return dataset
    return oversample_labelled(dataset.with_labels(labels, seed), fraction)


def initialize(model: Model, path: Path) -> None:
    """Begin with the weights of a run."""
    run = Run(path)
    if not run.weights:
        raise RunError(f"{str(path)!r} holds no weights")
    file = run.path / "model" / WEIGHTS[run.weights[0]]
    load_tensors(model, read_tensors(file), str(file))


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
