"""The files below a folder: found in a fixed order, sorted into splits and classes, counted."""

import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from phosphene.core.errors import DataError, listed
from phosphene.data.dataset import Split
from phosphene.data.splits import named_splits, word_within

__all__ = ["Files", "Named", "classes_of", "files_below", "in_parts"]


@dataclass(frozen=True)
class Files:
    """What a folder holds.

    Args:
        names: Of the files that are wanted, relative to the folder, in a fixed order.
        folders: Of all folders below it.
        notes: A sentence about what was passed over, where anything was.
    """

    names: list[str]
    folders: list[str]
    notes: tuple[str, ...]


def files_below(root: Path, endings: Collection[str]) -> Files:
    """The files below a folder that have one of some endings, in small letters or capitals.

    Links to folders are followed, each folder once: a link to what is read anyway is passed over.
    What is hidden (its name begins with a dot) is passed over, too.

    Args:
        root: The folder.
        endings: Such as ``.png``.

    Raises:
        DataError: The folder itself cannot be read.
    """
    names, within = list[str](), list[str]()
    others, hidden, again, closed = Counter[str](), 0, 0, list[str]()
    seen: set[str] = set()
    folders, links = [(root, "")], list[tuple[Path, str]]()
    while folders or links:  # what lies below the folder itself comes first
        place, inner = folders.pop() if folders else links.pop(0)
        real = os.path.realpath(place)
        if real in seen:
            again += 1
            continue
        seen.add(real)
        within += [inner.rstrip("/")] if inner else []
        try:
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError as error:
            if not inner:
                raise DataError(f"folder {str(root)!r} cannot be read: {error.strerror}") from None
            closed.append(inner.rstrip("/"))
            continue
        for entry in entries:
            name = inner + entry.name
            ending = PurePosixPath(entry.name).suffix.lower()
            try:
                folder = entry.is_dir()
            except OSError:  # a link to itself: whoever opens it says so
                folder = False
            if entry.name.startswith("."):
                hidden += folder or ending in endings
            elif folder:
                (links if entry.is_symlink() else folders).append((place / entry.name, f"{name}/"))
            elif ending in endings:
                names.append(name)
            else:
                others[ending or "no ending"] += 1
    return Files(sorted(names), sorted(within), tuple(_passed_over(others, hidden, again, closed)))


def _passed_over(
    others: Counter[str], hidden: int, again: int, closed: Sequence[str]
) -> Iterator[str]:
    if others:
        kinds = listed((f"{ending} ({n})" for ending, n in sorted(others.items())), 10)
        yield f"left out {_count(others.total(), 'file')} of other endings: {kinds}"
    if hidden:
        yield f"left out {_count(hidden, 'hidden file or folder', 'hidden files or folders')}"
    if again:
        yield f"left out {_count(again, 'link')} to folders that are read anyway"
    if closed:
        yield f"left out {_count(len(closed), 'folder')} that cannot be read: {listed(closed, 10)}"


def _count(n: int, one: str, many: str = "") -> str:
    return f"{n:,} {one if n == 1 else many or one + 's'}"


@dataclass(frozen=True)
class Named:
    """A file: where it is, and what it is called among those of its part.

    Args:
        path: Relative to the folder.
        name: The same without the folder that names the split.
    """

    path: str
    name: str


def in_parts(source: str, names: Sequence[str]) -> tuple[dict[str, list[Named]], tuple[str, ...]]:
    """Files by the split that a folder on their way, or their own name, says they belong to.

    The outermost folders are looked at first, and those that are not splits are left out beside
    some that are. Further within, and in the names of the files, all of them must be splits.

    Args:
        source: What the user typed, for the error.
        names: Paths relative to the folder.

    Returns:
        Files by split, or by "" where no names are those of splits; and notes.

    Raises:
        DataError: There are parts to test on and none to train on.

    Example:
        >>> parts, _ = in_parts("a", ["Training/ill/1.png", "Testing/ill/1.png"])
        >>> {split: [file.name for file in found] for split, found in parts.items()}
        {'train': ['ill/1.png'], 'test': ['ill/1.png']}
    """
    ways = [name.split("/") for name in names]
    shared = 0  # folders around all of them that say nothing
    while (
        all(len(way) > shared + 1 for way in ways)
        and len({way[shared] for way in ways}) == 1
        and not named_splits(source, [ways[0][shared]])
    ):
        shared += 1
    outer = {way[shared] for way in ways if len(way) > shared + 1}
    splits = named_splits(source, sorted(outer))
    if "train" in splits.values() or len(outer) == 1:
        return _by_folder(names, ways, shared, splits)
    if len(splits) > 1 and splits.keys() == outer:
        parts = listed(map(repr, splits))
        raise DataError(f"{source!r} holds the parts {parts}, and none called train")
    notes = tuple(
        f"{name!r} is taken for a class, since no folder beside it is called train"
        for name in splits
    )
    for depth in range(shared + 1, min(map(len, ways), default=1) - 1):
        inner = {way[depth] for way in ways}
        splits = named_splits(source, sorted(inner))
        if splits.keys() == inner and "train" in splits.values():
            return _by_folder(names, ways, depth, splits)
    said = [word_within(PurePosixPath(way[-1]).stem) for way in ways]
    if None not in said and "train" in said and len(set(said)) > 1:
        found: dict[str, list[Named]] = {}
        for name, split in zip(names, said, strict=True):
            found.setdefault(str(split), []).append(Named(name, name))
        return found, ("the names of the files say which part they belong to",)
    return {"": [Named(name, name) for name in names]}, notes


def _by_folder(
    names: Sequence[str], ways: Sequence[list[str]], depth: int, splits: Mapping[str, Split]
) -> tuple[dict[str, list[Named]], tuple[str, ...]]:
    """Files by the folder at some depth of their ways, which is taken out of these."""
    parts: dict[str, list[Named]] = {}
    stray = []
    for name, way in zip(names, ways, strict=True):
        split = splits.get(way[depth]) if len(way) > depth + 1 else None
        if split is None and splits:
            stray.append(name)
        else:
            rest = way[:depth] + way[depth + 1 :] if split else way
            parts.setdefault(split or "", []).append(Named(name, "/".join(rest)))
    note = f"left out {_count(len(stray), 'file')} that lie in no part: {listed(stray, 10)}"
    return parts, (note,) if stray else ()


def classes_of(names: Sequence[str]) -> tuple[tuple[str, ...], list[int]]:
    """Classes, and that of each file: the first folders in which ways differ; -1 where unknown.

    Example:
        >>> classes_of(["a/cat/1.png", "a/dog/1.png", "a/2.png"])
        (('cat', 'dog'), [0, 1, -1])
    """
    ways = [name.split("/")[:-1] for name in names]
    depth = 0
    while all(len(way) > depth for way in ways) and len({way[depth] for way in ways}) == 1:
        depth += 1
    own = [way[depth] if len(way) > depth else "" for way in ways]
    found = sorted(set(own) - {""})
    if len(found) < 2:
        return (), [-1] * len(names)
    number = {name: k for k, name in enumerate(found)}
    return tuple(found), [number.get(name, -1) for name in own]
