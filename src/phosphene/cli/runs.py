"""Runs by path or by name."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from phosphene.train.folder import Run

__all__ = ["open_run"]


def open_run(
    text: str, *, data: str | None = None, env: str | None = None, trust: bool = False
) -> "Run":
    """The run at a path, or of that name below ``runs``; see Run for the rest.

    Raises:
        RunError: There is none; the nearest is offered.
    """
    from phosphene.train.folder import Run

    path = Path(text)
    below = Path("runs") / text
    chosen = below if not path.exists() and below.is_dir() else path
    return Run(chosen, data=data, env=env, trust=trust)
