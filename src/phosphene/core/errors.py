"""Errors that a user can act on: one sentence with the value, what is allowed, the nearest match.

Everything here derives from ValueError. The command line prints the sentence and exits with 2;
from Python the exception carries the same sentence. Our own invariants use ``assert`` instead.
"""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "ChoiceError",
    "ConfigError",
    "DataError",
    "DivergedError",
    "EventError",
    "KernelError",
    "PhospheneError",
    "RunError",
    "UnknownNameError",
    "brief",
    "counted",
    "listed",
    "nearest",
]


class PhospheneError(ValueError):
    """Base of all errors that are the caller's to mend."""


class UnknownNameError(PhospheneError):
    """A name that is in no table: a system, a data set, a recipe, a setting.

    Example:
        >>> print(UnknownNameError("system", "vaee", ["vae", "glow"]))
        unknown system 'vaee'; did you mean 'vae'? Known: glow, vae
    """

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        close = nearest(name, known)
        hint = f"; did you mean {close!r}?" if close else "."
        super().__init__(f"unknown {what} {name!r}{hint} Known: {listed(known)}")


class ConfigError(PhospheneError):
    """A setting with a value that it cannot take."""


class ChoiceError(ConfigError, UnknownNameError):
    """A setting whose value is not one of those allowed.

    Example:
        >>> print(ChoiceError("norm", "groop", ("none", "group")))
        norm must be 'none' or 'group', got 'groop'; did you mean 'group'?
    """

    def __init__(self, what: str, value: object, allowed: Iterable[object]) -> None:
        names = [*map(repr, allowed)]
        close = nearest(repr(value), names) if isinstance(value, str) else None
        hint = f"; did you mean {close}?" if close else ""
        choices = " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))
        ValueError.__init__(self, f"{what} must be {choices}, got {brief(value)}{hint}")


class EventError(PhospheneError):
    """An event or context that a model cannot model, or a tensor that is not in its support."""


class DataError(PhospheneError):
    """Data that cannot be read, or is not what it says it is."""


class RunError(PhospheneError):
    """A run folder that is missing, in the way, incomplete or made by another configuration."""


class KernelError(PhospheneError):
    """Arguments that a kernel cannot take: a shape, a type, or a value out of its range."""


class DivergedError(PhospheneError):
    """Training met a loss or gradient that is not finite; the last good checkpoint is kept."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name closest to ``name``, or None when nothing is close."""
    close = get_close_matches(name.lower(), list(known), n=1, cutoff=0.5)
    return close[0] if close else None


def brief(value: object, most: int = 60) -> str:
    """A value as it is shown in a sentence: long ones are cut.

    Example:
        >>> brief("ab"), brief("a" * 100, 8), brief(10**5000)
        ("'ab'", "'aaaa...", '1e5000 or so')
    """
    try:
        text = repr(value)
    except ValueError:  # Python does not write whole numbers of more than 4300 digits
        assert isinstance(value, int)
        text = f"{'-' if value < 0 else ''}1e{int(value.bit_length() * 0.30103)} or so"
    return text if len(text) <= most else text[: most - 3] + "..."


def counted(n: int, one: str, many: str = "") -> str:
    """So many things.

    Args:
        n: How many.
        one: The word for one.
        many: For another number; with an s by default.

    Example:
        >>> counted(1, "mistake"), counted(2000, "mistake"), counted(0, "pass", "passes")
        ('1 mistake', '2000 mistakes', '0 passes')
    """
    return f"{n} {one if n == 1 else many or one + 's'}"


def listed(names: Iterable[str], most: int = 40) -> str:
    """Names joined by commas, cut after ``most`` of them."""
    names = list(names)
    extra = f", ... ({len(names) - most} more)" if len(names) > most else ""
    return ", ".join(names[:most]) + extra
