"""Ranges of settings, declared where the settings are. It imports no torch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from phosphene.core.errors import ChoiceError, ConfigError, brief

__all__ = [
    "COUNT",
    "MOST_SEED",
    "SEED",
    "Count",
    "Fraction",
    "Natural",
    "NotNegative",
    "Part",
    "Positive",
    "Several",
    "Within",
    "check_declared",
]

MOST_SEED = 2**63 - 1
"""What a seed may be at most; the least is 0."""
_MOST = 2**31 - 1


@dataclass(frozen=True)
class Within:
    """The least and the greatest value of a number, or of each of several.

    It stands in the annotation of a setting or an option, ``Annotated[int, Within(1, 100)]``, and
    is checked where the setting is taken.

    Args:
        least: Allowed itself, unless ``above``.
        most: Allowed itself; infinity for any finite number.
        above: Whether ``least`` is too little.
        below: Whether ``most`` is too much.

    Example:
        >>> Within(1, 100).check("fps", 30)
        >>> Within(0, above=True).check("sigma", 0.0)
        Traceback (most recent call last):
        ...
        phosphene.core.errors.ConfigError: sigma must be above 0, got 0.0
    """

    least: float
    most: float = math.inf
    above: bool = False
    below: bool = False

    def check(self, name: str, value: Any) -> None:
        """Refuse what lies outside; None and what is not a number are somebody else's matter."""
        for number in value if isinstance(value, tuple | list) else (value,):
            if isinstance(number, bool) or not isinstance(number, int | float):
                continue
            low = self.least < number if self.above else self.least <= number
            high = number < self.most if self.below else number <= self.most
            if not (low and high and number != math.inf):
                told = self._lower if not low and self.most == _MOST else str(self)
                raise ConfigError(f"{name} must be {told}, got {brief(value)}")

    @property
    def _lower(self) -> str:
        return f"{'above' if self.above else 'at least'} {self.least}"

    def __str__(self) -> str:
        if self.most == math.inf:
            return self._lower
        least = self._lower
        return f"{least} and {'below' if self.below else 'at most'} {self.most}"


SEED = Within(0, MOST_SEED)
COUNT = Within(1, _MOST)

Count = Annotated[int, COUNT]
Several = Annotated[int, Within(2, _MOST)]
Natural = Annotated[int, Within(0, _MOST)]
Positive = Annotated[float, Within(0, above=True)]
NotNegative = Annotated[float, Within(0)]
Part = Annotated[float, Within(0, 1)]
Fraction = Annotated[float, Within(0, 1, below=True)]


def check_declared(annotations: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Refuse values that their annotations do not allow, and numbers that no machine holds.

    Numbers must be in the declared range, choices among those of a ``Literal``; where one number is
    declared, text or a tuple is none, and 1.5 is none where a whole one is.

    Example:
        >>> check_declared({"width": Count}, {"width": 8, "name": "a"})
    """
    for name, value in values.items():
        annotation = annotations.get(name)
        for within in getattr(annotation, "__metadata__", ()):
            if isinstance(within, Within):
                within.check(name, value)
        kind = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
        no_number = (*_NO_NUMBERS, float) if kind in (int, int | None) else _NO_NUMBERS
        if _is_number(kind) and isinstance(value, no_number):
            whole = "whole " if kind in (int, int | None) else ""
            raise ConfigError(f"{name} must be a {whole}number, got {brief(value)}")
        choices = _choices(kind)
        if choices and not any(type(value) is type(c) and value == c for c in choices):
            raise ChoiceError(name, value, choices)
        for number in value if isinstance(value, tuple | list) else (value,):
            if isinstance(number, float) and not math.isfinite(number):
                raise ConfigError(f"{name} must be a finite number, got {number}")
            if isinstance(number, int) and abs(number) > _MOST:
                raise ConfigError(f"{name} must be at most {_MOST}, got {brief(number)}")


_NO_NUMBERS = (str, tuple, list, dict)


def _is_number(kind: Any) -> bool:
    """Whether a type has numbers alone, perhaps None beside them."""
    parts = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    return set(parts) <= {int, float, type(None)} and kind is not type(None)


def _choices(kind: Any) -> tuple[Any, ...]:
    """The values of a ``Literal``, perhaps with None beside it; empty for any other type."""
    if get_origin(kind) is Literal:
        return get_args(kind)
    if get_origin(kind) in (Union, UnionType):
        parts = [(None,) if part is type(None) else _choices(part) for part in get_args(kind)]
        return tuple(chain(*parts)) if all(parts) else ()
    return ()
