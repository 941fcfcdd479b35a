"""Options after the question mark of a name, as the types that a function takes."""

import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from phosphene.core.config import parameters_of
from phosphene.core.errors import ConfigError, UnknownNameError, brief
from phosphene.core.ranges import check_declared

__all__ = ["convert", "guess", "settings"]

_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def settings(
    what: str,
    function: Callable[..., Any],
    options: Mapping[str, str],
    also: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Options as keyword-only arguments of a function.

    Args:
        what: Whose options they are.
        function: What takes them.
        options: Their names and texts.
        also: Options that somebody else takes, to suggest.

    Raises:
        UnknownNameError: It has no such argument.
        ConfigError: The text cannot be what the argument is.

    Example:
        >>> def board(*, size: int = 8, slip: float = 0.0) -> None: ...
        >>> settings("board", board, {"size": "4", "slip": "0.1"})
        {'size': 4, 'slip': 0.1}
    """
    known = parameters_of(function)
    for name in options:
        if name not in known:
            raise UnknownNameError(f"option of {what}", name, [*known, *also])
    return {
        name: convert(what, name, text, known[name].annotation) for name, text in options.items()
    }


def convert(what: str, name: str, text: str, kind: Any) -> Any:
    """Text as a bool, int, float or str, or as one of them or None.

    Example:
        >>> convert("FrozenLake-v1", "is_slippery", "false", bool)
        False
    """
    if isinstance(kind, types.UnionType):
        kind = next(part for part in typing.get_args(kind) if part is not type(None))
    try:
        if kind is bool:
            return _WORDS[text.lower()]
        value = kind(text)
        check_declared({}, {f"option {name!r} of {what}": value})
        return value
    except (KeyError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        wanted = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
        raise ConfigError(
            f"option {name!r} of {what} must be {wanted}, got {brief(text)}"
        ) from None


def guess(text: str) -> bool | int | float | str | None:
    """Text as what it looks like, for functions that do not say what they take.

    Example:
        >>> [guess(text) for text in ("true", "4", "0.5", "none", "8x8")]
        [True, 4, 0.5, None, '8x8']
    """
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if text.lower() == "none":
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
