"""How much memory data may take, and what is refused before it takes more.

Files that people are sent say how large they are before they are read: in a header, a directory or
the options that they are read with. What they say is compared with the memory that is allowed, and
refused in one sentence where it is more. A few kilobytes may say anything, so that nothing is
allocated because a file asks for it. The memory is that of reading one split at its peak; by
default it is half of what the machine, or the control group of this process, has. The environment
variable ``PHOSPHENE_DATA_MEMORY`` changes it: ``8GiB``, ``500MB`` or a number of bytes.
"""

import functools
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from phosphene.core.errors import ConfigError, DataError

__all__ = ["BLOCK", "VARIABLE", "admit", "allowed", "regular", "shown", "within_memory"]

VARIABLE = "PHOSPHENE_DATA_MEMORY"
"""The environment variable that says how much memory data may take."""

BLOCK = 1 << 18
"""Bytes that are read at once from what is too large to be read whole."""

P = ParamSpec("P")
R = TypeVar("R")

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def allowed() -> int:
    """The memory that data may take, in bytes.

    Raises:
        ConfigError: The environment variable is no amount of memory.
    """
    text = os.environ.get(VARIABLE)
    return _machine() // 2 if text is None else _bytes(text)


def _bytes(text: str) -> int:
    match = re.fullmatch(r"(\d{1,18}(?:\.\d{1,9})?) ?([KMGT]?)(i?)B?", text.strip(), re.IGNORECASE)
    base = 1024 if match and match[3] else 1000
    found = int(float(match[1]) * base ** _POWERS[match[2].upper()]) if match else 0
    if found < 1:
        raise ConfigError(f"{VARIABLE} must be memory such as 8GiB or 500MB, got {text!r}")
    return found


@functools.cache
def _machine() -> int:
    """Bytes that the machine has, or the control groups that this process is in, if less."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    root, groups = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
    for line in groups.read_text().splitlines() if groups.is_file() else []:
        number, kinds, place = line.split(":", 2)
        if number != "0" and "memory" not in kinds.split(","):
            continue
        # Version 2 has one tree (number 0); version 1 has one for memory. A limit binds below it.
        tree, file = (root, "memory.max") if number == "0" else (root / "memory", _OLD_LIMIT)
        here = tree / place.lstrip("/")
        for folder in (here, *here.parents[: len(here.parts) - len(tree.parts)]):
            limit = folder / file
            text = limit.read_text().strip() if limit.is_file() else "max"
            found += [int(text)] if text.isdigit() else []
    return min(found)


_OLD_LIMIT = "memory.limit_in_bytes"


def shown(size: int) -> str:
    """Bytes in the unit that people say them in.

    Example:
        >>> shown(1500), shown(3 * 2**30)
        ('1.5 KiB', '3.0 GiB')
    """
    power = min(max(size.bit_length() - 1, 0) // 10, len(_UNITS) - 1)
    return f"{size} B" if power == 0 else f"{size / 1024**power:.1f} {_UNITS[power]}"


def admit(source: str, size: int, what: str, advice: str = "") -> None:
    """Let data take memory, or refuse it.

    Args:
        source: What the user typed.
        size: Bytes that the data would take at its peak.
        what: What takes them.
        advice: What the user may do beside allowing more, as ``add ?limit=N``.

    Raises:
        DataError: It is more than is allowed.

    Example:
        >>> admit("npz:a.npz", 1000, "x")
    """
    most = allowed()
    if size > most:
        raise DataError(
            f"{source!r} would take {shown(size)} of memory for {what}, and data may take "
            f"{shown(most)}; {advice + ', or ' if advice else ''}"
            f"allow more with the environment variable {VARIABLE} (as in {VARIABLE}=8GiB)"
        )


def regular(path: Path) -> int:
    """The size in bytes of a file that ends: no folder, pipe, socket or device.

    Raises:
        DataError: It is something else, or cannot be looked at.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        why = (isinstance(error, OSError) and error.strerror) or str(error)
        raise DataError(f"{str(path)!r} cannot be read: {why}") from None
    if not stat.S_ISREG(found.st_mode):
        kinds = {
            stat.S_IFDIR: "a folder",
            stat.S_IFIFO: "a pipe",
            stat.S_IFSOCK: "a socket",
        }
        kind = kinds.get(stat.S_IFMT(found.st_mode), "a device")
        raise DataError(f"{str(path)!r} cannot be read: it is {kind}, not a file")
    return found.st_size


def within_memory(read: Callable[P, R]) -> Callable[P, R]:
    """Make a reader say in one sentence that its data, its first argument, did not fit in memory.

    What readers admit is an estimate, and others take memory at the same time.
    """

    @functools.wraps(read)
    def reader(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return read(*args, **kwargs)
        except (MemoryError, RuntimeError) as error:
            # torch says so by a RuntimeError.
            if isinstance(error, RuntimeError) and "allocate memory" not in str(error):
                raise
            raise DataError(
                f"{str(args[0])!r} takes more memory than this machine has left; read less of it "
                f"(?limit=N, a smaller size), or set {VARIABLE} lower to be told how much"
            ) from None

    return reader
