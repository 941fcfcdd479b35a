"""How commands speak: tables and results on stdout, progress and notes on stderr."""

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

__all__ = ["note", "print_json", "print_table", "screen"]


def screen(*, stderr: bool = False) -> Console:
    """A console as wide as the terminal, or wide enough not to wrap when piped."""
    stream = sys.stderr if stderr else sys.stdout
    width = shutil.get_terminal_size().columns if stream.isatty() else 140
    return Console(file=stream, width=width, highlight=False)


def note(text: str) -> None:
    """A line on stderr, so that stdout stays what another program reads."""
    screen(stderr=True).print(text, style="dim")


def print_json(value: Any) -> None:
    """The only thing on stdout under ``--json``."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    title: str | None = None,
    right: Sequence[str] = (),
) -> None:
    """A table without frames; the columns named in ``right`` are numbers."""
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for k, column in enumerate(columns):
        justify: Any = "right" if column in right else "left"
        table.add_column(column, justify=justify, style="bold" if k == 0 else "", overflow="fold")
    for row in rows:
        table.add_row(*row)
    screen().print(table)
