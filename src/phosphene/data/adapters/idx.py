"""``idx:PATH``: the files in which MNIST and its successors are distributed."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from phosphene.core.errors import DataError
from phosphene.data.adapters.arrays import from_arrays
from phosphene.data.dataset import Dataset, Split
from phosphene.data.splits import locate

__all__ = ["idx", "read_idx"]

_PREFIXES = {"train": ("train",), "test": ("t10k", "test")}


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
        DataError: A file is missing, truncated, or does not begin as IDX does.
    """
    path = Path(argument).expanduser()
    if path.is_dir():
        parts = {part: found for part in _PREFIXES if (found := _find(path, part, "images"))}
        if "train" not in parts:
            raise DataError(f"folder {argument!r} has no file train-images-idx3-ubyte[.gz]")
    elif path.is_file():
        parts = {"": path}
    else:
        raise DataError(f"{argument!r} does not exist")
    images = {part: read_idx(file) for part, file in parts.items()}
    sizes = {name: len(x) for name, x in images.items()}
    part, index = locate(argument, split, sizes, limit)
    beside = _labels_beside(parts[part])
    y = None if beside is None else read_idx(beside)
    return from_arrays(argument, split, images[part], y, index, levels)


def _find(folder: Path, part: str, what: str) -> Path | None:
    for prefix in _PREFIXES[part]:
        for file in sorted(folder.glob(f"{prefix}-{what}*")):
            if "ubyte" in file.name:
                return file
    return None


def _labels_beside(images: Path) -> Path | None:
    """The labels of a file of images, by the convention of its name."""
    name = images.name.replace("images", "labels").replace("idx3", "idx1")
    bare = name.removesuffix(".gz")
    for candidate in (name, bare, f"{bare}.gz"):
        path = images.with_name(candidate)
        if path.is_file() and path != images:
            return path
    return None


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array of one file: two zero bytes, a type, the number of sizes, sizes, then bytes.

    Raises:
        DataError: The file is damaged, or holds another type than unsigned bytes.
    """
    raw = path.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"file {str(path)!r} is a damaged or truncated gzip") from error
    start = 4 + 4 * raw[3] if len(raw) > 3 else 4
    if raw[:3] != b"\x00\x00\x08" or start == 4:
        begins = raw[:4].hex() or "nothing"
        raise DataError(
            f"file {str(path)!r} begins with {begins}; IDX files of bytes begin with 000008"
        )
    sizes = raw[4:start]
    shape = np.frombuffer(sizes, dtype=">u4", count=len(sizes) // 4).astype(int)
    body, wanted = max(len(raw) - start, 0), math.prod(shape.tolist())
    if len(sizes) < start - 4 or body != wanted:
        raise DataError(
            f"file {str(path)!r} is truncated or damaged: "
            f"its header promises {'x'.join(map(str, shape))} bytes, and it holds {body}"
        )
    return np.frombuffer(raw, dtype=np.uint8, offset=start).reshape(shape)
