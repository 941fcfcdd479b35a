"""Which stored examples make up a split, when a source stores some splits or none."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from phosphene.core.errors import DataError, listed
from phosphene.data.dataset import Split
from phosphene.data.limits import admit

__all__ = ["ALIASES", "divide", "locate"]

Index = NDArray[np.int64]

ALIASES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "test": "test",
}
"""What the parts of a source may be called."""

_HELD_OUT: tuple[Split, ...] = ("validation", "test")


def divide(n: int, held_out: Sequence[Split] = _HELD_OUT) -> dict[Split, Index]:
    """Cut a fixed random order of n examples: a tenth for each held-out split, train the rest.

    Example:
        >>> {split: len(index) for split, index in divide(50).items()}
        {'train': 40, 'validation': 5, 'test': 5}
    """
    order = np.random.RandomState(0).permutation(n).astype(np.int64)  # its stream is frozen
    size = max(1, n // 10) if n > len(held_out) else 0
    cuts = [n - size * (len(held_out) - i) for i in range(len(held_out))]
    return dict(zip(("train", *held_out), np.split(order, cuts), strict=True))


def locate(
    source: str, split: Split, sizes: Mapping[str, int], limit: int | None = None
) -> tuple[str, Index]:
    """The stored part that a split comes from, and its rows there.

    Splits that are not stored are cut from the part that trains; a source with a single part of
    any name is cut in three.

    Args:
        source: What the user typed, for the error.
        split: The split that is wanted.
        sizes: The number of examples of each stored part, by the name it is stored under.
        limit: At most so many rows, drawn at random since sources are often sorted by class.

    Raises:
        DataError: No part trains, there are too few examples to hold any out, or more than memory
            holds the numbers of.
    """
    parts = {ALIASES[name]: name for name in sizes if name in ALIASES}
    if len(sizes) == 1 and "train" not in parts:
        parts = {"train": next(iter(sizes))}
    if "train" not in parts:
        raise DataError(f"{source!r} has no part called train, only {listed(sorted(sizes))}")
    missing = [name for name in _HELD_OUT if name not in parts]
    part = parts.get(split, parts["train"])
    # An array may have any number of rows of no bytes: their order is drawn before they are read.
    admit(source, 24 * sizes[part], f"the order of {sizes[part]} examples")
    cut = split in missing or (split == "train" and missing)
    index = divide(sizes[part], missing)[split] if cut else np.arange(sizes[part])
    if not len(index):
        raise DataError(f"{source!r} has {sizes[part]} examples, too few for a {split} split")
    if limit is not None and limit < len(index):
        index = index[np.random.RandomState(1).permutation(len(index))[:limit]]
    return part, index
