"""Safe printing of text that others chose: names of files, data sets, runs and columns.

They are never read as markup and send no control sequences to a terminal. A character that the
stream's encoding lacks is printed as an escape.
"""

import codecs
import sys
from contextlib import suppress
from typing import IO, TextIO

__all__ = ["patient", "written"]

_PLAIN = {
    "\N{PLUS-MINUS SIGN}": "+/-",
    "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{EN DASH}": "-",
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{MIDDLE DOT}": "-",
    "\N{LEFTWARDS ARROW}": "<",
    "\N{RIGHTWARDS ARROW}": ">",
    "\N{UPWARDS ARROW}": "^",
    "\N{DOWNWARDS ARROW}": "v",
    "\N{REPLACEMENT CHARACTER}": "?",
    "\N{BOX DRAWINGS LIGHT HORIZONTAL}": "-",
    "\N{BOX DRAWINGS LIGHT VERTICAL}": "|",
    "\N{BOX DRAWINGS LIGHT VERTICAL AND RIGHT}": "|",
    "\N{BOX DRAWINGS LIGHT UP AND RIGHT}": "`",
}
"""What stands for characters of ours where an output lacks them."""


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    escapes = (_PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in text)
    return "".join(escapes), error.end


codecs.register_error("phosphene", _escaped)


def patient(stream: TextIO) -> None:
    """Let a stream escape what it cannot write, instead of failing."""
    with suppress(AttributeError, ValueError, OSError):  # some streams are no files
        stream.reconfigure(errors="phosphene")  # type: ignore[attr-defined]


def written(text: str, stream: IO[str] | None = None) -> str:
    r"""Text as a stream can write it, without characters that would steer a terminal.

    Example:
        >>> written("caf\udce9 [b]\x1b[31m")
        'caf\\udce9 [b]\\x1b[31m'
    """
    encoding = getattr(stream or sys.stdout, "encoding", None) or "utf-8"
    plain = "".join(
        c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text
    )
    return plain.encode(encoding, "phosphene").decode(encoding)
