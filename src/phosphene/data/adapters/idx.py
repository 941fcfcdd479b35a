"""``idx:PATH``: the files in which MNIST and its successors are distributed."""

import gzip
import math
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import numpy as np

from phosphene.core.errors import DataError
from phosphene.core.paths import expanded
from phosphene.data.adapters.arrays import from_arrays
from phosphene.data.adapters.stored import BrokenPromise, Rows
from phosphene.data.dataset import Dataset, Split
from phosphene.data.limits import regular, within_memory
from phosphene.data.splits import locate

__all__ = ["idx", "idx_rows"]

_PREFIXES = {"train": ("train",), "test": ("t10k", "test")}


@within_memory
def idx(
    argument: str, split: Split, *, levels: int | None = None, limit: int | None = None
) -> Dataset:
    """Read IDX files of unsigned bytes, gzipped or not.

    Args:
        argument: A folder with ``train-images-idx3-ubyte`` and, where they exist, its labels and
            the ``t10k`` files; or one file of images, whose labels are found by its name.
        split: Which part; what is not stored is a fixed tenth of the training images.
        levels: How many values a code may take; 256 unless said.
        limit: Read at most this many examples of the split.

    Raises:
        DataError: A file is missing, truncated, or does not begin as IDX does, or the examples
            take more memory than data may.
    """
    path = expanded(argument)
    if path.is_dir():
        parts = {part: found for part in _PREFIXES if (found := _find(path, part, "images"))}
        if "train" not in parts:
            raise DataError(f"folder {argument!r} has no file train-images-idx3-ubyte[.gz]")
    elif path.exists():
        parts = {"": path}
    else:
        raise DataError(f"{argument!r} does not exist")
    images = {part: idx_rows(argument, "x", file) for part, file in parts.items()}
    sizes = {name: len(x) for name, x in images.items()}
    part, index = locate(argument, split, sizes, limit)
    beside = _labels_beside(parts[part]) or (_find(path, part, "labels") if path.is_dir() else None)
    y = None if beside is None else idx_rows(argument, "y", beside)
    return from_arrays(argument, split, images[part], y, index, levels)


def _find(folder: Path, part: str, what: str) -> Path | None:
    """The file of a part, in small letters or capitals: in the folder, or in one of its name."""
    for prefix in _PREFIXES[part]:
        named = re.compile(rf"(?:.*[^a-z])?{prefix}[-_.]?{what}.*ubyte(?:\.gz)?", re.IGNORECASE)
        found = [p for p in sorted(folder.iterdir()) if named.fullmatch(p.name)]
        inside = [p for place in found if place.is_dir() for p in sorted(place.iterdir())]
        for path in (*found, *inside):
            if named.fullmatch(path.name) and not path.is_dir():
                return path
    return None


def _labels_beside(images: Path) -> Path | None:
    """The labels of a file of images, by the convention of its name."""
    name = re.sub("images", "labels", images.name, flags=re.IGNORECASE)
    name = re.sub("idx3", "idx1", name, flags=re.IGNORECASE)
    bare = name.removesuffix(".gz")
    for candidate in (name, bare, f"{bare}.gz"):
        path = images.with_name(candidate)
        if path.is_file() and path != images:
            return path
    return None


def idx_rows(source: str, name: str, path: Path) -> Rows:
    """The array of one file: two zero bytes, a type, the number of sizes, sizes, then bytes.

    The header is read, and the size of a file that is not compressed compared with it; what a
    compressed one holds is known when it has been read, of which no more than promised is.

    Raises:
        DataError: The file is damaged, or holds another type than unsigned bytes.
    """
    size = regular(path)
    with _opened(path) as file:
        packed = isinstance(file, gzip.GzipFile)
        head = file.read(4)
        start = 4 + 4 * head[3] if len(head) > 3 else 4
        if head[:3] != b"\x00\x00\x08" or start == 4:
            begins = head.hex() or "nothing"
            raise DataError(
                f"file {str(path)!r} begins with {begins}; IDX files of bytes begin with 000008"
            )
        sizes = file.read(start - 4)
    shape = tuple(np.frombuffer(sizes, dtype=">u4", count=len(sizes) // 4).tolist())
    if len(sizes) < start - 4 or not (packed or size - start == math.prod(shape)):
        raise _other(path, shape, f"{max(size - start, 0)}")

    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with _opened(path) as file:
            file.read(start)
            try:
                yield file
            except BrokenPromise as error:
                raise _other(path, shape, str(error)) from None

    return Rows(source, name, shape, np.dtype(np.uint8), opened)


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """The file, decompressed as it is read if it is compressed."""
    with path.open("rb") as file:
        if file.peek(2)[:2] != b"\x1f\x8b":
            yield file
            return
        try:
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield cast(IO[bytes], unpacked)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"file {str(path)!r} is a damaged or truncated gzip") from error


def _other(path: Path, shape: tuple[int, ...], holds: str) -> DataError:
    return DataError(
        f"file {str(path)!r} is truncated or damaged: "
        f"its header promises {'x'.join(map(str, shape))} bytes, and it holds {holds}"
    )
