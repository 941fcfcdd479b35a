"""Arguments as frozen dataclasses, parsed by tyro; its error boxes become one sentence."""

import dataclasses
import math
import re
import sys
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import tyro

from phosphene.core.errors import ConfigError, listed, nearest
from phosphene.core.ranges import Within

__all__ = ["check_ranges", "expressible", "flags", "mentioned", "options", "parse"]

T = TypeVar("T")


def parse(
    cls: type[T], argv: Sequence[str], prog: str, *, default: T | None = None, strict: bool = True
) -> T:
    """Parse a command's arguments.

    Args:
        cls: A frozen dataclass; its docstring's Args are the help.
        argv: What follows the command.
        prog: The command as the user types it, such as ``phosphene train``.
        default: Values to start from and to show in the help.
        strict: Refuse unknown options, with the nearest one. Otherwise they are left for later.

    Raises:
        ConfigError: An option is unknown, lacks a value or has one that it cannot take.
    """
    _refuse_empty(argv)
    told, shown = StringIO(), _Held()
    options: dict[str, Any] = {} if default is None else {"default": default}
    try:
        with redirect_stderr(told), redirect_stdout(shown):
            parsed: tuple[T, list[str]] = tyro.cli(
                cls, args=list(argv), prog=prog, return_unknown_args=True, **options
            )
    except SystemExit as stop:
        if stop.code in (0, None):  # --help
            print(_wrapped(shown.getvalue()), end="")
            raise
        raise ConfigError(_sentence(told.getvalue(), prog)) from None
    value, unknown = parsed
    if unknown and strict:
        raise ConfigError(_unknown(unknown, flags(cls), prog))
    check_ranges(value)
    return value


class _Held(StringIO):
    """Keeps what the parser prints; colored where stdout would be."""

    def isatty(self) -> bool:
        return sys.__stdout__ is not None and sys.__stdout__.isatty()


def _wrapped(text: str) -> str:
    """Help whose first lines, above the boxes, are as narrow as these."""
    head, corner, boxes = text.partition("╭")
    lines = []
    for line in head.split("\n"):
        plain = re.sub("\x1b\\[[0-9;]*m", "", line)
        indent = " " * 8 if plain.startswith("usage: ") else ""
        parts = textwrap.wrap(plain, _WIDTH, subsequent_indent=indent, break_on_hyphens=False)
        lines += [line] if len(plain) <= _WIDTH else parts
    return "\n".join(lines) + corner + boxes


def _refuse_empty(argv: Sequence[str]) -> None:
    """An option that is empty is a variable of a shell that was not set, and no default."""
    for before, token in zip(("", *argv), argv, strict=False):
        name, equals, value = token.partition("=")
        if token.startswith("--") and equals and not value:
            raise ConfigError(f"{name} is empty; leave it out, or say what it shall be")
        digits = value or token
        if digits.lstrip("+-").isdecimal() and len(digits) > _MOST_DIGITS:
            what = name if equals else before
            raise ConfigError(f"{what} is a number of {len(digits):,} digits, which nothing takes")
        if not token:
            what = before if before.startswith("-") and "=" not in before else "an argument"
            raise ConfigError(f"{what} is empty; leave it out, or say what it shall be")


_WIDTH, _MOST_DIGITS = 80, 300
_WHOLE = Within(1 - 2**63, 2**63 - 1)


def check_ranges(value: Any, prefix: str = "--") -> None:
    """Refuse numbers out of the range that their annotation declares, or that no machine holds.

    Example:
        >>> @dataclasses.dataclass
        ... class Arguments:
        ...     fps: Annotated[int, Within(1, 100)] = 30
        >>> check_ranges(Arguments(fps=25))
    """
    hints = get_type_hints(type(value), include_extras=True)
    for f in dataclasses.fields(value):
        own, name = getattr(value, f.name), prefix + f.name.replace("_", "-")
        if dataclasses.is_dataclass(own):
            check_ranges(own, name + ".")
            continue
        notes = getattr(hints[f.name], "__metadata__", ())
        declared = [m for m in notes if isinstance(m, Within)]
        for alias in (a for m in notes for a in getattr(m, "aliases", None) or ()):
            name = alias  # the short name is the one that people type
        for number in own if isinstance(own, tuple) else (own,):
            if isinstance(number, bool) or not isinstance(number, int | float):
                continue
            for within in declared:
                within.check(name, number)
            if isinstance(number, int):
                _WHOLE.check(name, number)
            elif not math.isfinite(number):
                raise ConfigError(f"{name} must be a finite number, got {number}")


def mentioned(argv: Sequence[str], flag: str) -> bool:
    """Whether an option was given, as ``--a-b``, ``--a_b``, ``--a-b=1`` or ``--no-a-b``.

    Example:
        >>> mentioned(["vae", "--train.batch_size=32"], "--train.batch-size")
        True
    """
    group, _, name = flag.removeprefix("--").rpartition(".")
    spellings = {flag, f"--{group}.no-{name}" if group else f"--no-{name}"}
    return any(token.partition("=")[0].replace("_", "-") in spellings for token in argv)


