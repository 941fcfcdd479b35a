"""Runs by path or by name."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from phosphene.train.folder import Run

__all__ = ["open_run"]


def open_run(text: str) -> "Run":
    """The run at a path, or of that name below ``runs``.

    Raises:
        RunError: There is none; the nearest is offered.
    """
    from phosphene.train.folder import Run

    path = Path(text)
    below = Path("runs") / text
    return Run(below if not path.exists() and below.is_dir() else path)
