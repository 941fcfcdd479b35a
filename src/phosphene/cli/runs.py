"""Runs by path or by name."""

from typing import TYPE_CHECKING

from phosphene.core.errors import ConfigError

if TYPE_CHECKING:
    from phosphene.train.folder import Run

__all__ = ["open_run", "tell"]


def open_run(
    text: str, *, data: str | None = None, env: str | None = None, trust: bool = False
) -> "Run":
    """The run at a path, or of that name below ``runs``; see Run for the rest.

    Raises:
        RunError: There is none; the nearest is offered, or those that are there.
        ConfigError: Data are given for an agent, or an environment for a model.
    """
    from phosphene.train.folder import Run, find_run

    run = Run(find_run(text), data=data, env=env, trust=trust)
    agent = "env" in run.config
    if data is not None and agent:
        raise ConfigError(f"{str(run.path)!r} is the run of an agent: it takes --env, not --data")
    if env is not None and not agent:
        raise ConfigError(f"{str(run.path)!r} is the run of a model: it takes --data, not --env")
    return run


def tell(run: "Run") -> None:
    """Print what was noticed of the data that a run names."""
    from phosphene.cli.output import note

    for text in run.notes:
        note(f"note: {text}")
