"""Pairs of images in a folder: ``images/`` and the ``conditions/`` of the same names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from phosphene.core.errors import DataError, listed
from phosphene.core.event import Event
from phosphene.data.adapters.images import Images, common_channels, images_of
from phosphene.data.dataset import Dataset, Split
from phosphene.data.splits import locate

__all__ = ["CONDITIONS", "IMAGES", "Side", "are_pairs", "load_pairs", "match"]

IMAGES, CONDITIONS = "images", "conditions"


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


def are_pairs(root: Path, parts: Sequence[str]) -> bool:
    """Whether the parts of a folder hold pairs.

    Raises:
        DataError: Some parts do and some do not.
    """
    paired = [all((root / part / name).is_dir() for name in (IMAGES, CONDITIONS)) for part in parts]
    if any(paired) and not all(paired):
        place = root / parts[paired.index(False)]
        raise DataError(f"{str(place)!r} must hold {IMAGES}/ and {CONDITIONS}/ as other parts do")
    return any(paired)


def match(
    source: str, images: Sequence[str], conditions: Sequence[str]
) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
    """Pairs of files whose names are the same but for their endings, and a note about the rest.

    Raises:
        DataError: There is no pair.

    Example:
        >>> match("a", ["x/1.png", "x/2.png"], ["x/1.jpg"])
        ([('x/1.png', 'x/1.jpg')], ('left out 1 files that have no pair: images/x/2.png',))
    """
    left = {Path(name).with_suffix("").as_posix(): name for name in images}
    right = {Path(name).with_suffix("").as_posix(): name for name in conditions}
    both = [(left[key], right[key]) for key in sorted(left.keys() & right.keys())]
    if not both:
        raise DataError(
            f"{source!r} holds {len(left)} {IMAGES} and {len(right)} {CONDITIONS}, "
            "none of the same name"
        )
    alone = [f"{IMAGES}/{left[key]}" for key in sorted(left.keys() - right.keys())]
    alone += [f"{CONDITIONS}/{right[key]}" for key in sorted(right.keys() - left.keys())]
    note = f"left out {len(alone)} files that have no pair: {listed(alone, 10)}"
    return both, (note,) if alone else ()


def load_pairs(
    source: str,
    split: Split,
    root: Path,
    parts: Mapping[str, tuple[list[str], list[str]]],
    sides: tuple[Side, Side],
    limit: int | None,
    labels: tuple[Mapping[str, int], tuple[str, ...]],
) -> Dataset:
    """One split of pairs; those that cannot be read on either side are skipped and named.

    Args:
        source: What the user typed.
        split: Which part.
        root: The folder.
        parts: Images and conditions of each part, relative to its folder of them.
        sides: How images and conditions are read.
        limit: At most so many pairs.
        labels: The class of each image, and the names of the classes.
    """
    matched = {part: match(source, *both) for part, both in parts.items()}
    part, index = locate(source, split, {p: len(m[0]) for p, m in matched.items()}, limit)
    read = []
    for k, (name, side) in enumerate(zip((IMAGES, CONDITIONS), sides, strict=True)):
        # All parts decide together whether the images are gray, so that their events agree.
        every = [root / p / name / pair[k] for p, m in matched.items() for pair in m[0]]
        channels = common_channels(f"{source}/{name}", every, side.channels)
        names = [f"{name}/{matched[part][0][i][k]}" for i in index]
        files = [root / part / n for n in names]
        read.append(images_of(source, files, names, side.size, channels, side.levels))
    chosen = [labels[0][matched[part][0][i][0]] for i in index]
    whole = _joined(source, split, read[0], read[1], np.array(chosen, np.int64), labels[1])
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
