"""``folder:PATH``: a folder of images, whose subfolders may be splits and classes."""

import os
from pathlib import Path

import numpy as np

from phosphene.core.errors import ConfigError, DataError
from phosphene.data.adapters.images import SUFFIXES, common_channels, images_of, parse_size
from phosphene.data.adapters.pairs import CONDITIONS, IMAGES, Side, are_pairs, load_pairs
from phosphene.data.dataset import Dataset, Split
from phosphene.data.limits import within_memory
from phosphene.data.splits import ALIASES, locate

__all__ = ["folder"]


@within_memory
def folder(
    argument: str,
    split: Split,
    *,
    size: str = "32",
    channels: int | None = None,
    levels: int = 256,
    limit: int | None = None,
    condition_size: str = "",
    condition_channels: int | None = None,
    condition_levels: int | None = None,
) -> Dataset:
    """Read a folder of images of any sizes, or of pairs of them.

    Subfolders ``train``, ``validation`` (or ``val``) and ``test`` are the splits; without them a
    fixed tenth of the images is held out for each. Below that, subfolders are classes. Images that
    cannot be read are skipped and named in the data set's notes.

    A folder (or each split of it) that holds ``images`` and ``conditions`` is one of pairs: files
    of the same name in both belong together, and what has no partner is left out.

    Args:
        argument: The folder.
        split: Which part.
        size: Pixels, ``64`` or ``48x64`` (height first); images are resized to cover it and
            cropped around their centers.
        channels: 1 or 3; by default what the images share.
        levels: Reduce the codes to so many grey levels; 2 makes black and white.
        limit: Read at most this many images of the split.
        condition_size: Of the conditions of pairs; by default ``size``.
        condition_channels: The same for them; by default what they share.
        condition_levels: The same for them; by default 256.

    Raises:
        DataError: There is no such folder, it holds no (readable) images, or it mixes grey and
            color images and ``channels`` does not say which is wanted.
    """
    root, shape = Path(argument).expanduser(), parse_size(size)
    if not root.is_dir():
        problem = "is not a folder" if root.exists() else "does not exist"
        raise DataError(f"folder {argument!r} {problem}")
    sides = (
        Side(shape, channels, levels),
        Side(
            parse_size(condition_size) if condition_size else shape,
            condition_channels,
            condition_levels or 256,
        ),
    )
    if are_pairs(root, _parts(root) or [""]):
        return _pairs(argument, split, root, sides, limit)
    if condition_size or condition_channels or condition_levels:
        raise ConfigError(
            f"folder {argument!r} has no {IMAGES}/ and {CONDITIONS}/, "
            "so that options of conditions mean nothing"
        )
    parts = {part: _images_below(root / part) for part in _parts(root)}
    if not parts:
        parts = {"": _images_below(root)}
    files = {part: found for part, found in parts.items() if found}
    if not files:
        ending = ", ".join(sorted(SUFFIXES))
        raise DataError(f"folder {argument!r} holds no images ({ending})")

    everything = [root / part / name for part, found in files.items() for name in found]
    wanted = common_channels(argument, everything, channels)
    classes = _classes([name for found in files.values() for name in found])
    sizes = {part: len(found) for part, found in files.items()}
    part, index = locate(argument, split, sizes, limit)
    names = [files[part][i] for i in index]
    y = np.array([_class_number(name, classes) for name in names], dtype=np.int64)
    images = images_of(argument, [root / part / n for n in names], names, shape, wanted, levels)
    return images.dataset(argument, split, y if classes else None, classes)


def _pairs(
    argument: str, split: Split, root: Path, sides: tuple[Side, Side], limit: int | None
) -> Dataset:
    parts = {
        part: (_images_below(root / part / IMAGES), _images_below(root / part / CONDITIONS))
        for part in _parts(root) or [""]
    }
    names = [name for images, _ in parts.values() for name in images]
    classes = _classes(names)
    numbers = {name: _class_number(name, classes) for name in names}
    return load_pairs(argument, split, root, parts, sides, limit, (numbers, classes))


def _parts(root: Path) -> list[str]:
    """Subfolders that are splits; there must be one to train on."""
    found = [entry.name for entry in sorted(root.iterdir()) if entry.is_dir()]
    splits = [name for name in found if name in ALIASES]
    return splits if any(ALIASES[name] == "train" for name in splits) else []


def _images_below(root: Path) -> list[str]:
    """Paths of images relative to the root, in a fixed order; hidden ones are left out."""
    found = []
    for place, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = Path(place).relative_to(root)
        found += [
            (here / name).as_posix()
            for name in sorted(files)
            if Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")
        ]
    return found


def _classes(names: list[str]) -> tuple[str, ...]:
    """First folders of the paths, where there are two or more of them."""
    folders = sorted({name.split("/")[0] for name in names if "/" in name})
    return tuple(folders) if len(folders) > 1 else ()


def _class_number(name: str, classes: tuple[str, ...]) -> int:
    first = name.split("/")[0]
    return classes.index(first) if "/" in name and first in classes else -1
