"""Which parts of the data condition a model: labels, images, and columns of a table by name."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from phosphene.core.errors import ConfigError, DataError, UnknownNameError, listed
from phosphene.core.event import Event
from phosphene.data.dataset import Dataset
from phosphene.data.loading import load, with_option

__all__ = ["Conditions", "as_table", "load_given"]

_KINDS = ("label", "vector", "image", "none")


@dataclass(frozen=True)
class Conditions:
    """What was asked for with ``context=``.

    Args:
        names: Parts of the data's context: ``label``, ``vector``, ``image``.
        label: The column of a table that holds the labels; None where the data say.
        columns: The columns of a table that make up the vector; none where the data have one.

    Example:
        >>> Conditions.parse("vector:age,income")
        Conditions(names=('vector',), label=None, columns=('age', 'income'))
        >>> Conditions.parse(["label", "vector:age"]).text
        ('label', 'vector:age')

    Names with a comma stand in double quotes: ``vector:"a, b",c``.
    """

    names: tuple[str, ...] = ()
    label: str | None = None
    columns: tuple[str, ...] = ()

    @classmethod
    def parse(cls, said: str | Sequence[str]) -> "Conditions":
        """What is written as ``label``, ``label:COLUMN``, ``vector:a,b``, ``image`` or ``none``.

        Raises:
            ConfigError: It is written otherwise.
        """
        parts = [said] if isinstance(said, str) else list(said)
        if not parts:
            raise ConfigError("context is empty; 'none' is for nothing")
        names, label, columns = [], None, []
        for part in parts:
            kind, colon, rest = part.strip().partition(":")
            asked = (
                [name.strip() for name in (next(csv.reader([rest]), None) or [""])] if colon else []
            )
            if kind not in _KINDS:
                raise UnknownNameError("context", kind, _KINDS)
            if kind in names:
                raise ConfigError(
                    f"context names {kind!r} twice; columns stand together, as vector:a,b"
                )
            if not all(asked) or (asked and kind in ("image", "none")):
                raise ConfigError(
                    f"context {part!r} is not label, label:COLUMN, vector, vector:COLUMN,COLUMN, "
                    "image or none"
                )
            names.append(kind)
            if kind == "label" and asked:
                if len(asked) > 1:
                    raise ConfigError(f"one column holds the labels, got {part!r}")
                label = asked[0]
            columns += asked if kind == "vector" else []
        if "none" in names and len(names) > 1:
            raise ConfigError(f"context 'none' stands alone, got {', '.join(parts)}")
        return cls(tuple(n for n in names if n != "none"), label, tuple(columns))

    @property
    def text(self) -> tuple[str, ...]:
        """As :meth:`parse` reads it."""
        quoted = [f'"{name}"' if "," in name else name for name in self.columns]
        label = f'"{self.label}"' if "," in (self.label or "") else self.label or ""
        more = {"label": label, "vector": ",".join(quoted)}
        return tuple(f"{n}:{more[n]}" if more.get(n) else n for n in self.names) or ("none",)

    def applied(self, dataset: Dataset) -> Dataset:
        """The data set whose columns that were asked for condition the others.

        Raises:
            UnknownNameError: There is no such column.
            ConfigError: No column is left to model.
        """
        if self.columns:
            dataset = _given(dataset, self.columns)
        return dataset


def load_given(name: str, split: str, said: Sequence[str] | None = None) -> Dataset:
    """Load a split, with the columns that were asked for as its condition.

    Example:
        >>> from phosphene.data import load
        >>> load_given("digits", "test", ["label"]).name
        'digits'
    """
    if said is None:
        return load(name, split)
    conditions = Conditions.parse(said)
    if conditions.label is None:
        return conditions.applied(load(name, split))
    # Which classes there are is known to whoever reads the whole file.
    dataset = load(with_option(name, "label", conditions.label), split)
    return conditions.applied(replace(dataset, name=name))


def _given(dataset: Dataset, asked: Sequence[str]) -> Dataset:
    """Columns moved from the examples to the vector that conditions them."""
    if not dataset.columns:
        raise ConfigError(
            f"the data set {dataset.name!r} is no table with columns: its context is "
            f"{', '.join(dataset.context.names) or 'none'}"
        )
    own = dict.fromkeys(dataset.columns)
    beside = dict.fromkeys(dataset.vector_columns)
    chosen: list[str] = []
    for name in asked:
        chosen += _named(name, [*own, *beside], dataset.name)
    if len(set(chosen)) < len(chosen):
        raise ConfigError(f"context names a column twice: {', '.join(asked)}")
    rest = [name for name in own if name not in chosen]
    if not rest:
        raise ConfigError(
            f"context takes every column of {dataset.name!r}, and none is left to model"
        )
    return _columns(dataset, rest, chosen)


def _named(name: str, known: Sequence[str], source: str) -> list[str]:
    """The column of that name, or those of an array of that name: x stands for x0, x1, ..."""
    if name in known:
        return [name]
    group = [k for k in known if k.startswith(name) and k[len(name) :].isdecimal()]
    if not group:
        raise UnknownNameError(f"column of {source!r}", name, known)
    return group


def _columns(dataset: Dataset, kept: Sequence[str], given: Sequence[str]) -> Dataset:
    """The table with these columns as examples and these as the vector."""
    place = {name: dataset.x[:, i] for i, name in enumerate(dataset.columns)}
    if dataset.vector is not None:
        place |= {name: dataset.vector[:, i] for i, name in enumerate(dataset.vector_columns)}
    return replace(
        dataset,
        event=Event.real(len(kept)),
        x=torch.stack([place[name] for name in kept], 1),
        columns=tuple(kept),
        vector=torch.stack([place[name] for name in given], 1) if given else None,
        vector_columns=tuple(given),
    )


def as_table(
    dataset: Dataset,
    columns: Sequence[str],
    vector_columns: Sequence[str],
    classes: Sequence[str],
) -> Dataset:
    """Other data in the order that a model knows: columns and classes by their names.

    Args:
        dataset: As it was read.
        columns: Those of the training data; none where these had no names.
        vector_columns: Those that condition.
        classes: The names of the labels in training.

    Raises:
        DataError: A column is missing, or a label is none of the classes.
    """
    if columns and dataset.columns:
        known = (*dataset.columns, *dataset.vector_columns)
        lacking = [name for name in (*columns, *vector_columns) if name not in known]
        if lacking:
            raise DataError(
                f"{dataset.name!r} lacks the column {lacking[0]!r}; it has {listed(known)}"
            )
        if (*columns, *vector_columns) != known:
            dataset = _columns(dataset, columns, vector_columns)
    if classes and dataset.classes and tuple(classes) != dataset.classes:
        dataset = _renumbered(dataset, classes)
    return dataset


def _renumbered(dataset: Dataset, classes: Sequence[str]) -> Dataset:
    assert dataset.y is not None
    number = {name: k for k, name in enumerate(classes)}
    own = [number.get(name, -2) for name in dataset.classes]
    y = torch.tensor([*own, -1])[dataset.y]  # -1, unknown, is the last
    strange = (y == -2).nonzero()[:, 0]
    if len(strange):
        name = dataset.classes[int(dataset.y[strange[0]])]
        raise DataError(
            f"{dataset.name!r} has {len(strange)} examples of classes such as {name!r} that the "
            f"model was not trained on: {listed(classes, 10)}"
        )
    return replace(dataset, y=y, classes=tuple(classes))
