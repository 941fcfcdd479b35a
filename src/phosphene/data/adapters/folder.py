"""``folder:PATH``: a folder of images, whose subfolders may be splits and classes."""

from dataclasses import replace

import numpy as np

from phosphene.core.errors import ConfigError, DataError, listed
from phosphene.core.paths import expanded
from phosphene.data.adapters.files import classes_of, files_below, in_parts
from phosphene.data.adapters.images import common_channels, endings, images_of, parse_size
from phosphene.data.adapters.pairs import CONDITIONS, IMAGES, Side, load_pairs, pairs_of
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

    Subfolders ``train``, ``validation`` (or ``val``) and ``test`` are the splits, in small letters
    or capitals, with or without more in their names (``Training``, ``seg_train`` beside
    ``seg_test``), around the classes or within them. Without them the names of the images decide
    which are held out, about a tenth for each split, so that the folder may grow. The other
    subfolders are classes. Links to folders are followed. What cannot be read or is passed over is
    counted in the data set's notes.

    A folder (or each split of it) that holds ``images`` and ``conditions`` is one of pairs: files
    of the same name in both belong together, and what has no partner is left out.

    Args:
        argument: The folder.
        split: Which part.
        size: Pixels, ``64`` or ``48x64`` (height first); images are resized to cover it and
            cropped around their centers.
        channels: 1 or 3; by default what the images share.
        levels: Reduce the codes to this many gray levels; 2 makes black and white.
        limit: Read at most this many images of the split.
        condition_size: Of the conditions of pairs; by default ``size``.
        condition_channels: The same for them; by default what they share.
        condition_levels: The same for them; by default 256.

    Raises:
        DataError: There is no such folder, it holds no (readable) images, or it mixes gray and
            color images and ``channels`` does not say which is wanted.
    """
    root, shape = expanded(argument), parse_size(size)
    if not root.is_dir():
        problem = "is not a folder" if root.exists() else "does not exist"
        raise DataError(f"folder {argument!r} {problem}")
    below = files_below(root, endings())
    if not below.names:
        some = f"{listed(below.notes)}; " if below.notes else ""
        raise DataError(
            f"folder {argument!r} holds no images ({some}images are files such as .png, .jpg, .tif)"
        )
    sides = (
        Side(shape, channels, levels),
        Side(
            parse_size(condition_size) if condition_size else shape,
            condition_channels,
            condition_levels or 256,
        ),
    )
    paired, told = pairs_of(argument, below.names)
    if paired is not None:
        for name in below.folders:
            if ALIASES.get(name.lower(), "train") not in paired and "" not in paired:
                place = str(root / name)
                raise DataError(f"{place!r} must hold {IMAGES}/ and {CONDITIONS}/ as others do")
        dataset = load_pairs(argument, split, root, paired, sides, limit)
        return replace(dataset, notes=(*below.notes, *told, *dataset.notes))
    if condition_size or condition_channels or condition_levels:
        raise ConfigError(
            f"folder {argument!r} has no {IMAGES}/ and {CONDITIONS}/, "
            "so that options of conditions mean nothing"
        )
    parts, notes = in_parts(argument, below.names)
    every = [file for found in parts.values() for file in found]
    wanted = common_channels(argument, [root / file.path for file in every], channels)
    classes, numbers = classes_of([file.name for file in every])
    number = {file.path: k for file, k in zip(every, numbers, strict=True)}
    sizes = {part: len(found) for part, found in parts.items()}
    called = {part: [file.name for file in found] for part, found in parts.items()}
    part, index = locate(argument, split, sizes, limit, called)
    paths = [parts[part][i].path for i in index]
    y = np.array([number[path] for path in paths], dtype=np.int64)
    images = images_of(argument, [root / path for path in paths], paths, shape, wanted, levels)
    dataset = images.dataset(argument, split, y if classes else None, classes)
    return replace(dataset, notes=(*below.notes, *notes, *dataset.notes))
