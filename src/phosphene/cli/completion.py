"""Shell completion: one script over all commands, from the same dataclasses as the parser."""

import contextlib
import importlib
import io
from typing import Annotated, Any, Union

import tyro

from phosphene.cli.commands import COMMANDS
from phosphene.core.errors import UnknownNameError

__all__ = ["completion"]

SHELLS = ("bash", "zsh", "fish")


def completion(shell: str) -> str:
    """The script that makes a shell complete commands and options.

    Raises:
        UnknownNameError: The shell is not bash, zsh or fish.
    """
    if shell not in SHELLS:
        raise UnknownNameError("shell", shell, SHELLS)
    commands: Any = tuple(
        Annotated[_arguments(name), tyro.conf.subcommand(name, description=what, prefix_name=False)]
        for name, (_, what) in COMMANDS.items()
    )
    every: Any = Union[commands]  # noqa: UP007 - the union is made at run time
    written = io.StringIO()
    with contextlib.redirect_stdout(written), contextlib.suppress(SystemExit):
        tyro.cli(every, args=["--tyro-print-completion", shell], prog="phosphene")
    return written.getvalue()


def _arguments(name: str) -> Any:
    module = importlib.import_module(f"phosphene.cli.{name}")
    plain = getattr(module, "plain_arguments", None)
    return module.Arguments if plain is None else plain()
