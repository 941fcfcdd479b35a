"""``csv:PATH``: a table, one example a line; no other package is needed."""

import array
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from phosphene.core.errors import ConfigError, DataError, UnknownNameError, counted, listed
from phosphene.core.event import Event
from phosphene.core.paths import expanded
from phosphene.data.adapters.columns import narrowed
from phosphene.data.adapters.text_table import (
    MISSING,
    TextFile,
    names_of,
    number_of,
    opened,
    parts_of,
    rows_of,
    value_of,
)
from phosphene.data.dataset import Dataset, Split
from phosphene.data.limits import admit, within_memory
from phosphene.data.splits import ALIASES, locate

__all__ = ["csv", "read_columns", "read_texts"]

Reals = NDArray[np.float64]
Index = NDArray[np.int64]

_MOST_COLUMNS = 10_000
_MOST_CLASSES = 1000


@dataclass
class _Column:
    """What one column holds, over all lines."""

    name: str
    texts: dict[str, int] = field(default_factory=dict)
    filled: int = 0
    missing: int = 0
    first_missing: int = 0
    text: str = ""
    line: int = 0
    commas: bool = False
    dotted: str = ""
    fraction: str = ""

    def look(self, value: str, line: int, commas: bool) -> None:
        """Count one field."""
        if value.lower() in MISSING:
            self.first_missing = self.first_missing or line
            self.missing += 1
            return
        if len(self.texts) <= _MOST_CLASSES:
            self.texts.setdefault(value, len(self.texts))
        self.filled += 1
        if (number := number_of(value)) is not None:
            self.dotted = self.dotted or (value if "." in value else "")
            self.fraction = self.fraction or (value if number % 1 else "")
            return
        if commas and number_of(value.replace(",", ".", 1)) is not None:
            self.commas = True
        elif not self.text:
            self.text, self.line = value, line

    @property
    def is_text(self) -> bool:
        """Whether some field is not a number."""
        return bool(self.text)


@within_memory
def csv(
    argument: str,
    split: Split,
    *,
    label: str | None = None,
    drop: str | None = None,
    missing: str | None = None,
    delimiter: str | None = None,
    limit: int | None = None,
) -> Dataset:
    """Read a table: columns of numbers are the values of an example, and one may hold labels.

    The first line names the columns, unless it holds numbers alone. Commas, semicolons, tabs and
    bars are told apart by the first lines; with semicolons or tabs, ``1,5`` is a number. A column
    of text is the label where it is the only one. A file ``train.csv`` beside ``test.csv`` in a
    folder, or a column called ``split``, says what is held out; without, it is a fixed tenth each.

    Args:
        argument: A file, or a folder of ``train.csv``, ``test.csv`` and perhaps ``validation.csv``.
        split: Which part.
        label: The column that holds labels: text, or whole numbers.
        drop: Columns that are left out, separated by commas.
        missing: ``drop`` leaves out lines in which a value is missing; they are counted.
        delimiter: ``comma``, ``semicolon``, ``tab``, ``bar`` or ``space``, where it is not found.
        limit: Read at most this many examples of the split.

    Raises:
        DataError: The file cannot be read, a line has another number of fields, or a column holds
            text, or lacks values; it names the column and the line.
        ConfigError: A column is not there, or an option cannot take its value.
    """
    if missing not in (None, "drop"):
        raise ConfigError(f"option 'missing' of csv must be 'drop', got {missing!r}")
    path = expanded(argument)
    files = {name: opened(argument, file, delimiter) for name, file in parts_of(path).items()}
    names = names_of(argument, files)
    columns = [_Column(name) for name in names]
    lines: dict[str, int] = {}
    for part, file in files.items():
        lines[part] = 0
        for line, row in rows_of(argument, file, len(names)):
            lines[part] += 1
            for column, value in zip(columns, row, strict=True):
                column.look(value.strip(), line, file.delimiter in ";\t")
    table = _Table(argument, columns, _listed(label, "label"), _listed(drop, "drop"))
    table.check(missing == "drop")
    admit(argument, 24 * (len(table.numbers) + 2) * sum(lines.values()), "its columns", _LIMIT)
    return table.dataset(files, split, limit)


_LIMIT = "read fewer columns"


def _listed(text: str | None, option: str) -> list[str]:
    if text is None:
        return []
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise ConfigError(
            f"option {option!r} of csv names columns separated by commas, got {text!r}"
        )
    return names


