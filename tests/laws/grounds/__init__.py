"""Where the laws of a row stand: for each kind of system that learns, how small ones are built.

A kind adds one file here, with a ``GROUND``.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from phosphene.catalog import System

__all__ = ["GROUNDS", "Ground"]


@dataclass(frozen=True)
class Ground:
    """How the laws build the systems of one kind.

    Args:
        kind: Of the catalogue.
        base: What each of them is.
        events: What the laws can make for a row.
        small: Of a row, all that is built of it: what its constructor takes first, and settings.
        laws: Those of the built, by name.
        explains: Whether the paper is named by the docstring of the class, or anywhere in its file.
    """

    kind: str
    base: type
    events: Callable[[System], Collection[str]]
    small: Callable[[System], list[tuple[Any, dict[str, Any]]]]
    laws: Mapping[str, Callable[..., None]]
    explains: bool = False


def _found() -> dict[str, Ground]:
    files = sorted(Path(__file__).parent.glob("[a-z]*.py"))
    grounds = [import_module(f"{__name__}.{file.stem}").GROUND for file in files]
    return {ground.kind: ground for ground in grounds}


GROUNDS = _found()
