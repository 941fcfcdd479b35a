"""``webdataset:PATTERN``: tar shards of images and their classes, read into memory."""

import glob
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np

from phosphene.core.errors import DataError, listed
from phosphene.core.paths import expanded
from phosphene.data.adapters.arrays import labels
from phosphene.data.adapters.images import common_channels, endings, images_of, parse_size
from phosphene.data.adapters.optional import need
from phosphene.data.adapters.tar import files_of
from phosphene.data.dataset import Dataset, Split
from phosphene.data.limits import admit, regular, within_memory
from phosphene.data.splits import locate

__all__ = ["webdataset"]

_META = re.compile(r"__[^/]*__($|/)")
"""What describes a shard and is no sample."""

_FIRST = ("jpg", "jpeg", "png", "webp", "bmp", "ppm", "pgm")
"""Where a sample holds several images, the one that is taken; else any that Pillow reads."""


@within_memory
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
        levels: Reduce the codes to this many gray levels; 2 makes black and white.
        limit: Read only this many samples from the shards, before they are split.

    Raises:
        DataError: The package or a shard is missing, or the shards hold no images, or more than
            memory allows.
    """
    shape = parse_size(size)
    passed = Counter[str]()
    found = islice(_samples(argument, passed), min(limit or sys.maxsize, sys.maxsize))
    samples = list(found)
    notes: tuple[str, ...] = ()
    if passed:
        kinds = listed((f"{kind} ({n})" for kind, n in sorted(passed.items())), 10)
        notes = (f"left out {passed.total()} samples without an image: {kinds}",)
    if not samples:
        raise DataError(f"shards {argument!r} hold no images, such as jpg or png")
    called = [key for key, _, _ in samples]
    _, index = locate(argument, split, {"": len(samples)}, names={"": called})
    chosen = [samples[i] for i in index]
    files = [file for _, file, _ in chosen]
    names = [key for key, _, _ in chosen]
    y, classes = None, tuple[str, ...]()
    if any(tag is not None for _, _, tag in samples):
        every = [_number(argument, key, tag) for key, _, tag in samples]
        y, classes = labels(argument, np.array(every), len(samples))
        y = y[index]
    wanted = common_channels(argument, [file for _, file, _ in samples], channels)
    images = images_of(argument, files, names, shape, wanted, levels)
    dataset = images.dataset(argument, split, y, classes)
    return replace(dataset, notes=(*notes, *dataset.notes))


def _samples(argument: str, passed: Counter[str]) -> Iterator[tuple[str, bytes, bytes | None]]:
    """Key, image and class of each sample: files whose names are the same up to their endings.

    Those without an image are counted by the endings that they have.
    """
    found, known = _files(argument), [*_FIRST, *(e.removeprefix(".") for e in endings())]
    for (_, key), files in groupby(found, key=lambda file: (file[0], _parted(file[1])[0])):
        sample: dict[str, bytes] = {}
        for _, name, content in files:
            kind = _parted(name)[1]
            if kind in sample:
                raise DataError(f"shards {argument!r} cannot be read: they hold {name!r} twice")
            sample[kind] = content
        kind = next((kind for kind in known if kind in sample), "")
        if kind:
            yield key, sample[kind], sample.get("cls")
        else:
            passed[", ".join(sorted(sample))] += 1


def _parted(name: str) -> tuple[str, str]:
    """Key and ending of a file: its name is parted at its first dot.

    Example:
        >>> _parted("a.b/c.seg.PNG")
        ('a.b/c', 'seg.png')
    """
    folder, slash, base = name.rpartition("/")
    stem, _, kind = base.partition(".")
    return folder + slash + stem, kind.lower()


def _files(argument: str) -> Iterator[tuple[int, str, bytes]]:
    """Number of the shard, name and content of all files, of which images and classes are held."""
    held, known = 0, {e.removeprefix(".") for e in endings()}

    def admitted(size: int) -> None:
        nonlocal held
        held += size
        admit(argument, held, "the files of its images", "add ?limit=N to read fewer")

    def wanted(name: str) -> bool:
        kind = _parted(name)[1]
        return kind == "cls" or kind in known

    for number, shard in enumerate(_shards(argument)):
        try:
            with _opened(shard) as stream:
                for name, content in files_of(str(shard), stream, wanted, admitted):
                    if all(_parted(name)) and not _META.match(name):
                        yield number, name, content
        except DataError:
            raise
        except Exception as error:  # readers of addresses and archives raise anything
            reason = (str(error) or type(error).__name__).splitlines()[0][:160]
            raise DataError(f"shards {argument!r} cannot be read: {reason}") from error


def _opened(shard: Path | str) -> Any:
    """A stream of a shard: a file, whatever its name looks like, or what the user typed."""
    if isinstance(shard, Path):
        regular(shard)
        return shard.open("rb")
    need("webdataset", "hub", "webdataset:")
    return need("webdataset.gopen", "hub", "webdataset:").gopen(shard)


def _shards(argument: str) -> list[Path | str]:
    """The shards that a pattern names: files, which must exist, and addresses and commands."""
    need("webdataset", "hub", "webdataset:")
    braces = need("braceexpand", "hub", "webdataset:")
    found: list[Path | str] = []
    for shard in braces.braceexpand(argument):
        if "://" in shard or shard.startswith("pipe:"):
            found.append(shard)
            continue
        matches = sorted(glob.glob(str(expanded(shard))))
        if not matches:
            raise DataError(f"shard {shard!r} of {argument!r} does not exist")
        found += [Path(match) for match in matches]
    return found


def _number(argument: str, key: str, tag: bytes | None) -> int:
    text = b"-1" if tag is None else tag.strip()
    if not text.removeprefix(b"-").isdigit():
        raise DataError(f"sample {key!r} of {argument!r} has class {tag!r}, not a whole number")
    return int(text)
