"""Which stored examples make up a split, when a source stores some splits or none."""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from phosphene.core.errors import DataError, listed
from phosphene.data.dataset import Split
from phosphene.data.limits import admit

__all__ = ["ALIASES", "divide", "divide_by_name", "locate", "named_splits", "word_within"]

Index = NDArray[np.int64]

ALIASES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
"""What the parts of a source may be called, in small letters or capitals."""

_HELD_OUT: tuple[Split, ...] = ("validation", "test")
_WORD = re.compile(
    rf"(?<![a-z])({'|'.join(sorted(ALIASES, key=len, reverse=True))})(?=set|data|im|[^a-z]|$)"
)
"""A name of a split within another name: in ``x.train``, ``train2017``, ``seg_test``."""


def named_splits(source: str, names: Iterable[str]) -> dict[str, Split]:
    """Those of some names that are splits, and which.

    A name may say more than the split, where another says the same of another split: ``x.train``
    beside ``x.test``. A class that is called ``test tube`` is not a split.

    Args:
        source: What the user typed, for the error.
        names: Of folders, files (without their endings) or arrays that stand side by side.

    Raises:
        DataError: Two names are the same split.

    Example:
        >>> named_splits("a", ["Training", "Testing", "notes"])
        {'Training': 'train', 'Testing': 'test'}
        >>> named_splits("a", ["x.train", "x.test"]), named_splits("a", ["train fare", "test tube"])
        ({'x.train': 'train', 'x.test': 'test'}, {})
    """
    names = list(names)
    found = {name: ALIASES[name.lower()] for name in names if name.lower() in ALIASES}
    if not found:
        alike: dict[str, dict[str, Split]] = {}
        for name in names:
            for word in _WORD.finditer(name.lower()):
                rest = f"{name[: word.start()]}/{name[word.end() :]}".lower()
                alike.setdefault(rest, {})[name] = ALIASES[word[1]]
        for group in alike.values():
            if "train" in group.values() and len(set(group.values())) > 1:
                found |= group
    for split in set(found.values()):
        same = [name for name, other in found.items() if other == split]
        if len(same) > 1:
            raise DataError(
                f"{source!r} holds {listed(map(repr, same))}, which would all be the {split} "
                "part; rename or join them"
            )
    return found


def word_within(name: str) -> Split | None:
    """The one split that a name speaks of, or None.

    Example:
        >>> word_within("Train_0001"), word_within("training or test"), word_within("strain")
        ('train', None, None)
    """
    said = {ALIASES[word[1]] for word in _WORD.finditer(name.lower())}
    return said.pop() if len(said) == 1 else None


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


def divide_by_name(
    names: Sequence[str], held_out: Sequence[Split] = _HELD_OUT
) -> dict[Split, Index]:
    """Hold out a tenth of the examples for each split, by a hash of their names.

    Data may grow: examples that are added have places of their own in the order of the hashes,
    whose first tenth is the test part and whose second the validation part. What was trained on
    never moves up, so that it cannot be in the test part before the data have doubled.

    Example:
        >>> names = [f"{k:03}.png" for k in range(50)]
        >>> parts, later = divide_by_name(names), divide_by_name([*names, "new.png"])
        >>> len(parts["test"]), set(later["test"]) & set(parts["train"])
        (5, set())
    """
    n = len(names)
    places = np.array([_place(name) for name in names], np.float64)
    order = np.argsort(places, kind="stable").astype(np.int64)
    size = max(1, n // 10) if n > len(held_out) else 0
    if size and "validation" not in held_out:
        # There is nothing between test and training: a place decides alone, whatever the number.
        size = min(max(1, int((places < 0.1).sum())), n - 1)
    first = sorted(held_out)  # test before validation
    cuts = [size * (k + 1) for k in range(len(first))]
    return dict(zip((*first, "train"), np.split(order, cuts), strict=True))


def _place(name: str) -> float:
    """A number in [0, 1) that a name, and nothing else, decides."""
    return int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:6], "big") / 2**48


def locate(
    source: str,
    split: Split,
    sizes: Mapping[str, int],
    limit: int | None = None,
    names: Mapping[str, Sequence[str]] | None = None,
) -> tuple[str, Index]:
    """The stored part that a split comes from, and its rows there.

    Splits that are not stored are cut from the part that trains; a source with a single part of
    any name is cut in three.

    Args:
        source: What the user typed, for the error.
        split: The split that is wanted.
        sizes: The number of examples of each stored part, by the name it is stored under.
        limit: At most this many rows, drawn at random since sources are often sorted by class.
        names: Of the examples of each part, where they have names that stay with them: these then
            decide what is held out.

    Raises:
        DataError: No part trains, there are too few examples to hold any out, or more than memory
            holds the numbers of.
    """
    parts = {part: name for name, part in named_splits(source, sizes).items()}
    if len(sizes) == 1 and "train" not in parts:
        parts = {"train": next(iter(sizes))}
    if "train" not in parts:
        raise DataError(f"{source!r} has no part called train, only {listed(sorted(sizes))}")
    missing = [name for name in _HELD_OUT if name not in parts]
    part = parts.get(split, parts["train"])
    # An array may have any number of rows of no bytes: their order is drawn before they are read.
    admit(source, 24 * sizes[part], f"the order of {sizes[part]} examples")
    index = np.arange(sizes[part])
    if split in missing or (split == "train" and missing):
        own = None if names is None else names[part]
        cut = divide(sizes[part], missing) if own is None else divide_by_name(own, missing)
        index = cut[split]
    if not len(index):
        raise DataError(f"{source!r} has {sizes[part]} examples, too few for a {split} split")
    if limit is not None and limit < len(index):
        index = index[np.random.RandomState(1).permutation(len(index))[:limit]]
    return part, index
