"""Output of the commands: tables and results on stdout, progress and notes on stderr."""

import json
import shutil
import sys
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from phosphene.cli.text import written

__all__ = ["note", "print_json", "print_table", "screen"]


def screen(*, stderr: bool = False) -> Console:
    """A console as wide as the terminal, or wide enough not to wrap when piped."""
    stream = sys.stderr if stderr else sys.stdout
    width = shutil.get_terminal_size().columns if stream.isatty() else 140
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def note(text: str) -> None:
    """A line on stderr, so that stdout stays what another program reads."""
    screen(stderr=True).print(written(text, sys.stderr), style="dim")


def print_json(value: Any) -> None:
    """The only thing on stdout under ``--json``."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2, allow_nan=False)
    print(text)


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str | None = None,
    right: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> None:
    """A table without frames.

    Args:
        columns: Headings.
        rows: Cells, one for each heading.
        title: Above the table.
        right: Columns of numbers.
        optional: Columns that are left out, the last first, where the screen is too narrow.
    """
    out = screen()
    columns, right, optional = ([written(c) for c in part] for part in (columns, right, optional))
    rows = [[written(cell) for cell in row] for row in rows]
    title = None if title is None else written(title)
    dropped = list(optional)
    table = _table(columns, rows, title, right)
    while dropped and Measurement.get(out, out.options, table).maximum >= out.width:
        k = columns.index(dropped.pop())
        columns = [*columns[:k], *columns[k + 1 :]]
        rows = [[*row[:k], *row[k + 1 :]] for row in rows]
        table = _table(columns, rows, title, right)
    out.print(table)


def _table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], title: str | None, right: Sequence[str]
) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for k, column in enumerate(columns):
        justify: Any = "right" if column in right else "left"
        table.add_column(column, justify=justify, style="bold" if k == 0 else "", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
