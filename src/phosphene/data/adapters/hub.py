"""``hf:NAME``: Hugging Face data sets, by name or saved to a folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phosphene.core.errors import DataError, UnknownNameError, listed
from phosphene.core.paths import expanded
from phosphene.data.adapters.arrays import labels
from phosphene.data.adapters.images import common_channels, images_of, parse_size
from phosphene.data.adapters.optional import need
from phosphene.data.adapters.remote import saved
from phosphene.data.dataset import Dataset, Split
from phosphene.data.limits import admit, within_memory
from phosphene.data.splits import locate

__all__ = ["hub"]

_ROWS = 16
_LIMIT = "add ?limit=N to read fewer"


@within_memory
def hub(
    argument: str,
    split: Split,
    *,
    size: str = "32",
    channels: int | None = None,
    levels: int = 256,
    config: str = "",
    image: str = "",
    label: str = "",
    limit: int | None = None,
) -> Dataset:
    """Read the images and labels of a Hugging Face data set.

    Args:
        argument: A name on the hub, or a folder that ``save_to_disk`` wrote.
        split: Which part; what is not stored is a fixed tenth of the training part.
        size: Pixels, ``64`` or ``48x64`` (height first).
        channels: 1 or 3; by default what the images share.
        levels: Reduce the codes to this many gray levels; 2 makes black and white.
        config: The configuration of a data set that has several.
        image: The column of images; by default the first that holds images.
        label: The column of labels; by default the first class label, or ``label``.
        limit: Read at most this many examples of the split.

    Raises:
        DataError: The package is missing, the data set cannot be found, or holds no images.
    """
    shape = parse_size(size)
    parts = _parts(argument, config)
    sizes = {name: len(part) for name, part in parts.items()}
    where, index = locate(argument, split, sizes, limit)
    part = parts[where]
    column = _column(argument, part.features, image, "Image") or ""
    if not column:
        raise DataError(f"{argument!r} has no column of images, only {listed(part.features)}")
    tags = _column(argument, part.features, label, "ClassLabel")
    if tags is None and "label" in part.features:
        tags = "label"

    raw = need("datasets", "hub", "hf:")
    encoded = part.cast_column(column, raw.Image(decode=False)).select(index)
    files = _files(argument, encoded.select_columns([column]), column)
    names = [f"{where}[{i}]" for i in index]
    known = None if tags is None else _labels(argument, part, tags)
    wanted = common_channels(argument, files, channels)
    images = images_of(argument, files, names, shape, wanted, levels)
    y, classes = (None, ()) if known is None else (known[0][index], known[1])
    return images.dataset(argument, split, y, classes)


def _parts(argument: str, config: str) -> Mapping[str, Any]:
    datasets = need("datasets", "hub", "hf:")
    try:
        if saved(argument):
            found = datasets.load_from_disk(str(expanded(argument)))
        else:
            found = datasets.load_dataset(argument, config or None)
    except Exception as error:  # the package lets anything through, from HTTP to Arrow
        reason = (str(error) or type(error).__name__).splitlines()[0][:160]
        raise DataError(f"data set 'hf:{argument}' cannot be loaded: {reason}") from error
    return found if isinstance(found, Mapping) else {str(found.split or "train"): found}


def _column(argument: str, features: Mapping[str, Any], wanted: str, kind: str) -> str | None:
    """The column that the user named, or the first of a kind of feature."""
    if wanted:
        if wanted not in features:
            raise UnknownNameError(f"column of {argument!r}", wanted, features)
        return wanted
    return next((k for k, feature in features.items() if type(feature).__name__ == kind), None)


def _labels(argument: str, part: Any, tags: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    column, names = part[tags][:], getattr(part.features[tags], "names", None)
    if names is None:
        return labels(argument, np.asarray(column), len(part))
    return np.array([-1 if v is None else v for v in column], dtype=np.int64), tuple(names)


def _files(argument: str, encoded: Any, column: str) -> list[Path | bytes]:
    """The encoded images, as long as there is memory for them."""
    files: list[Path | bytes] = []
    held = 0
    for batch in encoded.with_format("arrow").iter(_ROWS):
        held += batch.nbytes
        admit(argument, held, f"the files of the first {len(files) + len(batch)} images", _LIMIT)
        files += [_source(row) for row in batch[column].to_pylist()]
    return files


def _source(row: Mapping[str, Any] | None) -> Path | bytes:
    """The bytes of an encoded image, or the path where they are; nothing is not an image."""
    row = row or {}
    if row.get("bytes"):
        return bytes(row["bytes"])
    return Path(row["path"]) if row.get("path") else b""
