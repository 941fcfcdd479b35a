"""``webdataset:PATTERN``: tar shards of images and their classes, read into memory."""

import glob
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from phosphene.core.errors import DataError
from phosphene.data.adapters.arrays import labels
from phosphene.data.adapters.images import common_channels, images_of, parse_size
from phosphene.data.adapters.optional import need
from phosphene.data.dataset import Dataset, Split
from phosphene.data.splits import locate

__all__ = ["webdataset"]

_IMAGES = ("jpg", "jpeg", "png", "webp", "bmp", "ppm", "pgm")


def webdataset(
    argument: str,
    split: Split,
    *,
    size: str = "32",
    channels: int | None = None,
    levels: int = 256,
    limit: int | None = None,
) -> Dataset:
    """Read shards of samples ``KEY.jpg`` (or png, ...) and, where there are labels, ``KEY.cls``.

    Args:
        argument: Paths or addresses of shards, with ``{000..009}`` and ``*``.
        split: Which part; a fixed tenth of the samples is held out for each.
        size: Pixels, ``64`` or ``48x64`` (height first).
        channels: 1 or 3; by default what the images share.
        levels: Reduce the codes to so many grey levels; 2 makes black and white.
        limit: Read only this many samples from the shards, before they are split.

    Raises:
        DataError: The package or a shard is missing, or the shards hold no images.
    """
    shape = parse_size(size)
    samples = list(islice(_samples(argument), limit))
    if not samples:
        raise DataError(f"shards {argument!r} hold no images ({', '.join(_IMAGES)})")
    _, index = locate(argument, split, {"": len(samples)})
    chosen = [samples[i] for i in index]
    files = [file for _, file, _ in chosen]
    names = [key for key, _, _ in chosen]
    y, classes = None, tuple[str, ...]()
    if any(tag is not None for _, _, tag in samples):
        every = [_number(argument, key, tag) for key, _, tag in samples]
        y, classes = labels(argument, np.array(every), len(samples))
        y = y[index]
    wanted = common_channels(argument, [file for _, file, _ in samples], channels)
    return images_of(argument, files, names, shape, wanted, levels).dataset(
        argument, split, y, classes
    )


def _samples(argument: str) -> Iterator[tuple[str, bytes, bytes | None]]:
    """Key, image and class of each sample."""
    wds = need("webdataset", "hub", "webdataset:")
    shards = _shards(argument)
    try:
        for sample in wds.WebDataset(shards, shardshuffle=False, empty_check=False):
            kind = next((kind for kind in _IMAGES if kind in sample), None)
            if kind is not None:
                yield str(sample["__key__"]), sample[kind], _tag(sample)
    except Exception as error:  # the package passes on whatever its readers raise
        reason = (str(error) or type(error).__name__).splitlines()[0][:160]
        raise DataError(f"shards {argument!r} cannot be read: {reason}") from error


def _shards(argument: str) -> list[str]:
    """The shards that a pattern names; files must exist, addresses are left to the package."""
    braces = need("braceexpand", "hub", "webdataset:")
    found: list[str] = []
    for shard in braces.braceexpand(argument):
        if "://" in shard or shard.startswith("pipe:"):
            found.append(shard)
            continue
        matches = sorted(glob.glob(str(Path(shard).expanduser())))
        if not matches:
            raise DataError(f"shard {shard!r} of {argument!r} does not exist")
        found += matches
    return found


def _tag(sample: Mapping[str, Any]) -> bytes | None:
    tag: bytes | None = sample.get("cls")
    return tag


def _number(argument: str, key: str, tag: bytes | None) -> int:
    text = b"-1" if tag is None else tag.strip()
    if not text.removeprefix(b"-").isdigit():
        raise DataError(f"sample {key!r} of {argument!r} has class {tag!r}, not a whole number")
    return int(text)
