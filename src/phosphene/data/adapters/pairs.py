"""Pairs of images in a folder: ``images/`` and the ``conditions/`` of the same names."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray

from phosphene.core.errors import DataError, listed
from phosphene.core.event import Event
from phosphene.data.adapters.files import Named, classes_of, in_parts
from phosphene.data.adapters.images import Images, common_channels, images_of
from phosphene.data.dataset import Dataset, Split
from phosphene.data.splits import locate

__all__ = ["CONDITIONS", "IMAGES", "Side", "load_pairs", "match", "pairs_of"]

IMAGES, CONDITIONS = "images", "conditions"
_SIDES = {"images": 0, "image": 0, "conditions": 1, "condition": 1}
_NEITHER = 2


@dataclass(frozen=True)
class Side:
    """How the images of one side of the pairs are read.

    Args:
        size: Height and width.
        channels: 1 or 3; None for what the files share.
        levels: How many values a code may take.
    """

    size: tuple[int, int]
    channels: int | None
    levels: int


Sorted = dict[str, tuple[list[Named], list[Named]]]
"""Images and conditions of each part."""


def pairs_of(source: str, names: Sequence[str]) -> tuple[Sorted | None, tuple[str, ...]]:
    """Images and conditions by part, where folders on the ways of files are called so.

    Args:
        source: What the user typed, for the error.
        names: Of all image files, relative to the folder.

    Returns:
        The pairs, or None where there are not both; and notes.

    Raises:
        DataError: Some parts hold pairs and some do not.
    """
    sides: list[int] = []
    inner = []
    for name in names:
        way = name.split("/")
        at = next((k for k, w in enumerate(way[:-1]) if w.lower() in _SIDES), None)
        sides.append(_NEITHER if at is None else _SIDES[way[at].lower()])
        inner.append(name if at is None else "/".join(way[:at] + way[at + 1 :]))
    if not {0, 1} <= set(sides):
        return None, ()
    # The images' ways and the conditions' are the same, and the splits lie on them.
    parts, notes = in_parts(source, sorted(set(inner)))
    of = {file.path: (part, file.name) for part, found in parts.items() for file in found}
    paired: Sorted = {}
    alone = []
    for name, side, short in zip(names, sides, inner, strict=True):
        part, rest = of.get(short, ("", ""))
        if rest:
            both = paired.setdefault(part, ([], []))
            if side != _NEITHER:
                both[side].append(Named(name, rest))
        if side == _NEITHER or not rest:
            alone.append(name)
    for part, both in paired.items():
        if not all(both):
            raise DataError(
                f"{source!r}: {part!r} must hold {IMAGES}/ and {CONDITIONS}/ as other parts do"
            )
    beside = f"left out {len(alone)} images beside the pairs: {listed(alone, 10)}"
    return paired, (beside,) if alone else notes


def match(
    source: str, images: Sequence[Named], conditions: Sequence[Named]
) -> tuple[list[tuple[Named, Named]], tuple[str, ...]]:
    """Pairs of files whose names are the same but for their endings, and a note about the rest.

    Raises:
        DataError: There is no pair.

    Example:
        >>> images = [Named(f"images/{k}.png", f"{k}.png") for k in (1, 2)]
        >>> both, notes = match("a", images, [Named("conditions/1.jpg", "1.jpg")])
        >>> [(a.path, b.path) for a, b in both]
        [('images/1.png', 'conditions/1.jpg')]
        >>> notes
        ('left out 1 files that have no pair: images/2.png',)
    """
    left, right = ({_bare(file.name): file for file in side} for side in (images, conditions))
    both = [(left[key], right[key]) for key in sorted(left.keys() & right.keys())]
    if not both:
        raise DataError(
            f"{source!r} holds {len(left)} {IMAGES} and {len(right)} {CONDITIONS}, "
            "none of the same name"
        )
    alone = [left[key].path for key in sorted(left.keys() - right.keys())]
    alone += [right[key].path for key in sorted(right.keys() - left.keys())]
    note = f"left out {len(alone)} files that have no pair: {listed(alone, 10)}"
    return both, (note,) if alone else ()


def _bare(name: str) -> str:
    return PurePosixPath(name).with_suffix("").as_posix()


def load_pairs(
    source: str,
    split: Split,
    root: Path,
    parts: Sorted,
    sides: tuple[Side, Side],
    limit: int | None,
) -> Dataset:
    """One split of pairs; those that cannot be read on either side are skipped and named.

    Args:
        source: What the user typed.
        split: Which part.
        root: The folder.
        parts: Images and conditions of each part.
        sides: How images and conditions are read.
        limit: At most this many pairs.
    """
    matched = {part: match(source, *both) for part, both in parts.items()}
    every = [pair for pairs, _ in matched.values() for pair in pairs]
    classes, numbers = classes_of([image.name for image, _ in every])
    number = {image.path: k for (image, _), k in zip(every, numbers, strict=True)}
    sizes = {part: len(pairs) for part, (pairs, _) in matched.items()}
    called = {part: [_bare(a.name) for a, _ in pairs] for part, (pairs, _) in matched.items()}
    part, index = locate(source, split, sizes, limit, called)
    read = []
    for k, (name, side) in enumerate(zip((IMAGES, CONDITIONS), sides, strict=True)):
        # All parts decide together whether the images are gray, so that their events agree.
        files = [root / pair[k].path for pair in every]
        channels = common_channels(f"{source}/{name}", files, side.channels)
        names = [matched[part][0][i][k].path for i in index]
        files = [root / n for n in names]
        read.append(images_of(source, files, names, side.size, channels, side.levels))
    y = np.array([number[matched[part][0][i][0].path] for i in index], np.int64)
    whole = _joined(source, split, read[0], read[1], y, classes)
    return replace(whole, notes=(*matched[part][1], *whole.notes))


def _joined(
    source: str,
    split: Split,
    images: Images,
    conditions: Images,
    y: NDArray[np.int64],
    classes: tuple[str, ...],
) -> Dataset:
    """Those pairs that could be read on both sides."""
    kept, left, right = np.intersect1d(images.kept, conditions.kept, return_indices=True)
    if not len(kept):
        raise DataError(f"none of the pairs of {source!r} can be read on both sides")
    whole = images.dataset(source, split, y if classes else None, classes)
    return replace(
        whole.subset(torch.from_numpy(left)),
        image=conditions.x[torch.from_numpy(right)],
        image_event=Event("image", tuple(conditions.x.shape[1:]), conditions.levels),
        notes=(*images.notes, *conditions.notes),
    )
