"""Files of a run folder: put in place whole, never through a link, by one process at a time.

A run folder may come from anybody. What stands in it under our names is written to and cleared
away, so none of it may be a link that leads out of the folder; and what is written aside has a name
that nobody can have planted a link under.
"""

import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from phosphene.core.errors import ConfigError, RunError
from phosphene.core.paths import expanded

__all__ = [
    "destination",
    "full",
    "lock",
    "refuse_links",
    "replacing",
    "size_of",
    "write_atomically",
]

_PARTS = (
    "run.json", "metrics.jsonl", "evaluation.json", "report.html", "play.gif", ".lock",
    "model", "checkpoint", "samples", "stages", "export",
)  # fmt: skip
"""What phosphene writes into a run folder."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new, empty file beside ``path``, which takes its place when the block ends well.

    A crash, a full disk or an error leaves the old file as it was.
    """
    # Some writers go by the ending of the name.
    aside = path.with_name(f".{path.stem}.{secrets.token_hex(8)}{path.suffix}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    os.close(os.open(aside, flags, 0o666))
    mode = stat.S_IMODE(aside.stat().st_mode)
    try:
        yield aside
        aside.chmod(mode)  # some writers make the file anew, for its owner alone
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException as error:
        with suppress(OSError):
            aside.unlink()
        if isinstance(error, OSError):
            error.filename = str(path)  # what the user knows it as
        raise


def destination(out: str | Path, endings: Sequence[str] = ()) -> Path:
    """Where a file goes that somebody asked for, with a folder for it.

    Raises:
        ConfigError: Its name has none of the endings, or is that of a folder.
    """
    path = expanded(out)
    if endings and path.suffix.lower() not in endings:
        raise ConfigError(f"{str(path)!r} must end in {' or '.join(endings)}")
    if path.is_dir():
        raise ConfigError(f"{str(path)!r} is a folder, not a file to write")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one."""
    with replacing(path) as aside:
        # Names of files may be no text: what of them cannot be encoded is escaped.
        whole = content.encode(errors="backslashreplace") if isinstance(content, str) else content
        aside.write_bytes(whole)


def refuse_links(folder: Path) -> None:
    """Refuse a run folder in which something that is ours leads elsewhere.

    Raises:
        RunError: A part of the folder is a symbolic link.
    """
    for part in _PARTS:
        top = folder / part
        below = top.rglob("*") if top.is_dir() and not top.is_symlink() else ()
        for path in (top, *below):
            if path.is_symlink():
                raise RunError(
                    f"{str(path)!r} is a link; parts of a run folder are files and folders of its "
                    "own, since they are written to"
                )


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold a run folder, so that no other process trains in it.

    The lock is the system's and ends with the process, however that ends. Where the file system
    has none, nothing is held.

    Raises:
        RunError: Another process holds it.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    held = os.open(folder / ".lock", flags, 0o666)
    try:
        if not _hold(held):
            raise RunError(
                f"{str(folder)!r} is being trained by another process; wait until it ends"
            )
        yield
    finally:
        os.close(held)


def _hold(descriptor: int) -> bool:
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network file systems
        return True
    return True


def full(error: Exception) -> str:
    """Why a file could not be written, in a few words; writers hide that a disk is full."""
    text = getattr(error, "strerror", None) or next(iter(str(error).splitlines()), "")
    if "no space left" in str(error).lower():
        return "no space left on device"
    return text[:1].lower() + text[1:160] if text else type(error).__name__


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; 0 where there is nothing."""
    if path.is_dir():
        return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    return path.stat().st_size if path.is_file() else 0
