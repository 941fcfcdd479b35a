"""``npz:PATH``: arrays ``x`` and ``y`` of a NumPy file."""

import io
import math
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as numpy_format

from phosphene.core.errors import DataError, PhospheneError, listed
from phosphene.core.paths import expanded
from phosphene.data.adapters.arrays import from_arrays, images, table_dataset
from phosphene.data.adapters.keys import roles
from phosphene.data.adapters.stored import BrokenPromise, Rows
from phosphene.data.dataset import Dataset, Split
from phosphene.data.limits import admit, regular, within_memory
from phosphene.data.splits import locate

__all__ = ["npz"]

_DAMAGE = (
    *(OSError, ValueError, EOFError, NotImplementedError, RuntimeError),  # the last if encrypted
    *(BrokenPromise, zipfile.BadZipFile, zlib.error),
)
_LONGEST_HEADER = 10_000  # as NumPy has it
_MOST_AXES = 32


@within_memory
def npz(
    argument: str,
    split: Split,
    *,
    levels: int | None = None,
    limit: int | None = None,
    image_levels: int | None = None,
) -> Dataset:
    """Read ``x`` (uint8 codes or reals, the examples first), and ``y``, ``vector`` and ``image``.

    Images are (n, c, h, w), or (n, h, w) where there is one channel. ``x_train``, ``y_train``,
    ``x_test`` and so on are splits; without them a fixed tenth is held out for each. ``y`` holds
    labels: whole numbers, -1 for unknown, or text; reals are targets, which are columns of a table
    like those of ``x``. ``vector`` holds reals (n, k), and ``image`` an image of codes, for each
    example, which condition it. ``columns`` names the columns of ``x``. An archive without ``x``
    that holds vectors of one length is a table of these. Arrays of other names are not read, and of
    these only the rows of the split are held.

    Args:
        argument: The file.
        split: Which part.
        levels: How many values a code may take; 256 for uint8 unless said.
        limit: Read at most this many examples of the split.
        image_levels: How many values a code of ``image`` may take; 256 for uint8 unless said.

    Raises:
        DataError: The file cannot be read, has no x, or x holds NaN or infinite values, or the
            examples take more memory than data may.
    """
    path = expanded(argument)
    if not path.exists():
        raise DataError(f"file {argument!r} does not exist")
    regular(path)
    if not os.access(path, os.R_OK):
        raise DataError(f"file {argument!r} may not be read by this user")
    with _Guarded(path, argument) as file:
        stored = _archive(argument, file)
        return _read(argument, split, stored, levels, limit, image_levels)


def _read(
    argument: str,
    split: Split,
    stored: zipfile.ZipFile,
    levels: int | None,
    limit: int | None,
    image_levels: int | None,
) -> Dataset:
    members = {info.filename.removesuffix(".npy"): info for info in stored.infolist()}
    keys = roles(argument, members)
    parts = {part: own["x"] for part, own in keys.items()}
    if not parts and (table := _table(argument, stored, members)) is not None:
        return table_dataset(argument, split, table, limit)
    if not parts:
        raise DataError(f"{argument!r} has no array 'x'; it holds {listed(sorted(members))}")
    rows = {key: _rows(argument, stored, members[key], key) for key in parts.values()}
    flat = [key for key, x in rows.items() if not x.shape]
    if flat:
        raise DataError(f"{argument!r} holds a single number as {flat[0]!r}, not examples")
    sizes = {name: len(rows[key]) for name, key in parts.items()}
    part, index = locate(argument, split, sizes, limit)
    given = {
        name: _rows(argument, stored, members[key], name)
        for name, key in keys[part].items()
        if name != "x"
    }
    x = replace(rows[parts[part]], name="x")
    names = _rows(argument, stored, members["columns"], "columns") if "columns" in members else None
    dataset = from_arrays(
        argument, split, x, given.get("y"), index, levels,
        vector=given.get("vector"), names=names,
    )  # fmt: skip
    if "image" not in given:
        return dataset
    codes, event = images(given["image"], len(x), index, image_levels)
    return replace(dataset, image=codes, image_event=event)


def _table(
    argument: str, stored: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]
) -> dict[str, Rows] | None:
    """The arrays of an archive that are columns of one table; None where they are not."""
    found = {key: _rows(argument, stored, info, key) for key, info in members.items()}
    alike = {rows.shape for rows in found.values()}
    return found if len(alike) == 1 and len(alike.pop()) == 1 else None


class _Guarded(io.FileIO):
    """A zip file whose directory is read only if there is memory for its entries."""

    def __init__(self, path: Path, source: str) -> None:
        super().__init__(path)
        self.source, self.guards = source, True

    def read(self, size: int | None = -1, /) -> bytes:
        """What is asked for; each entry of a directory is at least 46 bytes, and becomes 700."""
        if self.guards:
            admit(self.source, 16 * (size or 0), "the directory of its arrays")
        return super().read(size) or b""


@contextmanager
def _reading(argument: str) -> Iterator[None]:
    """Turn what zipfile and zlib raise on damage into one sentence."""
    try:
        yield
    except PhospheneError:
        raise
    except _DAMAGE as error:
        raise DataError(f"{argument!r} cannot be read: the npz is damaged or truncated") from error


def _archive(argument: str, file: _Guarded) -> zipfile.ZipFile:
    with _reading(argument):
        magic = file.read(6)
        if magic == numpy_format.MAGIC_PREFIX:
            raise DataError(f"{argument!r} is a single array; save it with np.savez(path, x=x)")
        stored = zipfile.ZipFile(file)
    file.guards = False
    return stored


def _rows(argument: str, stored: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> Rows:
    """An array of the archive, of which the header is read and compared with the directory."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(
            f"{argument!r} cannot be read: the npz is compressed as np.savez_compressed does not"
        )
    with _reading(argument), stored.open(member) as file:
        shape, columns, dtype = _header(file)
        begins = file.tell()
    if dtype.hasobject:
        raise DataError(f"{argument!r} cannot be read: the npz holds objects, which are not loaded")
    promised, holds = math.prod(shape) * dtype.itemsize, member.file_size - begins
    if promised != holds:
        raise DataError(
            f"{argument!r} cannot be read: the npz is damaged or truncated, since the header of "
            f"{name!r} promises {promised} bytes and there are {holds}"
        )

    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with _reading(argument), stored.open(member) as file:
            file.read(begins)
            yield file

    return Rows(argument, name, shape, dtype, opened, columns and len(shape) > 1)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether the first axis varies fastest, and type: of a header of no more than 10 kB."""
    version = numpy_format.read_magic(file)
    width = 2 if version == (1, 0) else 4
    length = file.read(width)
    if int.from_bytes(length, "little") > _LONGEST_HEADER or version not in ((1, 0), (2, 0)):
        raise ValueError(f"a header of version {version}")
    rest = io.BytesIO(length + file.read(int.from_bytes(length, "little")))
    read = numpy_format.read_array_header_1_0 if width == 2 else numpy_format.read_array_header_2_0
    try:
        shape, columns, dtype = read(rest)
    except Exception as error:  # it is parsed as Python, which may go wrong in many ways
        raise ValueError("a header that means nothing") from error
    if len(shape) > _MOST_AXES or any(n < 0 for n in shape) or dtype.itemsize < 1:
        raise ValueError(f"a header of shape {shape} and type {dtype}")
    return shape, columns, dtype
