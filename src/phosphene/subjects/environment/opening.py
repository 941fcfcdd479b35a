"""The environment of a run, opened again.

A run folder may come from anybody: what it names to be imported is left alone, unless the caller
trusts the run or names the same thing himself.
"""

from typing import Any

from phosphene.core.errors import RunError
from phosphene.decision.environments.table import code_named, located
from phosphene.train.folder import Run

__all__ = ["env_of"]


def env_of(run: Run) -> Any:
    """The environment of a run, or what the caller put in its place: a name, or one handed over.

    Raises:
        RunError: The run names a module that would be imported, or was trained in an environment
            that only its maker has.
    """
    if run.said is not None:
        return run.said
    own: str = run.config["env"]
    if run.config.get("own_env"):
        raise RunError(
            f"{str(run.path)!r} was trained in an environment of somebody's own, called {own!r}; "
            "say which to take: --env on the command line, env= in Python"
        )
    if code_named(own) and not run.trust:
        raise RunError(
            f"{str(run.path)!r} names {own!r}, which imports a module: if you trust this run, add "
            "--trust (trust=True in Python), or name it yourself with --env"
        )
    return located(own, run.config.get("directory"))
