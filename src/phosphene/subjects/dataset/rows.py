"""Rows of tables: the conditions that a person writes, and the samples that are written as CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.errors import ConfigError, DataError, UnknownNameError
from phosphene.core.model import Model
from phosphene.data.adapters.csv import read_columns, read_texts
from phosphene.train.files import write_atomically
from phosphene.train.folder import Run

__all__ = ["GivenRows", "given_labels", "given_rows", "label_number", "write_rows"]

GivenRows = str | Path | Mapping[str, float] | Tensor
"""Conditions: ``a=1,b=2``, a table with such columns, a mapping, or vectors (k, d)."""


def given_rows(run: Run, model: Model, given: GivenRows) -> Tensor:
    """The vectors (k, d) that samples are conditioned on, in the model's order of columns.

    Raises:
        ConfigError: The model is not conditioned on a vector, or a column has no value.
        UnknownNameError: A column is none of its conditions.
        DataError: The table cannot be read, or lacks a column.
    """
    if model.context.vector is None:
        raise ConfigError(
            f"{str(run.path)!r} is not conditioned on columns of a table, so that nothing is given"
        )
    d = model.context.vector.dimensions
    if isinstance(given, Tensor):
        rows = given.reshape(1, -1) if given.ndim < 2 else given
        if rows.ndim != 2 or rows.shape[1] != d:
            raise ConfigError(f"given has the shape {tuple(given.shape)}, not (k, {d})")
        return rows
    names = list(run.config.get("vector_columns", ())) or [str(i) for i in range(d)]
    if isinstance(given, str) and "=" in given and not Path(given).expanduser().exists():
        given = _written(given)
    if not isinstance(given, Mapping):
        return torch.from_numpy(read_columns(str(given), names))
    for name in given:
        if name not in names:
            raise UnknownNameError("condition", name, names)
    lacking = [name for name in names if name not in given]
    if lacking:
        raise ConfigError(
            f"the model is conditioned on {', '.join(names)}; given says nothing of {lacking[0]!r}"
        )
    return torch.tensor([[float(given[name]) for name in names]], dtype=torch.float64)


def _written(text: str) -> dict[str, float]:
    """The values of ``a=1,b=2``."""
    found: dict[str, float] = {}
    for part in text.split(","):
        name, equals, value = part.rpartition("=")
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not equals or not abs(number) < float("inf"):
            raise ConfigError(f"given is written as column=number, got {part.strip()!r}")
        if name.strip() in found:
            raise ConfigError(f"given says two values of {name.strip()!r}")
        found[name.strip()] = number
    return found


def given_labels(run: Run, model: Model, given: GivenRows, n: int) -> list[int] | None:
    """The classes of the rows of a table that is given, where it has the column of the label.

    Raises:
        ConfigError: A row has none of the classes that the model knows.
    """
    name, classes = run.config.get("label_name"), list(run.config.get("classes", ()))
    if not name or not model.context.label or not isinstance(given, str | Path):
        return None
    path = str(given)
    if not Path(path).expanduser().is_file():
        return None
    texts = read_texts(path, name)
    if texts is None or len(texts) != n:
        return None
    for text in texts:
        if text not in classes:
            raise UnknownNameError(f"{name} in {path!r}", text, classes)
    return [classes.index(text) for text in texts]


def label_number(run: Run, model: Model, label: int | str) -> int:
    """A class by its name, or by its number.

    Raises:
        ConfigError: The model is not conditioned on a label, or has no such class.
    """
    count, classes = model.context.label, list(run.config.get("classes", ()))
    if not count:
        raise ConfigError(f"{str(run.path)!r} is not conditioned on a label")
    if isinstance(label, str) and label in classes:
        return classes.index(label)
    text = str(label).strip()
    numbered = classes == [str(i) for i in range(count)]
    if isinstance(label, str) and classes and not numbered and run.config.get("label_name"):
        raise UnknownNameError("label", label, classes)
    if isinstance(label, str) and not text.removeprefix("-").isdecimal():
        raise UnknownNameError("label", label, classes or map(str, range(count)))
    number = int(text) if len(text) < 20 else count
    if not 0 <= number < count:
        raise ConfigError(f"label {text[:40]} must lie in 0..{count - 1}")
    return number


def write_rows(
    path: Path,
    x: Tensor,
    columns: Sequence[str],
    context: Context | None = None,
    vector_columns: Sequence[str] = (),
    classes: Sequence[str] = (),
    label_name: str = "",
) -> Path:
    """Write samples as CSV, each with its condition; numbers are as short as they can be."""
    if x.ndim != 2 or x.shape[1] != len(columns):
        raise DataError(f"rows of shape {tuple(x.shape)} are no table of {len(columns)} columns")
    parts, heads = [_texts(x)], list(columns)
    if context is not None and context.vector is not None:
        parts.append(_texts(context.vector))
        heads += list(vector_columns) or [f"given{i}" for i in range(context.vector.shape[1])]
    if context is not None and context.label is not None:
        labels = context.label.tolist()
        named = [[classes[i] if 0 <= i < len(classes) else str(i)] for i in labels]
        parts.append(named)
        heads.append(label_name or ("label" if "label" not in heads else "class"))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows(chain(*rows) for rows in zip(*parts, strict=True))
    write_atomically(path, text.getvalue())
    return path


def _texts(x: Tensor) -> list[list[str]]:
    """Each number in the fewest digits that its type reads back as the same."""
    array = x.detach().cpu().numpy()
    return [[str(value) for value in row] for row in array]
