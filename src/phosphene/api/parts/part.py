"""A part of a model as a plain module of torch, and the list of those that there are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from phosphene.evaluate.registry import Registry

__all__ = ["PARTS", "Part", "parts_of"]

Made = tuple[nn.Module, tuple[Tensor, ...]]


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part that can be written for programs without phosphene.

    Args:
        name: As ``--what`` names it.
        source: What its first input is called.
        target: What its output is called.
        needs: The capabilities a model has it by.
        make: From a model, which it may change, and a number of rows: the part as a module, and
            example inputs.
        place: Where it stands among the others; a model's first is exported where none is named.
    """

    name: str
    source: str
    target: str
    needs: tuple[type, ...]
    make: Callable[[Any, int], Made]
    place: float


PARTS: Registry[Part] = Registry(
    "part of a model", files=("api/parts/*.py",), group="phosphene.parts"
)
"""All parts; other packages add theirs by the entry point ``phosphene.parts``."""


def parts_of(model: object) -> tuple[Part, ...]:
    """What can be exported of a model, by what it can do."""
    return tuple(part for part in PARTS if all(isinstance(model, need) for need in part.needs))