class _Table:
    """Which columns are values, labels, splits, and what is left out."""

    def __init__(
        self, source: str, columns: list[_Column], label: list[str], drop: list[str]
    ) -> None:
        self.source, self.columns = source, columns
        self.names = [column.name for column in columns]
        for name in (*label, *drop):
            if name not in self.names:
                raise UnknownNameError(f"column of {source!r}", name, self.names)
        if len(label) > 1:
            raise ConfigError(f"{source!r} has one column of labels, got {', '.join(label)}")
        self.notes: list[str] = []
        self.dropped = {*drop, *self._empty(), *self._counter(label)}
        self.split = self._split_column(label)
        self.label = label[0] if label else self._text_label()
        aside = {*self.dropped, self.split, self.label}
        self.numbers = [i for i, name in enumerate(self.names) if name not in aside]

    def _empty(self) -> set[str]:
        """Columns that hold nothing, as a delimiter at the end of each line makes one."""
        found = {c.name for c in self.columns if not c.texts}
        if found:
            shown = listed([repr(name) for name in sorted(found)], 3)
            self.notes.append(f"nothing stands in {shown}: left out")
        return found

    def _counter(self, label: list[str]) -> set[str]:
        """A first column without a name that numbers the lines, as data frames write it."""
        first = self.columns[0]
        named = first.name not in ("", "Unnamed: 0") or first.name in label
        if named or first.is_text or first.fraction or first.missing:
            return set()
        self.notes.append("the first column has no name and is taken to number the lines: left out")
        return {first.name}

    def _split_column(self, label: list[str]) -> str | None:
        for column in self.columns:
            if column.name.lower() != "split" or column.name in (*label, *self.dropped):
                continue
            if column.texts and all(text.lower() in ALIASES for text in column.texts):
                return column.name
        return None

    def _text_label(self) -> str | None:
        aside = {*self.dropped, self.split}
        texts = [c for c in self.columns if c.is_text and c.name not in aside]
        if len(texts) != 1 or len(texts[0].texts) > min(_MOST_CLASSES, texts[0].filled / 2):
            return None
        self.notes.append(f"{texts[0].name!r} holds text: it is the label")
        return texts[0].name

    def check(self, drops: bool) -> None:
        """Refuse text, and values that are missing, unless their lines are left out."""
        self._check_signs()
        texts = [self.columns[i] for i in self.numbers if self.columns[i].is_text]
        if texts:
            first, shown = texts[0], listed([repr(c.name) for c in texts], 5)
            other = f"; {shown} hold text" if len(texts) > 1 else ""
            names = ",".join(c.name for c in texts)
            raise DataError(
                f"{self.source!r}: column {first.name!r} holds {first.text[:40]!r} in line "
                f"{first.line}, which is no number{other}: ?drop={names} leaves "
                f"{'it' if len(texts) == 1 else 'them'} out, and ?label=COLUMN takes one as the "
                "label"
            )
        if not self.numbers:
            raise DataError(f"{self.source!r} has no column of numbers, only {listed(self.names)}")
        gaps = [self.columns[i] for i in self.numbers if self.columns[i].missing]
        if gaps and not drops:
            shown = listed([f"{c.name!r} ({c.missing})" for c in gaps], 5)
            raise DataError(
                f"{self.source!r} lacks values in {shown}, the first in line "
                f"{min(c.first_missing for c in gaps)}: fill them in, leave the column out with "
                "?drop=COLUMN, or the lines with ?missing=drop"
            )

    def _check_signs(self) -> None:
        """Refuse a table of decimal commas in which a point may be one or may group digits."""
        comma = next((c for c in self.columns if c.commas), None)
        point = next((c for c in self.columns if c.dotted and not c.is_text), None)
        if comma is not None and point is not None:
            raise DataError(
                f"{self.source!r} has decimal commas in {comma.name!r} and {point.dotted!r} in "
                f"{point.name!r}: write all numbers alike"
            )

    def dataset(self, files: dict[str, TextFile], split: Split, limit: int | None) -> Dataset:
        """One split."""
        values, codes, where = self._read(files)
        whole: NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(values), axis=1)
        without = int((~whole).sum())
        if without == len(values):
            raise DataError(f"{self.source!r}: every line lacks a value")
        if without:
            self.notes.append(f"{without:,} of {len(values):,} lines lack a value and are left out")
            values, codes = values[whole], codes[whole]
            where = [part for part, kept in zip(where, whole.tolist(), strict=True) if kept]
        rows: dict[str, list[int]] = {}
        for i, part in enumerate(where):
            rows.setdefault(part, []).append(i)
        part, index = locate(self.source, split, {k: len(v) for k, v in rows.items()}, limit)
        index = np.asarray(rows[part], dtype=np.int64)[index]
        classes = self._classes(files)
        names = tuple(self.names[i] for i in self.numbers)
        x, wide = narrowed(values, names)
        y = torch.from_numpy(codes[index]) if classes else None
        return Dataset(
            name=self.source,
            split=split,
            event=Event.real(len(names)),
            x=torch.from_numpy(x[index]),
            y=y,
            classes=classes,
            label_name=self.label or "",
            columns=names,
            notes=(*self.notes, *wide),
        )

    def _classes(self, files: dict[str, TextFile]) -> tuple[str, ...]:
        if self.label is None:
            return ()
        column = self.columns[self.names.index(self.label)]
        if len(column.texts) > _MOST_CLASSES:
            raise DataError(
                f"{self.source!r}: the label {self.label!r} takes more than {_MOST_CLASSES} values;"
                " as a number it is a column, and --context vector:COLUMN conditions on it"
            )
        if column.fraction and not column.is_text:
            raise DataError(
                f"{self.source!r}: the label {self.label!r} holds {column.fraction!r}; labels are "
                "text or whole numbers, and --context vector:COLUMN conditions on reals"
            )
        texts = list(column.texts)
        return tuple(sorted(texts, key=float) if not column.is_text else sorted(texts))

    def _read(self, files: dict[str, TextFile]) -> tuple[Reals, Index, list[str]]:
        """Values (n, d) in float64, class numbers (n,), and the part that each line is of."""
        flat, labels, where = array.array("d"), array.array("q"), []
        at = None if self.label is None else self.names.index(self.label)
        number = {name: k for k, name in enumerate(self._classes(files))}
        splits = None if self.split is None else self.names.index(self.split)
        for part, file in files.items():
            for _, row in rows_of(self.source, file, len(self.names)):
                for i in self.numbers:
                    flat.append(value_of(row[i].strip(), self.columns[i].commas))
                labels.append(-1 if at is None else number.get(row[at].strip(), -1))
                where.append(part if splits is None else ALIASES[row[splits].strip().lower()])
        values = np.frombuffer(flat, np.float64).reshape(len(where), len(self.numbers))
        self._check_finite(values)
        return values, np.frombuffer(labels, np.int64).copy(), where

    def _check_finite(self, values: Reals) -> None:
        endless = np.isinf(values)
        if endless.any():
            i, k = (int(v) for v in np.argwhere(endless)[0])
            raise DataError(
                f"{self.source!r} holds {counted(int(endless.sum()), 'infinite value')}, the first "
                f"in column {self.names[self.numbers[k]]!r} of row {i + 1}"
            )