def flags(cls: type, prefix: str = "") -> list[str]:
    """The options of a dataclass, with those of its parts: ``--seed``, ``--train.lr``.

    Example:
        >>> from phosphene.train.settings import Budget
        >>> flags(Budget)
        ['--seconds', '--steps', '--epochs']
    """
    names = []
    for f in dataclasses.fields(cls):
        name = prefix + f.name.replace("_", "-")
        if isinstance(f.type, type) and dataclasses.is_dataclass(f.type):
            names += flags(f.type, name + ".")
        else:
            names.append("--" + name)
    return names


def _unknown(tokens: list[str], known: list[str], prog: str) -> str:
    token = next((t for t in tokens if t.startswith("-")), tokens[0])
    if not token.startswith("-"):
        return f"unexpected argument {token!r}; '{prog} --help' lists what {prog} takes"
    name = token.partition("=")[0]
    close = _by_last_part(name, known) or nearest(name, known)
    hint = f"; did you mean {close!r}?" if close else f". Known: {listed(known)}"
    return f"unknown option {name!r}{hint}"


def _by_last_part(name: str, known: list[str]) -> str | None:
    """``--lr`` means ``--train.lr``, which a comparison of letters does not see."""
    last = {k.rpartition(".")[2].removeprefix("--"): k for k in known}
    return last.get(name.rpartition(".")[2].lstrip("-"))


_COULD = r".* could be instantiated from \['(.*)'\]\.?"
_REWRITES = (
    (r"^Error parsing (train|model): ", r"--\1: "),
    (r"^Error parsing (\S+): ", r"\1: "),
    (r"Exceeds the limit \(\d+ digits\).*", "expected a whole number, got one of too many digits"),
    (r"invalid literal for int\(\) with base 10: ", "expected a whole number, got "),
    (r"could not convert string to float: ", "expected a number, got "),
    (r"no type matching (?=.*INT.*could)" + _COULD, r"expected a whole number, got '\1'"),
    (r"no type matching (?=.*FLOAT.*could)" + _COULD, r"expected a number, got '\1'"),
    (r"Could not find valid parse for arguments: \[(.*)\]", r"cannot be read from \1"),
    (r"Missing value for argument '(\S+)'\. Expected 1 values\.", r"\1 needs a value"),
    (r"Missing value for argument '(\S+)'\. Expected (\d+) values\.", r"\1 needs \2 values"),
)


def _sentence(box: str, prog: str) -> str:
    """What the parser drew in a box, as one sentence: its body up to the first rule."""
    body: list[str] = []
    for line in box.splitlines()[1:]:  # the first line is the title
        text = re.sub(r"^[\s│╰─╯-]+|[\s│╰─╯-]+$", "", line)
        if text:
            body.append(text)
        elif body:
            break
    text = " ".join(body)
    missing = re.match(r"Missing from .*?: (\S+)", text)
    if missing:
        return f"{prog} needs {missing[1]}; '{prog} --help' says what that is"
    choice = re.match(r"invalid choice '(.*)' for argument '(.*)'\. Expected one of \((.*)\)", text)
    if choice:
        allowed = re.findall(r"'([^']*)'", choice[3])
        close = nearest(choice[1], allowed)
        hint = f"; did you mean {close!r}?" if close else "."
        return f"{choice[2]} cannot be {choice[1]!r}{hint} Allowed: {listed(allowed)}"
    for pattern, replacement in _REWRITES:
        text = re.sub(pattern, replacement, text)
    return text or f"'{prog}' could not read its arguments; '{prog} --help' lists them"


def options(
    name: str, types: Mapping[str, Any], helps: Mapping[str, str], defaults: Mapping[str, Any]
) -> type:
    """Make a frozen dataclass of options from their types, help texts and defaults.

    Example:
        >>> Model = options("Model", {"width": int}, {"width": "Of a layer."}, {"width": 8})
        >>> Model(), flags(Model)
        (Model(width=8), ['--width'])
    """
    fields: list[Any] = []
    for key, kind in types.items():
        note = tyro.conf.arg(help=helps.get(key, "").replace("``", ""))
        fields.append((key, Annotated[kind, note], dataclasses.field(default=defaults[key])))
    return dataclasses.make_dataclass(name, fields, frozen=True, kw_only=True)


def expressible(kind: Any) -> bool:
    """Whether values of a type can be written on a command line.

    Example:
        >>> expressible(tuple[int, ...] | None), expressible(dict)
        (True, False)
    """
    if kind in (int, float, str, bool, None, type(None), ...):
        return True
    if get_origin(kind) is Annotated:
        return expressible(get_args(kind)[0])
    if get_origin(kind) is Literal:
        return True
    if get_origin(kind) in (tuple, Sequence, Union, UnionType):
        return all(expressible(part) for part in get_args(kind))
    return False
