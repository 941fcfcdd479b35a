"""What a training will do, worked out and checked before anything is written."""

import datetime
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from phosphene import catalog
from phosphene.catalog.recipe import Recipe, Stage, recipes
from phosphene.core.config import SCHEMA, encode, parameters_of
from phosphene.core.context import ContextSpec
from phosphene.core.errors import (
    ConfigError,
    DataError,
    PhospheneError,
    RunError,
    UnknownNameError,
)
from phosphene.core.model import Model, load_tensors
from phosphene.core.stages import Staged
from phosphene.data.conditioning import Conditions, as_table, load_given
from phosphene.data.dataset import Dataset
from phosphene.data.loading import located
from phosphene.subjects.dataset.choosing import select
from phosphene.subjects.dataset.labelling import labelled, with_number
from phosphene.train.building import build
from phosphene.train.folder import WEIGHTS, Run, read_tensors, versions
from phosphene.train.settings import Budget, TrainSettings

__all__ = [
    "Plan",
    "about",
    "check_name",
    "context_for",
    "initialize",
    "load_split",
    "new_folder",
    "plan_training",
    "slug",
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
        validation: What the best weights and early stopping are decided by; None for neither.
        resume: Whether the run has a checkpoint to go on from.
        begun: Whether its folder exists without one: it was stopped before the first.
        unnamed: Whether nobody chose the folder's name, so that another one will do.
        notes: What the user should know, beside what the data set notes.
        env: Where an agent acts: a name, or what the caller handed over.
    """

    model: Model
    dataset: Dataset | None
    settings: TrainSettings
    budget: Budget
    where: Path
    record: dict[str, Any]
    validation: Dataset | None = None
    resume: bool = False
    begun: bool = False
    unnamed: bool = False
    notes: tuple[str, ...] = ()
    env: Any = None


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
    validation: str | Dataset | None = None,
    labels: int | None = None,
    context: str | Sequence[str] | None = None,
) -> Plan:
    """Resolve constructor defaults < recipe < what the caller says; see ``train``."""
    model, train = sort_overrides(system, dict(model), dict(train), overrides)
    said = None if context is None else Conditions.parse(context)
    dataset = None if data is None else load_split(data, "train", said)
    chosen = recipe if isinstance(recipe, Recipe) else _selected(system, dataset, recipe)
    settings = TrainSettings(**{**chosen.train, **train})
    spent = Budget.parse(chosen.budget if budget is None else budget)
    precision = precision or chosen.precision
    if precision not in _PRECISIONS:
        raise UnknownNameError("precision", precision, _PRECISIONS)
    dataset = load_split(chosen.data, "train", said) if dataset is None else dataset
    if isinstance(data, Dataset):
        dataset.event.check(dataset.x)  # those that are read have been checked
    if chosen.plain:
        dataset = replace(dataset, notes=(*dataset.notes, chosen.notes))
    own = isinstance(data, Dataset)
    # Data sets of the table do not change.
    fingerprint = dataset.fingerprint if own or ":" in dataset.name else None
    examples = len(dataset)
    chosen = with_number(chosen, data, labels)
    chosen = chosen if said is None else replace(chosen, context=said.names)
    told = context_for(dataset, chosen)
    dataset, counts = labelled(dataset, chosen.labels, chosen.labelled_fraction, seed)
    built = build(system, dataset.event, told, seed, **{**chosen.model, **model})
    if init_from is not None:
        initialize(built, Path(init_from))
    if dataset.moments is not None:
        built.check_moments(dataset.moments)
    labelled_all = chosen.labels is None and counts is None
    held_out, notes = held_out_of(dataset, data, validation, labelled=labelled_all, said=said)
    notes = (*notes, *unused(system, dataset, told, data, asked=said is not None))
    if settings.patience is not None and held_out is None:
        if "patience" in train:
            raise ConfigError(
                f"patience waits for a validation to improve, and {dataset.name!r} has no "
                "validation split; validation=DATA in Python gives one"
            )
        settings = replace(settings, patience=None)
        notes = (*notes, "the recipe stops where a validation no longer improves; there is none")
    where = new_folder(folder, name, system, dataset.name)
    record = {
        **about(system, chosen, built, settings, spent, seed, precision, compile),
        "data": dataset.name,
        "own_data": own,
        "fingerprint": fingerprint,
        "examples": examples,
        "own_validation": isinstance(validation, Dataset),
        "validation": validation if isinstance(validation, str) else None,
        "init_from": None if init_from is None else str(init_from),
        "labels": chosen.labels,
        "labelled_fraction": chosen.labelled_fraction,
        "labelled": counts,
        "context": None if said is None else list(said.text),
        "columns": list(dataset.columns),
        "vector_columns": list(dataset.vector_columns),
        "classes": list(dataset.classes),
        "label_name": dataset.label_name,
        # What turns samples into text and sound must not need the data.
        "tokenizer": encode(dataset.tokenizer),
        "sample_rate": dataset.sample_rate,
    }
    if isinstance(built, Staged):
        record["stages"] = _stages(built.stages, chosen, train, precision)
    return Plan(
        built, dataset, settings, spent, where, record, held_out, unnamed=name is None, notes=notes
    )


def held_out_of(
    dataset: Dataset,
    data: str | Dataset | None,
    validation: str | Dataset | None,
    *,
    labelled: bool,
    said: Conditions | None = None,
    folder: str | None = None,
) -> tuple[Dataset | None, tuple[str, ...]]:
    """What a training is judged by, and what the user should know where there is nothing.

    Data that are known by name have a validation split; a Dataset of the caller's own has what he
    gives, whatever it is called. A training that may use few labels must not choose its weights by
    many: they are forgotten. A relative path in the name of the data lies in the folder, where one
    is given.
    """
    if validation is None and isinstance(data, Dataset):
        return None, ()
    try:
        judged = located(dataset.name, folder) if validation is None else validation
        held_out = load_split(judged, "validation", said)
        held_out = as_table(held_out, dataset.columns, dataset.vector_columns, dataset.classes)
    except PhospheneError as error:
        if validation is not None:
            raise
        return None, (f"no validation split, so that the last weights are handed out: {error}",)
    if held_out.event != dataset.event:
        raise DataError(f"validation holds {held_out.event}, and training {dataset.event}")
    if not labelled and held_out.y is not None:
        held_out = replace(held_out, y=torch.full_like(held_out.y, -1))
    return held_out, ()


def _empty(folder: Path) -> bool:
    """Whether a folder holds nothing but what a training leaves that was killed as it began."""
    return folder.is_dir() and all(
        entry.name == ".lock" or entry.name.startswith(".run.") for entry in folder.iterdir()
    )


def check_name(name: str) -> str:
    """The name of a run or a comparison, which is a folder below that of all runs.

    Raises:
        ConfigError: It is empty, leads elsewhere or cannot be the name of a folder.

    Example:
        >>> check_name("a"), check_name("course/week-1")
        ('a', 'course/week-1')
    """
    parts = Path(name).parts
    plain = name.strip() and all(c.isprintable() for c in name)
    if not plain or not parts or Path(name).is_absolute() or ".." in parts or name[0] in "~-":
        raise ConfigError(
            f"a run's name is that of a folder below the folder of runs, such as 'first', got "
            f"{name!r}"
        )
    return name


def new_folder(folder: Path, name: str | None, system: str, subject: str) -> Path:
    """Where a run will be written: its name, or system, data or environment, and date."""
    where = folder / (f"{system}-{slug(subject)}-{_now()}" if name is None else check_name(name))
    if name is not None and where.exists() and not _empty(where):
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
        "directory": os.getcwd(),
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


def load_split(data: str | Dataset, split: str, said: Conditions | None = None) -> Dataset:
    """A split of a data set given by name, or the data set itself, with what conditions it."""
    if not isinstance(data, str | Dataset):
        raise ConfigError(
            f"data are a name, as 'mnist' or 'folder:./photos', or a Dataset; got a "
            f"{type(data).__name__}"
        )
    if isinstance(data, str):
        return load_given(data, split, None if said is None else said.text)
    if said is not None and said.label is not None:
        raise ConfigError("a Dataset has its labels in y: context='label' conditions on them")
    return data if said is None else said.applied(data)


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
    fitting = (r.data for r in recipes() if r.system == recipe.system and r.context)
    fit = next((data for data in fitting if data and data != dataset.name), "")
    hint = f"; {fit!r} has" if fit else ""
    if dataset.columns:
        hint = "; columns are named, as label:COLUMN or vector:COLUMN,COLUMN"
    for name in recipe.context:
        if name not in available.names:
            raise ConfigError(
                f"{recipe.system} is conditioned on the {name}, and the data set "
                f"{dataset.name!r} has none{hint}"
            )
    return replace(ContextSpec(), **{n: getattr(available, n) for n in recipe.context})


def unused(
    system: str,
    dataset: Dataset,
    told: ContextSpec | None,
    data: str | Dataset | None,
    *,
    asked: bool,
) -> tuple[str, ...]:
    """What the user's own data hold that the model could be told and is not."""
    own = isinstance(data, Dataset) or (data is not None and ":" in data)
    if asked or not own or catalog.find(system).context == "none":
        return ()
    left = [name for name in dataset.context.names if name not in (told or ContextSpec()).names]
    what = {"label": f"labels of {len(dataset.classes)} classes", "image": "images"}
    return tuple(
        f"{what.get(name, 'vectors')} in the data are not used: --context {name} conditions on them"
        for name in left
    )


def initialize(model: Model, path: Path) -> None:
    """Begin with the weights of a run."""
    run = Run(path)
    if not run.weights:
        raise RunError(f"{str(path)!r} holds no weights")
    file = run.path / "model" / WEIGHTS[run.weights[0]]
    load_tensors(model, read_tensors(file), str(file))


def slug(text: str) -> str:
    """A name for a file or folder."""
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in text)[:40].strip("-")
