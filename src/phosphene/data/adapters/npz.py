"""``npz:PATH``: arrays ``x`` and ``y`` of a NumPy file."""

import os
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phosphene.core.errors import DataError, listed
from phosphene.data.adapters.arrays import from_arrays, images
from phosphene.data.dataset import Dataset, Split
from phosphene.data.splits import ALIASES, locate

__all__ = ["npz"]

Array = NDArray[Any]

_DAMAGE = (OSError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error)


def npz(
    argument: str,
    split: Split,
    *,
    levels: int | None = None,
    limit: int | None = None,
    image_levels: int | None = None,
) -> Dataset:
    """Read ``x`` (uint8 codes or reals, the examples first), optional labels ``y`` and ``image``.

    Images are (n, c, h, w), or (n, h, w) where there is one channel. ``x_train``, ``y_train``,
    ``x_test`` and so on are splits; without them a fixed tenth is held out for each. ``image``
    (``image_train`` ...) holds an image of codes for each example, which conditions it.

    Args:
        argument: The file.
        split: Which part.
        levels: How many values a code may take; 256 for uint8 unless said.
        limit: Read at most this many examples of the split.
        image_levels: How many values a code of ``image`` may take; 256 for uint8 unless said.

    Raises:
        DataError: The file cannot be read, has no x, or x holds NaN or infinite values.
    """
    arrays = _read(argument)
    parts = {key.removeprefix("x_"): key for key in arrays if key.removeprefix("x_") in ALIASES}
    if "x" in arrays:
        parts = {"": "x"}
    if not parts:
        raise DataError(f"{argument!r} has no array 'x'; it holds {listed(sorted(arrays))}")
    flat = [key for key in parts.values() if arrays[key].ndim == 0]
    if flat:
        raise DataError(f"{argument!r} holds a single number as {flat[0]!r}, not examples")
    sizes = {name: len(arrays[key]) for name, key in parts.items()}
    part, index = locate(argument, split, sizes, limit)
    key = parts[part]
    x, given = arrays[key], arrays.get("image" + key[1:])
    dataset = from_arrays(argument, split, x, arrays.get("y" + key[1:]), index, levels)
    if given is None:
        return dataset
    codes, event = images(argument, given, len(x), image_levels)
    return replace(dataset, image=codes[index], image_event=event)


def _read(argument: str) -> dict[str, Array]:
    path = Path(argument).expanduser()
    if not path.is_file():
        raise DataError(f"file {argument!r} does not exist")
    if not os.access(path, os.R_OK):
        raise DataError(f"file {argument!r} may not be read by this user")
    try:
        file = np.load(path, allow_pickle=False)
        if not isinstance(file, np.ndarray):
            with file:
                return {key: file[key] for key in file.files}
    except _DAMAGE as error:
        objects = "Object arrays" in str(error)
        why = "holds objects, which are not loaded" if objects else "is damaged or truncated"
        raise DataError(f"{argument!r} cannot be read: the npz {why}") from error
    raise DataError(f"{argument!r} is a single array; save it with np.savez(path, x=x)")
