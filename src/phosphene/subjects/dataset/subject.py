"""A data set, opened for a training."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from phosphene.catalog.recipe import Recipe
from phosphene.core.config import encode
from phosphene.core.context import ContextSpec
from phosphene.core.errors import ConfigError, RunError
from phosphene.core.model import Model
from phosphene.core.trainable import Trainable
from phosphene.data.context_parts import Conditions
from phosphene.data.dataset import Dataset
from phosphene.data.loading import located
from phosphene.subjects.dataset.choosing import select
from phosphene.subjects.dataset.held_out import HeldOut
from phosphene.subjects.dataset.labelling import Counts, labelled, labelled_again, with_number
from phosphene.subjects.dataset.opening import changed, data_of
from phosphene.subjects.dataset.source import DatasetSource
from phosphene.subjects.dataset.splits import context_for, held_out_of, load_split, unused
from phosphene.subjects.plan import Plan, Request, Subject
from phosphene.train.folder import Run
from phosphene.train.probe import choose_threads
from phosphene.train.runtime import Runtime
from phosphene.train.settings import Budget, TrainSettings
from phosphene.train.shares import check_shares

__all__ = ["DatasetSubject", "open_dataset", "reopen_dataset"]


class DatasetSubject(Subject):
    """The splits of a training and what is recorded of them.

    Args:
        dataset: What is learned from.
        validation: What the best weights and early stopping are decided by; None for neither.
        recipe: Whose settings hold.
        told: What the model is conditioned on.
        facts: What ``run.json`` says of the data.
        notes: What the user should know.
    """

    def __init__(
        self,
        dataset: Dataset,
        validation: Dataset | None,
        recipe: Recipe,
        told: ContextSpec | None,
        facts: dict[str, Any],
        notes: tuple[str, ...] = (),
    ) -> None:
        self.dataset, self.validation, self.recipe, self.told = dataset, validation, recipe, told
        self.facts, self.notes = facts, notes
        self.name, self.spec, self.size = dataset.name, dataset.event, len(dataset)

    def settle(
        self, settings: TrainSettings, budget: Budget, asked: Mapping[str, Any]
    ) -> TrainSettings:
        """Without patience where nothing validates."""
        if settings.patience is None or self.validation is not None:
            return settings
        if "patience" in asked:
            raise ConfigError(
                f"patience waits for a validation to improve, and {self.name!r} has no "
                "validation split; validation=DATA in Python gives one"
            )
        note = "the recipe stops where a validation no longer improves; there is none"
        self.notes = (*self.notes, note)
        return replace(settings, patience=None)

    def admit(self, model: Model) -> None:
        """Refuse reals that a model has no density for."""
        if self.dataset.moments is not None:
            model.check_moments(self.dataset.moments)

    def record(self) -> dict[str, Any]:
        """The name of the data, their fingerprint, columns, classes, labels, tokenizer."""
        return self.facts

    def source(self, plan: Plan, runtime: Runtime) -> DatasetSource:
        """Batches of the training split."""
        settings = plan.settings
        check_shares(settings.batch_size, settings.accumulate, runtime.world)
        seed, place = plan.record["seed"], (runtime.rank, runtime.world, runtime.device)
        return DatasetSource(self.dataset, settings.batch_size, seed, *place)

    def judge(self, plan: Plan, runtime: Runtime) -> HeldOut | None:
        """The validation split; a model of several phases has no one loss to be judged by."""
        if self.validation is None or type(plan.model).loss is Trainable.loss:
            return None
        return HeldOut(self.validation, plan.record["seed"], plan.settings.evaluate_limit)

    def threads(self, plan: Plan, source: Any) -> int:
        """Those that make the first steps fastest."""
        return choose_threads(plan.model, source, plan.settings, plan.record["precision"])


def open_dataset(ask: Request) -> DatasetSubject:
    """The splits of a training that begins; see ``train``."""
    data, validation = ask.options.get("data"), ask.options.get("validation")
    context, labels = ask.options.get("context"), ask.options.get("labels")
    said = None if context is None else Conditions.parse(context)
    dataset = None if data is None else load_split(data, "train", said)
    chosen = ask.recipe if isinstance(ask.recipe, Recipe) else _selected(ask, dataset)
    dataset = load_split(chosen.on, "train", said) if dataset is None else dataset
    own = isinstance(data, Dataset)
    if own:
        dataset.event.check(dataset.x)  # those that are read have been checked
    if chosen.plain:
        dataset = replace(dataset, notes=(*dataset.notes, chosen.notes))
    # Data sets of the table do not change.
    fingerprint = dataset.fingerprint if own or ":" in dataset.name else None
    examples = len(dataset)
    chosen = with_number(chosen, data, labels)
    chosen = chosen if said is None else replace(chosen, context=said.names)
    told = context_for(dataset, chosen)
    dataset, counts = labelled(dataset, chosen.labels, chosen.labelled_fraction, ask.seed)
    labelled_all = chosen.labels is None and counts is None
    held_out, notes = held_out_of(dataset, data, validation, labelled=labelled_all, said=said)
    notes = (*notes, *unused(chosen, dataset, told, data, asked=said is not None))
    facts = {
        "kind": "dataset",
        "data": dataset.name,
        "own_data": own,
        "fingerprint": fingerprint,
        "examples": examples,
        "own_validation": isinstance(validation, Dataset),
        "validation": validation if isinstance(validation, str) else None,
        **_described(dataset, chosen, counts, said),
    }
    return DatasetSubject(dataset, held_out, chosen, told, facts, (*dataset.notes, *notes))


def _described(
    dataset: Dataset, chosen: Recipe, counts: Counts | None, said: Conditions | None
) -> dict[str, Any]:
    return {
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


def _selected(ask: Request, data: Dataset | None) -> Recipe:
    assert isinstance(ask.recipe, str)
    if ask.made is not None:  # a model of somebody's own has no recipe
        if data is None:
            raise ConfigError(f"a {ask.system} of your own needs data: data='digits', for one")
        return Recipe(name="default", system=ask.system, on=data.name, budget="60s")
    if data is None:
        return select(ask.system, None, ask.recipe)
    return select(ask.system, data.name, ask.recipe, data.event, data.context.names)


def reopen_dataset(ask: Request, run: Run, record: dict[str, Any]) -> DatasetSubject:
    """The splits of a training that goes on, which are those that it began with."""
    data, validation = ask.options.get("data"), ask.options.get("validation")
    context, labels = ask.options.get("context"), ask.options.get("labels")
    named = data if isinstance(data, str) else None
    where = repr(str(run.path))
    if named not in (None, record.get("data")):
        raise RunError(f"{where} was trained on {record['data']!r}, not {named!r}")
    said = Conditions.parse(record["context"]) if record.get("context") else None
    if context is not None and (said is None or Conditions.parse(context) != said):
        raise RunError(
            f"{where} was trained with context {record.get('context')}, not "
            f"{list(Conditions.parse(context).text)}: a run is resumed on what it began with"
        )
    if isinstance(data, Dataset):
        dataset = load_split(data, "train", said)
    else:
        dataset = data_of(Run(run.path, data=named, trust=ask.trust, model=ask.made), "train")
    if dataset.name != record["data"]:
        raise RunError(f"{where} was trained on {record['data']!r}, not {dataset.name!r}")
    if not isinstance(data, Dataset) and (other := changed(run, dataset)):
        raise RunError(
            f"{other}; a run is resumed on what it began with, and --init-from {run.path} begins "
            "another one with its weights"
        )
    if labels not in (None, record.get("labels")):
        raise RunError(
            f"{where} was trained with labels={record.get('labels')}, not {labels}: "
            "a run is resumed on the labels it began with"
        )
    if record.get("own_validation") and validation is None:
        raise RunError(f"{where} was judged by a Dataset of your own: pass validation=")
    place = record.get("directory")
    if validation is None and record.get("validation") is not None:
        validation = located(record["validation"], place)
    told = record.get("labels") is None and record.get("labelled") is None
    held_out, notes = held_out_of(dataset, data, validation, labelled=told, said=said, folder=place)
    whole = dataset
    dataset = labelled_again(dataset, record, str(run.path))
    if isinstance(data, Dataset) and record.get("fingerprint") not in (None, whole.fingerprint):
        raise RunError(f"{where} was trained on a Dataset with other examples than this one")
    began = Recipe(name=record["recipe"], system=record["system"], budget=record["budget"])
    return DatasetSubject(dataset, held_out, began, None, {}, (*dataset.notes, *notes))
