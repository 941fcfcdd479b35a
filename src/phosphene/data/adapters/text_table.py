"""Delimited text files: their dialect, column names, rows and numbers."""

import csv as reader
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from phosphene.core.errors import DataError, UnknownNameError
from phosphene.data.limits import BLOCK, regular
from phosphene.data.splits import ALIASES, named_splits

__all__ = [
    "MISSING",
    "TextFile",
    "names_of",
    "number_of",
    "opened",
    "parts_of",
    "rows_of",
    "value_of",
]

MISSING = frozenset(("", "na", "n/a", "nan", "null", "none", "?", "-", "."))
"""What stands for a value that is missing, in small letters."""

_ENDINGS = (".csv", ".tsv", ".txt")
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|", "space": " "}
_MOST_COLUMNS = 10_000
_TRUTH = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True)
class TextFile:
    """How one file is written."""

    path: Path
    encoding: str
    delimiter: str
    header: bool


def number_of(text: str) -> float | None:
    """The number that a text is; None where it is none.

    Example:
        >>> number_of("1e3"), number_of("1_000"), number_of("red")
        (1000.0, None, None)
    """
    if text.lower() in _TRUTH:
        return _TRUTH[text.lower()]
    if "_" in text:  # which Python reads as 1000
        return None
    try:
        return float(text)
    except ValueError:
        return None


def value_of(text: str, commas: bool) -> float:
    """The number of a column that holds none but numbers; NaN where it is missing."""
    if text.lower() in MISSING:
        return math.nan
    number = number_of(text.replace(",", ".", 1) if commas else text)
    assert number is not None, "looked at before"
    return number


def parts_of(path: Path) -> dict[str, Path]:
    """The files by the part that they hold."""
    if not path.is_dir():
        return {"": path}
    found = sorted(p for p in path.iterdir() if p.suffix.lower() in _ENDINGS and p.is_file())
    if not found:
        raise DataError(f"folder {str(path)!r} holds no table ({', '.join(_ENDINGS)})")
    if len(found) == 1:
        return {"": found[0]}
    splits = named_splits(str(path), [p.stem for p in found])
    parts: dict[str, Path] = {splits[p.stem]: p for p in found if p.stem in splits}
    if len(parts) != len(found):
        other = [p.name for p in found if p.stem not in splits]
        raise DataError(
            f"folder {str(path)!r} holds {len(found)} tables, and {other[0]!r} is none of "
            f"{', '.join(ALIASES)}: name one file, as csv:{path / other[0]}"
        )
    return parts


def opened(argument: str, path: Path, delimiter: str | None) -> TextFile:
    """Find out how a file is written."""
    if not path.exists():
        raise DataError(f"file {argument!r} does not exist")
    regular(path)
    try:
        with path.open("rb") as file:
            head = file.read(BLOCK)
    except OSError as error:
        raise DataError(f"file {str(path)!r} cannot be read: {error.strerror}") from None
    if not head.strip():
        raise DataError(f"file {str(path)!r} is empty")
    if head[:2] == b"\x1f\x8b" or head[:4] == b"PK\x03\x04":
        raise DataError(f"file {str(path)!r} is compressed: unpack it first")
    encoding = _encoding(path, head)
    text = head.decode(encoding, errors="ignore")
    if "\0" in text:
        raise DataError(f"file {str(path)!r} is no text")
    lines = text.splitlines()[:20]
    if delimiter is not None and delimiter not in DELIMITERS:
        raise UnknownNameError("delimiter", delimiter, DELIMITERS)
    found = DELIMITERS[delimiter] if delimiter else _delimiter(lines)
    first = next(reader.reader([line for line in lines if line.strip()], delimiter=found))
    header = any(number_of(v.strip()) is None and v.strip().lower() not in MISSING for v in first)
    return TextFile(path, encoding, found, header)


def _encoding(path: Path, head: bytes) -> str:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    try:
        with path.open(encoding="utf-8-sig") as file:
            while file.read(BLOCK):
                pass
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8-sig"


def _delimiter(lines: list[str]) -> str:
    """The one that cuts each of the first lines into equally many fields, the most of them."""
    best, most = ",", 1
    for candidate in ("\t", ";", "|", ","):
        rows = [r for r in reader.reader(lines, delimiter=candidate) if r]
        rows = rows[:-1] or rows  # the last may be cut off
        widths = {len(row) for row in rows}
        if len(widths) == 1 and (width := widths.pop()) > most:
            best, most = candidate, width
    return best


@contextmanager
def _text(file: TextFile) -> Iterator[IO[str]]:
    try:
        with file.path.open(encoding=file.encoding, newline="") as opened:
            yield opened
    except (OSError, UnicodeError, reader.Error) as error:
        raise DataError(f"file {str(file.path)!r} cannot be read: {error}") from None


def names_of(argument: str, files: dict[str, TextFile]) -> list[str]:
    """What the columns are called, the same in all files."""
    found: list[str] | None = None
    for file in files.values():
        with _text(file) as opened:
            first: list[str] = next(
                (r for r in _limited(file, opened) if any(v.strip() for v in r)), []
            )
        if len(first) > _MOST_COLUMNS:
            raise DataError(
                f"{argument!r} has {len(first):,} columns; a table has {_MOST_COLUMNS:,} at most"
            )
        names = [v.strip() for v in first] if file.header else [str(i) for i in range(len(first))]
        if found is not None and names != found:
            raise DataError(f"file {str(file.path)!r} has other columns than the file before it")
        found = names
    assert found is not None
    twice = {name for name in found if found.count(name) > 1 and name}
    if twice:
        raise DataError(f"{argument!r} has two columns called {min(twice)!r}")
    return found


def rows_of(argument: str, file: TextFile, width: int) -> Iterator[tuple[int, list[str]]]:
    """Each row and the line that it ends in; empty lines are passed over."""
    with _text(file) as opened:
        rows = _limited(file, opened)
        header = file.header
        for row in rows:
            if not any(value.strip() for value in row):
                continue
            if header:
                header = False
                continue
            if len(row) != width:
                raise DataError(
                    f"{argument!r}: line {rows.line_num} has {len(row)} fields, and the table "
                    f"{width} columns"
                )
            yield rows.line_num, row


def _limited(file: TextFile, opened: IO[str]) -> "reader._reader":  # type: ignore[name-defined]
    skips = file.delimiter == " "
    return reader.reader(opened, delimiter=file.delimiter, skipinitialspace=skips)
