"""Runs by path or by name."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from phosphene.train.folder import Run

__all__ = ["open_run"]


def open_run(
    text: str, *, data: str | None = None, env: str | None = None, trust: bool = False
) -> "Run":
    """The run at a path, or of that name below ``runs``; see Run for the rest.

    Raises:
        RunError: There is none; the nearest is offered, or those that are there.
    """
    from phosphene.train.folder import Run, find_run

    return Run(find_run(text), data=data, env=env, trust=trust)
