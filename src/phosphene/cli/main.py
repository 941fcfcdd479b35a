"""The entry point: finds the command, and turns every error into one sentence.

A command's module is imported when it is that command, so that help and listings are instant.
Exit codes: 0 done; 1 a proof that does not hold, or a fault of ours; 2 an error that the user can
mend, or a training stopped by Ctrl-C.
"""

import importlib
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from contextlib import suppress

from phosphene.cli.commands import COMMANDS
from phosphene.cli.text import patient, written
from phosphene.core.errors import PhospheneError, UnknownNameError

__all__ = ["main"]

_LONGEST = 1000  # of a word that is told: paths may be long, and what is longer is no name
_HELP = """{bold}phosphene{plain}: machine perception as one library.

{bold}usage{plain}  phosphene COMMAND [ARGUMENTS]      phosphene COMMAND --help

{bold}commands{plain}
{commands}

{bold}start here{plain}
  phosphene demo
  phosphene train vae --data mnist-binary --budget 60s
  phosphene train ppo --env CartPole-v1 --budget 60s
  phosphene train vae --help        every setting of the model and the trainer

{bold}options{plain}
  --version                 print the version
  --print-completion SHELL  print a completion script for bash, zsh or fish
  --traceback               show where an error arose (or PHOSPHENE_TRACEBACK=1)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; no error ends in a traceback.

    Args:
        argv: Arguments without the program's name; None for those of this process.

    Example:
        >>> main(["--version"])
        phosphene 0.1.0
        0
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        patient(stream)
    loud = "--traceback" in arguments or bool(os.environ.get("PHOSPHENE_TRACEBACK"))
    arguments = [a for a in arguments if a != "--traceback"]
    try:
        with warnings.catch_warnings():
            if not loud and not sys.warnoptions:
                warnings.simplefilter("ignore")  # libraries' notes are not for this user
            code = _dispatch(arguments)
        sys.stdout.flush()
        return code
    except SystemExit as stop:  # the parser prints help, then leaves
        return stop.code if isinstance(stop.code, int) else 0
    except BrokenPipeError:
        # The reader (head, less) has gone. Python would complain again when it flushes at exit.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Exception, KeyboardInterrupt) as error:
        if loud:
            traceback.print_exc()
        sentence, code = explain(error)
        if _first_rank() or code == 1:
            words = (w if len(w) <= _LONGEST else f"{w[:100]}..." for w in sentence.split())
            text = written(" ".join(words), sys.stderr)
            print(f"phosphene: {text}", file=sys.stderr)
        return code


def explain(error: BaseException) -> tuple[str, int]:
    """One sentence about an error, and the exit code.

    Example:
        >>> explain(OSError(28, "No space left on device", "runs/a"))
        ('runs/a: no space left on device', 2)
    """
    if isinstance(error, PhospheneError):
        return str(error), 2
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", 2
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return where + error.strerror[:1].lower() + error.strerror[1:], 2
    if isinstance(error, MemoryError) or "allocate memory" in str(error):
        return "this machine has too little memory for what was asked: ask for less of it", 2
    name = type(error).__name__
    return f"internal error, {name}: {error} (--traceback shows where)", 1


def _first_rank() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help(), end="")
        return 0
    name, *rest = arguments
    if name in ("--version", "-V"):
        from phosphene import __version__

        print(f"phosphene {__version__}")
        return 0
    if name == "--print-completion":
        from phosphene.cli.completion import completion

        print(completion(rest[0] if rest else ""))
        return 0
    if name.startswith("-"):
        known = ("--help", "--version", "--print-completion", "--traceback")
        raise UnknownNameError("option", name, known)
    if name not in COMMANDS:
        raise UnknownNameError("command", name, COMMANDS)
    command = importlib.import_module(f"phosphene.cli.{name}")
    if not _first_rank():  # under torchrun, one process speaks for all
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - stays open until the process ends
    code: int = command.main(rest)
    return code


def _help() -> str:
    color = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    bold, plain = ("\x1b[1m", "\x1b[0m") if color else ("", "")
    width = max(len(f"{name} {usage}") for name, (usage, _) in COMMANDS.items())
    lines = []
    for name, (usage, what) in COMMANDS.items():
        pad = " " * (width - len(f"{name} {usage}"))
        lines.append(f"  {bold}{name}{plain} {usage}{pad}   {what}")
    return _HELP.format(bold=bold, plain=plain, commands="\n".join(lines))
