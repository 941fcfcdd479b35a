"""Checks of values in a JSON file that may come from anybody."""

import re
from collections.abc import Callable
from typing import Any

__all__ = [
    "LONG",
    "NAME",
    "Check",
    "flag",
    "is_object",
    "number",
    "or_none",
    "text_of",
    "texts",
    "whole",
]

Check = Callable[[Any], bool]

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # what a terminal would obey


def flag(value: Any) -> bool:
    """True or false."""
    return isinstance(value, bool)


def whole(value: Any) -> bool:
    """A whole number, 0 or more, that 64 bits hold."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def number(value: Any) -> bool:
    """A number that is not beyond all measure."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e18


def text_of(most: int) -> Check:
    """Text of so many characters at most, without what a terminal would obey."""

    def check(value: Any) -> bool:
        return isinstance(value, str) and len(value) <= most and not CONTROL.search(value)

    return check


def is_object(value: Any) -> bool:
    """A JSON object."""
    return isinstance(value, dict)


def or_none(check: Check) -> Check:
    """What passes a check, or null."""
    return lambda value: value is None or check(value)


def texts(value: Any, most: int) -> bool:
    """A list of so many short texts at most."""
    return isinstance(value, list) and len(value) <= most and all(map(NAME, value))


NAME, LONG = text_of(4096), text_of(100_000)
