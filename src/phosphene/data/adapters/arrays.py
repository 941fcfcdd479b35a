"""From arrays of numbers to data sets: what ``npz`` and ``idx`` share."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from phosphene.core.errors import ConfigError, DataError
from phosphene.core.event import Event
from phosphene.data.dataset import Dataset, Split

__all__ = ["from_arrays", "images", "labels", "occurrence"]

Array = NDArray[Any]


def from_arrays(
    source: str,
    split: Split,
    x: Array,
    y: Array | None,
    index: NDArray[np.int64],
    levels: int | None = None,
) -> Dataset:
    """A data set of some rows of x (n, ...): uint8 and bool mean codes, floats mean reals.

    All of x and y is looked at, so that an error names the place in the file and the number of
    classes does not depend on the split.

    Args:
        source: What the user typed.
        split: Which part.
        x: Codes (n, c, h, w), (n, h, w) or (n, d), or reals of any shape.
        y: Labels (n,).
        index: The rows that make up the split.
        levels: How many values a code may take; 256 for uint8.

    Raises:
        ConfigError: There are fewer than 2 levels.
        DataError: x holds NaN, infinite values or codes out of range, or a type without meaning.
    """
    if levels is not None and levels < 2:
        raise ConfigError(f"levels must be 2 or more, got {levels}")
    notes: tuple[str, ...] = ()
    if x.dtype.kind == "f" and levels is None:
        with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is refused
            values = x.astype(np.float32)
        _refuse_where(source, ~np.isfinite(values), "NaN or infinite values")
        event = Event.real(*x.shape[1:])
        tensor = torch.from_numpy(values)
    else:
        known = levels or {"u1": 256, "b1": 2}.get(x.dtype.str[1:])
        if known is None:
            raise DataError(
                f"{source!r} holds x of type {x.dtype}; save floats or uint8 codes, "
                "or say how many levels the codes have with ?levels="
            )
        tensor, event = _codes(source, x, known)
        if levels is None and known == 256 and int(tensor.max()) <= 1:
            notes = ("every code is 0 or 1 of 256 levels; add ?levels=2 if the data is binary",)
    label, classes = labels(source, y, len(x)) if y is not None else (None, ())
    return Dataset(
        name=source,
        split=split,
        event=event,
        x=tensor[index],
        y=None if label is None else torch.from_numpy(label[index]),
        classes=classes,
        notes=notes,
    )


def _codes(source: str, x: Array, levels: int, name: str = "x") -> tuple[torch.Tensor, Event]:
    if x.dtype.kind == "f":
        _refuse_where(source, x != np.rint(x), "values that are not whole codes", name)
    if x.dtype != np.uint8 or levels < 256:
        _refuse_where(source, (x < 0) | (x > levels - 1), f"codes outside 0..{levels - 1}", name)
    codes = torch.from_numpy(x.astype(np.uint8 if levels <= 256 else np.int64))
    if codes.ndim == 3:
        codes = codes[:, None]
    if codes.ndim == 4:
        return codes, Event("image", tuple(codes.shape[1:]), levels)
    if codes.ndim == 2:
        d = codes.shape[1]
        return codes, Event.binary(d) if levels == 2 else Event.tokens(d, levels)
    shape = tuple(x.shape)
    raise DataError(f"{source!r} holds codes of shape {shape}, not (n, c, h, w), (n, h, w), (n, d)")


def images(source: str, array: Array, n: int, levels: int | None) -> tuple[torch.Tensor, Event]:
    """Codes and event of the images that condition n examples.

    Raises:
        DataError: They are not n images of codes.
    """
    if array.ndim not in (3, 4) or len(array) != n:
        raise DataError(
            f"{source!r} holds {n} examples in x and an array of shape {tuple(array.shape)} in "
            "image, not one (c, h, w) or (h, w) for each"
        )
    known = levels or {"u1": 256, "b1": 2}.get(array.dtype.str[1:])
    if known is None:
        raise DataError(f"{source!r} holds image of type {array.dtype}; save uint8 codes")
    if known < 2:
        raise ConfigError(f"image_levels must be 2 or more, got {known}")
    return _codes(source, array, known, "image")


def occurrence(bad: NDArray[np.bool_]) -> str:
    """Where the first of them is.

    Example:
        >>> occurrence(np.array([[False, False], [False, True]]))
        'the first at (1, 1)'
    """
    first = np.unravel_index(int(bad.argmax()), bad.shape)
    return f"the first at ({', '.join(str(int(i)) for i in first)})"


def _refuse_where(source: str, bad: NDArray[np.bool_], what: str, name: str = "x") -> None:
    if bad.any():
        raise DataError(f"{source!r} holds {int(bad.sum())} {what} in {name}, {occurrence(bad)}")


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