@within_memory
def read_columns(path: str, names: Sequence[str]) -> Reals:
    """Some columns of every row of a table (n, d), in the order of their names.

    Raises:
        DataError: The file cannot be read, or a column is missing, lacks a value or holds text.
    """
    file = opened(path, expanded(path), None)
    known = names_of(path, {"": file})
    for name in names:
        if name not in known:
            raise DataError(f"{path!r} lacks the column {name!r}; it has {listed(known)}")
    flat, places = array.array("d"), [known.index(name) for name in names]
    for line, row in rows_of(path, file, len(known)):
        for place in places:
            text = row[place].strip()
            value = number_of(text.replace(",", ".", 1) if file.delimiter in ";\t" else text)
            if value is None or not math.isfinite(value):
                raise DataError(
                    f"{path!r}: column {known[place]!r} holds {text[:40]!r} in line {line}, which "
                    "is no number"
                )
            flat.append(value)
    if not flat:
        raise DataError(f"{path!r} holds no row")
    return np.frombuffer(flat, np.float64).reshape(-1, len(names)).copy()


@within_memory
def read_texts(path: str, name: str) -> list[str] | None:
    """A column of every row of a table as text; None where there is no such column."""
    file = opened(path, expanded(path), None)
    known = names_of(path, {"": file})
    if name not in known:
        return None
    place = known.index(name)
    return [row[place].strip() for _, row in rows_of(path, file, len(known))]
