"""Arrays in files, read and checked block by block: reals or codes."""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray

from phosphene.core.errors import ConfigError, DataError, counted
from phosphene.core.event import Event
from phosphene.core.moments import Moments
from phosphene.data.adapters.columns import far_from_zero, far_note
from phosphene.data.limits import BLOCK, admit

__all__ = ["LIMIT", "BrokenPromise", "Rows", "codes", "occurrence", "reals"]

Array = NDArray[Any]

LIMIT = "add ?limit=N to read fewer examples"
"""What is said where data take too much memory."""
_MOST_LEVELS = 2**24


class BrokenPromise(Exception):
    """A file holds fewer bytes than its header says, or more."""


@dataclass(frozen=True)
class Rows:
    """An array in a file, the examples first, whose rows are read a block at a time.

    Args:
        source: What the user typed.
        name: Of the array.
        shape: What the file says; that it holds as much is known when it is made.
        dtype: Of its values.
        open: Opens it where the values begin.
        columns: Whether the first axis varies fastest (Fortran's order), so that there are no rows
            to read and it is read whole.
    """

    source: str
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    open: Callable[[], AbstractContextManager[IO[bytes]]]
    columns: bool = False

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def size(self) -> int:
        """Bytes of all values."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def row(self) -> int:
        """Values in one row."""
        return math.prod(self.shape[1:])

    @property
    def held(self) -> int:
        """Bytes that reading takes at once, with what is computed to check them."""
        return self.size + 6 * self._step() if self.columns else 6 * self._step()

    def _step(self) -> int:
        return max(BLOCK, self.row * self.dtype.itemsize)

    def blocks(self) -> Iterator[tuple[int, Array]]:
        """Some rows after others, each with the number of its first."""
        step = max(1, BLOCK // max(1, self.row * self.dtype.itemsize))
        whole = self.whole() if self.columns else None
        with self.open() as file:
            for start in range(0, len(self), step):
                stop = min(len(self), start + step)
                if whole is not None:
                    yield start, whole[start:stop]
                else:
                    yield start, self._read(file, (stop - start, *self.shape[1:]))
            if whole is None:
                self._end(file)

    def whole(self) -> Array:
        """All of it; what that takes must have been admitted."""
        with self.open() as file:
            shape = self.shape[::-1] if self.columns else self.shape
            array = self._read(file, shape)
            self._end(file)
        return array.T if self.columns else array

    def _read(self, file: IO[bytes], shape: tuple[int, ...]) -> Array:
        raw = np.empty(math.prod(shape) * self.dtype.itemsize, np.uint8)
        at = 0
        while at < len(raw):  # in pieces, since some readers hold a few times what is asked for
            piece = file.read(min(BLOCK, len(raw) - at))
            if not piece:
                raise BrokenPromise("fewer")
            raw[at : at + len(piece)] = np.frombuffer(piece, np.uint8)
            at += len(piece)
        return raw.view(self.dtype).reshape(shape)

    def _end(self, file: IO[bytes]) -> None:
        """See that there is no more; archives compare their checksums there."""
        if file.read(1):
            raise BrokenPromise("more")


class _Fault:
    """Invalid values: how many, and where the first one is."""

    def __init__(self, one: str, many: str = "") -> None:
        self.one, self.many, self.count, self.first = one, many, 0, ""

    def look(self, bad: NDArray[np.bool_], start: int) -> None:
        """Count those of a block of rows."""
        found = int(np.count_nonzero(bad))
        if found and not self.count:
            self.first = occurrence(bad, start)
        self.count += found

    def refuse(self, rows: Rows) -> None:
        """Raise if there are any."""
        if self.count:
            raise DataError(
                f"{rows.source!r} holds {counted(self.count, self.one, self.many)} in {rows.name}, "
                f"{self.first}"
            )


def _admit(rows: Rows, index: NDArray[np.int64], kind: type) -> None:
    """Refuse rows of no values, and those that take too much memory as this type."""
    if rows.row < 1:
        raise DataError(f"{rows.source!r} holds {rows.name} of shape {rows.shape}: a size below 1")
    kept = len(index) * rows.row * np.dtype(kind).itemsize
    admit(rows.source, kept + rows.held + 24 * len(index), f"{rows.name} {rows.shape}", LIMIT)


def _kept(
    rows: Rows, index: NDArray[np.int64], kind: type, look: Callable[[int, Array], Array | None]
) -> torch.Tensor:
    """Some rows (k, ...) of what ``look`` makes of every block; it may give none up."""
    _admit(rows, index, kind)
    out: Array = np.empty((len(index), *rows.shape[1:]), kind)
    order = np.argsort(index)
    ordered = index[order]
    for start, block in rows.blocks():
        found = look(start, block)
        low, high = np.searchsorted(ordered, (start, start + len(block)))
        if found is not None:
            out[order[low:high]] = found[ordered[low:high] - start]
    return torch.from_numpy(out)


def reals(rows: Rows, index: NDArray[np.int64]) -> tuple[torch.Tensor, Event, list[str]]:
    """Reals of some rows, their event, and notes; in 64 bits where 32 would round them."""
    fault = _Fault("NaN or infinite value")
    _admit(rows, index, np.float32)
    far = _far(rows)
    kind = np.float64 if far else np.float32

    def look(start: int, block: Array) -> Array:
        with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is refused
            values = block.astype(kind)
        fault.look(~np.isfinite(values), start)
        return values

    kept = _kept(rows, index, kind, look)
    fault.refuse(rows)
    return kept, Event.real(*rows.shape[1:]), far_note(far, ())


def _far(rows: Rows) -> list[int]:
    """Columns of a table that float32 would round, judged by all of its rows."""
    exact = rows.dtype.kind in "fbu" and rows.dtype.itemsize < (8 if rows.dtype.kind == "f" else 4)
    if exact or len(rows.shape) > 2:
        return []
    admit(rows.source, 3 * rows.held, f"{rows.name} {rows.shape}", LIMIT)
    whole = True

    def parts() -> Iterator[Moments]:
        nonlocal whole
        for _, block in rows.blocks():
            values = block.astype(np.float64).reshape(len(block), -1)
            whole = whole and bool(np.isfinite(values).all())
            yield Moments.of(torch.from_numpy(values))

    found = Moments.merged(parts())
    return far_from_zero(found) if whole else []  # what is not finite is refused by name


def codes(rows: Rows, index: NDArray[np.int64], levels: int) -> tuple[torch.Tensor, Event, int]:
    """Codes of some rows, their event, and the highest code of all rows."""
    if levels > _MOST_LEVELS:
        raise ConfigError(f"levels must be {_MOST_LEVELS} or less, got {levels}")
    if len(rows.shape) not in (2, 3, 4):
        raise DataError(
            f"{rows.source!r} holds codes of shape {rows.shape}, not (n, c, h, w), (n, h, w), "
            "(n, d)"
        )
    split, outside = (
        _Fault("value that is not a whole code", "values that are not whole codes"),
        _Fault(f"code outside 0..{levels - 1}", f"codes outside 0..{levels - 1}"),
    )
    kind, highest = (np.uint8 if levels <= 256 else np.int64), 0

    def look(start: int, block: Array) -> Array | None:
        nonlocal highest
        if block.dtype.kind == "f":
            split.look(block != np.rint(block), start)
        if block.dtype != np.uint8 or levels < 256:
            outside.look((block < 0) | (block > levels - 1), start)
        if split.count or outside.count:
            return None
        highest = max(highest, int(block.max()))
        return block.astype(kind)

    found = _kept(rows, index, kind, look)
    split.refuse(rows)
    outside.refuse(rows)
    if found.ndim == 2:
        d = found.shape[1]
        return found, Event.binary(d) if levels == 2 else Event.tokens(d, levels), highest
    found = found[:, None] if found.ndim == 3 else found
    return found, Event("image", tuple(found.shape[1:]), levels), highest


def occurrence(bad: NDArray[np.bool_], start: int = 0) -> str:
    """Where the first of them is, if the first row has this number.

    Example:
        >>> occurrence(np.array([[False, False], [False, True]]))
        'the first at (1, 1)'
    """
    first = [int(i) for i in np.unravel_index(int(bad.argmax()), bad.shape)]
    return f"the first at ({', '.join(map(str, (first[0] + start, *first[1:])))})"
