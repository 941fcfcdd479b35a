"""Ranges of settings, declared where the settings are. It imports no torch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from phosphene.core.errors import ConfigError, brief

__all__ = [
    "COUNT",
    "MOST_SEED",
    "SEED",
    "Count",
    "Natural",
    "NotNegative",
    "Part",
    "Positive",
    "Within",
    "check_declared",
]

MOST_SEED = 2**63 - 1
"""What a seed may be at most; the least is 0."""
_MOST = 2**31 - 1


@dataclass(frozen=True)
class Within:
    """What a number, or each of several, may be at least and at most.

    It stands in the annotation of a setting or an option, ``Annotated[int, Within(1, 100)]``, and
    is checked where the setting is taken.

    Args:
        least: Allowed itself, unless ``above``.
        most: Allowed itself; infinity for any finite number.
        above: Whether ``least`` is too little.

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

    def check(self, name: str, value: Any) -> None:
        """Refuse what lies outside; None and what is no number are somebody else's matter."""
        for number in value if isinstance(value, tuple | list) else (value,):
            if isinstance(number, bool) or not isinstance(number, int | float):
                continue
            low = self.least < number if self.above else self.least <= number
            if not (low and number <= self.most and number != math.inf):
                raise ConfigError(f"{name} must be {self}, got {brief(value)}")

    def __str__(self) -> str:
        least = f"{'above' if self.above else 'at least'} {self.least}"
        return least if self.most == math.inf else f"{least} and at most {self.most}"


SEED = Within(0, MOST_SEED)
COUNT = Within(1, _MOST)

Count = Annotated[int, COUNT]
Natural = Annotated[int, Within(0, _MOST)]
Positive = Annotated[float, Within(0, above=True)]
NotNegative = Annotated[float, Within(0)]
Part = Annotated[float, Within(0, 1)]


def check_declared(annotations: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Refuse values out of the ranges that stand in their annotations, and what no machine holds.

    Example:
        >>> check_declared({"width": Count}, {"width": 8, "name": "a"})
    """
    for name, value in values.items():
        declared = getattr(annotations.get(name), "__metadata__", ())
        for within in declared:
            if isinstance(within, Within):
                within.check(name, value)
        for number in value if isinstance(value, tuple | list) else (value,):
            if isinstance(number, float) and not math.isfinite(number):
                raise ConfigError(f"{name} must be a finite number, got {number}")
            if isinstance(number, int) and abs(number) > _MOST:
                raise ConfigError(f"{name} must be at most {_MOST}, got {brief(number)}")
