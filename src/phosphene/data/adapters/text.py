"""``text:PATH``: a text file, or a folder of them, in chunks of characters or bytes."""

from pathlib import Path

from phosphene.core.errors import DataError, UnknownNameError, listed
from phosphene.core.event import Event
from phosphene.core.paths import expanded
from phosphene.data.adapters.files import files_below
from phosphene.data.dataset import Dataset, Split
from phosphene.data.limits import admit, regular, shown, within_memory
from phosphene.data.splits import named_splits
from phosphene.data.text import STRIDE, chunk_note, chunks, cuts
from phosphene.data.tokenizers import ByteTokenizer, CharacterTokenizer, Tokenizer

__all__ = ["text"]

_UNKNOWN = "�"
_LEVELS = ("character", "byte")
_SPLITS: tuple[Split, ...] = ("train", "validation", "test")
ENDINGS = (".txt",)
"""Of the names of text files in a folder."""

_TIMES = 12
"""Memory for each byte of text: characters of up to 4 bytes, twice, or their codes of up to 8."""


@within_memory
def text(argument: str, split: Split, *, length: int = 256, level: str = "character") -> Dataset:
    """Read UTF-8 text; the files of a folder follow one another in the order of their names.

    The first eight tenths are for training, the next for validation, the last for test (held-out
    parts are rounded up to whole chunks), unless files or subfolders are called ``train``,
    ``validation`` (or ``val``) and ``test``, in small letters or capitals, with or without more in
    their names (``x.train.txt`` beside ``x.test.txt``). Codes are those of the training part's
    characters; a character that occurs in held-out parts only is replaced, and the notes say so.

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
        notes = (*replaced, *notes)
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
    root = expanded(argument)
    if not root.exists():
        raise DataError(f"text {argument!r} does not exist")
    if not root.is_dir():
        return _cut(argument, _joined(argument, [root]), length), ()
    below = files_below(root, ENDINGS)
    files = [root / name for name in below.names]
    if not files:
        some = f"; {listed(below.notes)}" if below.notes else ""
        raise DataError(f"folder {argument!r} holds no text (.txt){some}")
    named, stray = _named(argument, below.names)
    if named:
        missing = [s for s in _SPLITS if s not in named]
        if missing:
            raise DataError(
                f"{argument!r} has a part called {min(named)} and none called {missing[0]}"
            )
        parts = {split: [root / name for name in found] for split, found in named.items()}
        _admit(argument, [file for found in parts.values() for file in found])
        note = f"left out {len(stray)} files that lie in no part: {listed(stray, 10)}"
        notes = (*below.notes, note) if stray else below.notes
        return {split: _joined(argument, found) for split, found in parts.items()}, notes
    note = f"{len(files)} files follow one another in the order of their names"
    told = (note, *below.notes) if len(files) > 1 else below.notes
    return _cut(argument, _joined(argument, files), length), told


def _named(argument: str, names: list[str]) -> tuple[dict[Split, list[str]], list[str]]:
    """Files that are splits, or lie in folders that are, by split; and the others."""
    tops = {name: name.split("/")[0] for name in names}
    called = {n: t if "/" in n else Path(n).stem for n, t in tops.items()}
    splits = named_splits(argument, sorted(set(called.values())))
    found: dict[Split, list[str]] = {}
    for name in names:
        if called[name] in splits:
            found.setdefault(splits[called[name]], []).append(name)
    if "train" not in found and len(found) < 2:  # a book may be called Dev
        return {}, []
    return found, [name for name in names if called[name] not in splits]


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
