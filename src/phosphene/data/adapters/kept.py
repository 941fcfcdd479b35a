"""Images that were decoded stay decoded while their files stay what they were.

A training, its evaluation and its report read the same folder; decoding photographs takes far
longer than training's first steps. What is kept takes at most a quarter of the memory that data
may take (:func:`phosphene.data.limits.allowed`), the least recently used going first.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import Tensor

from phosphene.data.adapters.room import Source
from phosphene.data.limits import allowed

__all__ = ["kept"]

T = TypeVar("T")

_SHARE = 4  # of the memory that data may take, the part that is kept


@dataclass
class _Entry:
    value: Any
    pixels: Tensor | None
    version: int
    size: int


_entries: OrderedDict[Hashable, _Entry] = OrderedDict()


def kept(
    files: Sequence[Source],
    how: tuple[Hashable, ...],
    make: Callable[[], T],
    pixels: Callable[[T], Tensor | None],
) -> T:
    """What ``make`` gives of some files, or what it gave when they were the same.

    A file is the same where its place, size, number and times of change are. What somebody has
    written into since is made again.

    Args:
        files: Paths; where some are the contents themselves, nothing is kept.
        how: What else decides the value.
        make: Reads the files.
        pixels: The tensor of a value, which takes its memory; None for next to nothing.
    """
    key = _key(files, how)
    if key is None:
        return make()
    found = _entries.get(key)
    if found is not None and (found.pixels is None or found.pixels._version == found.version):
        _entries.move_to_end(key)
        value: T = found.value
        return value
    value = make()
    if _key(files, how) == key:  # what changed while it was read is not kept
        tensor = pixels(value)
        size = 1024 if tensor is None else tensor.numel() * tensor.element_size()
        _entries[key] = _Entry(value, tensor, 0 if tensor is None else tensor._version, size)
        _entries.move_to_end(key)
    most = allowed() // _SHARE
    while _entries and sum(entry.size for entry in _entries.values()) > most:
        _entries.popitem(last=False)
    return value


def _key(files: Sequence[Source], how: tuple[Hashable, ...]) -> Hashable | None:
    found: list[Hashable] = [how, allowed()]  # memory decides which files are too large
    for file in files:
        if isinstance(file, bytes):
            return None
        try:
            s = file.stat()
        except OSError:
            return None
        found.append((str(file.absolute()), s.st_size, s.st_ino, s.st_mtime_ns, s.st_ctime_ns))
    return tuple(found)
