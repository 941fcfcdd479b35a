"""``text:PATH``: a text file, or a folder of them, in chunks of characters or bytes."""

from collections.abc import Mapping
from pathlib import Path

from phosphene.core.errors import DataError, UnknownNameError
from phosphene.core.event import Event
from phosphene.data.dataset import Dataset, Split
from phosphene.data.limits import admit, regular, shown, within_memory
from phosphene.data.splits import ALIASES
from phosphene.data.text import STRIDE, chunk_note, chunks, cuts
from phosphene.data.tokenizers import ByteTokenizer, CharacterTokenizer, Tokenizer

__all__ = ["text"]

_UNKNOWN = "�"
_LEVELS = ("character", "byte")

_TIMES = 12
"""Memory for each byte of text: characters of up to 4 bytes, twice, or their codes of up to 8."""


@within_memory
def text(argument: str, split: Split, *, length: int = 256, level: str = "character") -> Dataset:
    """Read UTF-8 text; the files of a folder follow one another in the order of their names.

    The first eight tenths are for training, the next for validation, the last for test (held-out
    parts are rounded up to whole chunks), unless files or subfolders are called ``train``,
    ``validation`` (or ``val``) and ``test``. Codes are those of the training part's characters; a
    character that occurs in held-out parts only is replaced, and the notes say so.

    Args:
        argument: A file of any ending, or a folder that holds ``.txt`` files.
        split: Which part.
        length: Characters (or bytes) in one example.
        level: ``character`` or ``byte``.

    Raises:
        UnknownNameError: There is no such level.
        DataError: There is no text there, it is not UTF-8, or it is too short for the length, or
            takes more memory than data may.
    """
    if level not in _LEVELS:
        raise UnknownNameError("level of text", level, _LEVELS)
    parts, notes = _parts(argument, length)
    tokenizer: Tokenizer
    if level == "byte":
        tokenizer = ByteTokenizer()
    else:
        tokenizer, parts, replaced = _characters(argument, parts)
        notes += replaced
    codes = tokenizer.encode(parts[split])
    if len(codes) < length:
        raise DataError(
            f"the {split} part of {argument!r} holds {len(codes)} {level}s; "
            f"length must be {max(1, len(codes))} or less, got {length}"
        )
    over = len(codes) % length
    if split != "train" and over:
        notes += (f"the last {over} {level}s do not fill a chunk and are left out",)
    return Dataset(
        name=argument,
        split=split,
        event=Event.tokens(length, tokenizer.size),
        x=chunks(codes, length, STRIDE if split == "train" else length),
        tokenizer=tokenizer,
        notes=(*notes, chunk_note(length, split)),
    )


def _parts(argument: str, length: int) -> tuple[dict[Split, str], tuple[str, ...]]:
    """The text of each split."""
    root = Path(argument).expanduser()
    if not root.exists():
        raise DataError(f"text {argument!r} does not exist")
    if not root.is_dir():
        return _cut(argument, _joined(argument, [root]), length), ()
    named = _named(root)
    if "train" in named:
        missing = [s for s in ("validation", "test") if s not in named]
        if missing:
            raise DataError(f"{argument!r} has a part called train and none called {missing[0]}")
        _admit(argument, [file for files in named.values() for file in files])
        return {s: _joined(argument, files) for s, files in named.items()}, ()
    files = _below(root)
    if not files:
        raise DataError(f"folder {argument!r} holds no text (.txt)")
    note = (f"{len(files)} files follow one another in the order of their names",)
    return _cut(argument, _joined(argument, files), length), note if len(files) > 1 else ()


def _named(root: Path) -> Mapping[Split, list[Path]]:
    """Files and subfolders that are called as splits are."""
    found: dict[Split, list[Path]] = {}
    for place in sorted(root.iterdir()):
        split = ALIASES.get(place.name if place.is_dir() else place.stem)
        files = _below(place) if place.is_dir() else [place] * (place.suffix == ".txt")
        if split is not None and files:
            found.setdefault(split, []).extend(files)
    return found


def _below(root: Path) -> list[Path]:
    return sorted(p for p in root.rglob("*.txt") if p.is_file() and not p.name.startswith("."))


def _admit(argument: str, files: list[Path]) -> None:
    size = sum(map(regular, files))
    admit(argument, _TIMES * size, f"{shown(size)} of text", "give less text")


def _joined(argument: str, files: list[Path]) -> str:
    _admit(argument, files)
    return "\n".join(_read(path) for path in files)


def _read(path: Path) -> str:
    """The text, without a byte-order mark and with every line end as one character."""
    try:
        with path.open("rb") as file:
            # No more than was admitted: some files of the system say that they are empty.
            whole = file.read(regular(path)).decode("utf-8-sig")
        return whole.replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{str(path)!r} is not UTF-8 text: byte {error.start} cannot be read; "
            "convert the file first"
        ) from None
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read: {error.strerror}") from None


def _cut(argument: str, whole: str, length: int) -> dict[Split, str]:
    if not whole:
        raise DataError(f"{argument!r} holds no text: it is empty")
    if len(whole) < 3 * length:
        raise DataError(
            f"{argument!r} holds {len(whole)} characters, too few for three parts of one chunk; "
            f"length must be {max(1, len(whole) // 3)} or less, got {length}"
        )
    first, second = cuts(len(whole), length)
    return {"train": whole[:first], "validation": whole[first:second], "test": whole[second:]}


def _characters(
    argument: str, parts: dict[Split, str]
) -> tuple[CharacterTokenizer, dict[Split, str], tuple[str, ...]]:
    """The tokenizer of the training part; characters that it lacks become the replacement."""
    known = set(parts["train"])
    new = set().union(*parts.values()) - known
    if new:
        table = str.maketrans(dict.fromkeys(new, _UNKNOWN))
        parts = {split: part.translate(table) for split, part in parts.items()}
        known.add(_UNKNOWN)
    if len(known) < 2:
        raise DataError(f"{argument!r} holds only the character {min(known)!r}")
    notes = (f"{len(new)} characters occur in held-out text alone, and were replaced",)
    return CharacterTokenizer("".join(sorted(known))), parts, notes if new else ()
