"""From arrays of numbers to data sets: what ``npz`` and ``idx`` share."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from phosphene.core.errors import ConfigError, DataError, listed
from phosphene.core.event import Event
from phosphene.data.adapters.stored import LIMIT, Rows, codes, reals
from phosphene.data.dataset import Dataset, Split
from phosphene.data.limits import admit
from phosphene.data.splits import locate

__all__ = ["from_arrays", "images", "labels", "table_dataset"]

Array = NDArray[Any]


def from_arrays(
    source: str,
    split: Split,
    x: Rows,
    y: Rows | None,
    index: NDArray[np.int64],
    levels: int | None = None,
    *,
    vector: Rows | None = None,
    names: Rows | None = None,
) -> Dataset:
    """A data set of some rows of x (n, ...): uint8 and bool mean codes, floats mean reals.

    All of x and y is looked at, so that an error names the place in the file and the number of
    classes does not depend on the split; only the rows of the split are kept.

    Args:
        source: What the user typed.
        split: Which part.
        x: Codes (n, c, h, w), (n, h, w) or (n, d), or reals of any shape.
        y: Labels (n,); or targets (n,) or (n, k), reals.
        index: The rows that make up the split.
        levels: How many values a code may take; 256 for uint8.
        vector: Reals (n, k) that condition the examples.
        names: The names of the columns of x.

    Raises:
        ConfigError: There are fewer than 2 levels, or more than are exact in single precision.
        DataError: x holds NaN, infinite values or codes out of range, or a type without meaning,
            or takes more memory than data may.
    """
    if levels is not None and levels < 2:
        raise ConfigError(f"levels must be 2 or more, got {levels}")
    _check_channels(x)
    notes: list[str] = []
    if x.dtype.kind == "f" and levels is None:
        tensor, event, far = reals(x, index)
        notes, highest = far, None
    else:
        known = levels or {"u1": 256, "b1": 2}.get(x.dtype.str[1:])
        if known is None or x.dtype.kind not in "biuf":
            raise DataError(
                f"{source!r} holds x of type {x.dtype}; save floats or uint8 codes, "
                "or say how many levels the codes have with ?levels="
            )
        tensor, event, highest = codes(x, index, known)
    if levels is None and event.levels == 256 and highest is not None and highest <= 1:
        notes = ["every code is 0 or 1 of 256 levels; add ?levels=2 if the data is binary"]
    dataset = Dataset(
        name=source,
        split=split,
        event=event,
        x=tensor,
        columns=_named(x, names, event),
        notes=tuple(notes),
    )
    if vector is not None:
        dataset = with_vector(dataset, *_targets(vector, len(x), index))
    if y is None:
        return dataset
    if is_target(y):
        return _with_target(dataset, *_targets(y, len(x), index))
    label, classes = _labels(y, len(x))
    more = label_notes(label, classes)
    return replace(
        dataset,
        y=torch.from_numpy(label[index]),
        classes=classes,
        notes=(*dataset.notes, *more),
    )


def _check_channels(x: Rows) -> None:
    """Refuse images whose channels come last, as most readers of files give them."""
    if len(x.shape) != 4 or x.shape[1] in _CHANNELS or x.shape[3] not in _CHANNELS:
        return
    n, h, w, c = x.shape
    raise DataError(
        f"{x.source!r} holds {x.name} of shape {x.shape}, whose channels seem to come last: images "
        f"are (n, c, h, w), here ({n}, {c}, {h}, {w}); x.transpose(0, 3, 1, 2) moves them"
    )


_CHANNELS = (1, 2, 3, 4)
_NAMED = 64
"""The most columns that get names of their own."""


def _named(x: Rows, names: Rows | None, event: Event) -> tuple[str, ...]:
    """What the columns of a table are called; nothing for other data."""
    if event.kind != "real" or len(event.shape) != 1:
        return ()
    d = event.dimensions
    if names is None:
        return tuple(f"x{i}" for i in range(d)) if d <= _NAMED else ()
    if names.shape != (d,) or names.dtype.kind not in "US":
        raise DataError(
            f"{x.source!r} holds {names.dtype} of shape {names.shape} in columns, and x has {d} "
            "columns: it names each"
        )
    admit(x.source, 4 * names.size, "the names of columns", LIMIT)
    found = tuple(str(name) for name in names.whole().astype(str))
    if len(set(found)) < d:
        raise DataError(f"{x.source!r} names two columns of x alike in columns")
    return found


def is_target(y: Rows) -> bool:
    """Whether an array holds reals rather than numbers of classes."""
    if y.dtype.kind != "f" or len(y.shape) not in (1, 2):
        return False
    if y.row > 1:
        return True
    for _, block in y.blocks():
        known = block[np.isfinite(block)]
        if (known != np.rint(known)).any():
            return True
    return False


def _targets(rows: Rows, n: int, index: NDArray[np.int64]) -> tuple[torch.Tensor, tuple[str, ...]]:
    """Reals (k, d) of a split, and the names of their columns."""
    if rows.dtype.kind not in "fiub" or len(rows.shape) not in (1, 2) or len(rows) != n:
        raise DataError(
            f"{rows.source!r} holds {n} examples in x and {rows.dtype} of shape {rows.shape} in "
            f"{rows.name}, not reals (n, k)"
        )
    values, event, _ = reals(rows, index)
    d = event.dimensions
    names = (rows.name,) if d == 1 else tuple(f"{rows.name}{i}" for i in range(d))
    return values.reshape(len(index), d), names


def with_vector(dataset: Dataset, values: torch.Tensor, names: tuple[str, ...]) -> Dataset:
    """The data set with reals that condition its examples."""
    return replace(dataset, vector=values, vector_columns=names)


def _with_target(dataset: Dataset, values: torch.Tensor, names: tuple[str, ...]) -> Dataset:
    """The data set with its targets: columns of a table, or a vector beside other examples."""
    if dataset.columns:
        note = (
            f"y holds reals: they are the column{'s' if len(names) > 1 else ''} {', '.join(names)} "
            f"of the table; --context vector:x models p(y | x)"
        )
        dtype = torch.promote_types(dataset.x.dtype, values.dtype)
        return replace(
            dataset,
            event=Event.real(len(dataset.columns) + len(names)),
            x=torch.cat((dataset.x.to(dtype), values.to(dtype)), 1),
            columns=(*dataset.columns, *names),
            notes=(*dataset.notes, note),
        )
    if dataset.vector is not None:
        raise DataError(f"{dataset.name!r} holds reals both in y and in vector")
    return with_vector(dataset, values, names)


def label_notes(label: NDArray[np.int64], classes: tuple[str, ...]) -> list[str]:
    """What should be said of labels that may not mean what they seem to."""
    found = set(np.unique(label).tolist())
    if found == {-1, 1}:
        return ["labels are -1 and 1, and -1 means unknown: save the two classes as 0 and 1"]
    unknown = int((label < 0).sum())
    if unknown:
        return [f"{unknown:,} of {len(label):,} labels are -1, unknown"]
    return []


def table_dataset(
    source: str, split: Split, columns: dict[str, Rows], limit: int | None
) -> Dataset:
    """A data set whose columns are arrays (n,) by name; one of text is the label."""
    texts = [name for name, rows in columns.items() if rows.dtype.kind in "US"]
    values = [name for name, rows in columns.items() if rows.dtype.kind in "fiub"]
    if not values or len(texts) > 1 or len(texts) + len(values) < len(columns):
        raise DataError(
            f"{source!r} has no array 'x', and its arrays are no table of numbers with one column "
            f"of text at most: {listed([f'{k} ({v.dtype})' for k, v in columns.items()])}"
        )
    n = len(next(iter(columns.values())))
    _, index = locate(source, split, {"": n}, limit)
    parts = [_targets(columns[name], n, index)[0] for name in values]
    dtype = torch.float64 if any(p.dtype == torch.float64 for p in parts) else torch.float32
    x = torch.cat([part.to(dtype) for part in parts], 1)
    label, classes = _labels(columns[texts[0]], n) if texts else (None, ())
    return Dataset(
        name=source,
        split=split,
        event=Event.real(len(values)),
        x=x,
        y=None if label is None else torch.from_numpy(label[index]),
        classes=classes,
        columns=tuple(values),
    )


def images(
    rows: Rows, n: int, index: NDArray[np.int64], levels: int | None
) -> tuple[torch.Tensor, Event]:
    """Codes and event of the images that condition some of n examples.

    Raises:
        DataError: They are not n images of codes.
    """
    if len(rows.shape) not in (3, 4) or len(rows) != n:
        raise DataError(
            f"{rows.source!r} holds {n} examples in x and an array of shape {rows.shape} in "
            "image, not one (c, h, w) or (h, w) for each"
        )
    known = levels or {"u1": 256, "b1": 2}.get(rows.dtype.str[1:])
    if known is None or rows.dtype.kind not in "biuf":
        raise DataError(f"{rows.source!r} holds image of type {rows.dtype}; save uint8 codes")
    if known < 2:
        raise ConfigError(f"image_levels must be 2 or more, got {known}")
    found, event, _ = codes(rows, index, known)
    return found, event


def _labels(y: Rows, n: int) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Labels of a file, whose shape is looked at before they are read."""
    if y.shape not in ((n,), (n, 1)):
        raise DataError(f"{y.source!r} holds {n} examples in x and labels of shape {y.shape} in y")
    # Strings are sorted, and those of bytes become characters of four; numbers are rounded.
    copies = {"U": 4, "S": 13}.get(y.dtype.kind, 1)
    admit(y.source, copies * y.size + 96 * n, f"y of type {y.dtype}", _LABELS)
    return labels(y.source, y.whole(), n)


_LABELS = "save labels as whole numbers"


def labels(source: str, y: Array, n: int) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Class numbers (n,) and class names from labels: whole numbers (-1 unknown) or strings.

    Example:
        >>> labels("npz:a.npz", np.array(["b", "a"]), 2)
        (array([1, 0]), ('a', 'b'))
    """
    y = y.reshape(-1) if y.ndim == 2 and y.shape[1] == 1 else y
    if y.shape != (n,):
        raise DataError(f"{source!r} holds {n} examples in x and labels of shape {y.shape} in y")
    if y.dtype.kind in "US":
        found, number = np.unique(y.astype(str), return_inverse=True)
        return number.astype(np.int64), tuple(str(name) for name in found)
    if y.dtype.kind not in "biuf" or not (y == np.rint(y.astype(np.float64))).all():
        raise DataError(f"{source!r} holds labels y of type {y.dtype} that are not whole numbers")
    number = y.astype(np.int64)
    if number.min() < -1 or number.max() > 65535:
        raise DataError(
            f"{source!r} holds labels y from {number.min()} to {number.max()}; "
            "classes are numbered from 0 to at most 65535 (-1 for unknown)"
        )
    return number, tuple(str(i) for i in range(int(number.max()) + 1))
