"""Processes that each hold a block of environments, so that slow ones use all cores."""

import contextlib
import importlib
import multiprocessing
import signal
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any, NoReturn

from phosphene.core.errors import PhospheneError
from phosphene.decision.environments.block import Block, BrokenEnvironmentError, Manner

__all__ = ["Worker"]


class Worker:
    """A block of environments in a process of its own.

    The process is forked where the system can, so that functions of a script or a notebook can
    be environments too; it computes nothing by torch.

    Args:
        make: Makes one environment.
        manner: How they are used.
        seeds: For each of them, what makes a seed of the number of an episode.
    """

    def __init__(
        self, make: Callable[[], Any], manner: Manner, seeds: Sequence[Callable[[int], int]]
    ) -> None:
        forks = "fork" in multiprocessing.get_all_start_methods()
        context: Any = multiprocessing.get_context("fork" if forks else "spawn")
        self._name, self.size = manner.name, len(seeds)
        self._pipe, theirs = context.Pipe()
        given: Any = (make, manner, seeds)
        if not forks:
            given = _cloudpickle().dumps(given)
        inherited = self._pipe if forks else None
        arguments = (theirs, inherited, given)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, command: str, *arguments: Any) -> None:
        """Send a call of one of the block's methods."""
        try:
            self._pipe.send((command, arguments))
        except OSError as error:
            self._ended(error)

    def answer(self) -> Any:
        """Wait for what it returns, or raise what it raises."""
        try:
            fine, value = self._pipe.recv()
        except (EOFError, OSError) as error:
            self._ended(error)
        if not fine:
            raise value
        return value

    def close(self) -> None:
        """End the process."""
        if self._process.is_alive():
            with contextlib.suppress(OSError):
                self._pipe.send(("close", ()))
            self._process.join(5)
            self._process.terminate()
        self._pipe.close()

    def _ended(self, error: Exception) -> NoReturn:
        self._process.join(5)
        code = self._process.exitcode
        raise BrokenEnvironmentError(
            f"{self._name}: the process that holds {self.size} of its environments has ended "
            f"(exit code {code})"
        ) from error


def _cloudpickle() -> Any:
    return importlib.import_module("cloudpickle")  # comes with gymnasium


def _serve(pipe: Connection, inherited: Connection | None, given: Any) -> None:
    """Answer calls until the other side closes, or is no more."""
    # Ctrl-C is for the program, which may still want to save what is here.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if inherited is not None:
        inherited.close()  # else this process would keep its own pipe open for ever
    if isinstance(given, bytes):
        given = _cloudpickle().loads(given)
    block = Block(*given)
    while True:
        try:
            command, arguments = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send((True, getattr(block, command)(*arguments)))
        except PhospheneError as error:
            pipe.send((False, error))
        if command == "close":
            return
