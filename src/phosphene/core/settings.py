"""Settings of systems: each is declared once, on a class or on a group of settings it takes in.

A setting is a field of a class, with its type, its range in the type, its default and one line of
help. Subclasses inherit settings, several groups can be taken in side by side, and the constructor
follows from what is declared. Type checkers see it too (``typing.dataclass_transform``).
"""

import inspect
import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast, get_type_hints

from phosphene.core.errors import UnknownNameError
from phosphene.core.ranges import check_declared

__all__ = [
    "Setting",
    "argument_help",
    "declare",
    "help_of",
    "pinned",
    "setting",
    "settings_of",
    "values_of",
]

T = TypeVar("T")
_NONE: Any = inspect.Parameter.empty
_OWN, _MADE = "_own_settings", "_settings"


@dataclass(frozen=True)
class Setting:
    """What is known of a setting.

    Args:
        name: The keyword of the constructor.
        attribute: Where an instance keeps the value.
        annotation: Its type, with its range.
        default: Its default; ``inspect.Parameter.empty`` where it must be given.
        help: One line.
        positional: Whether it may be given without its name.
        pinned: Whether it is not an argument.
    """

    name: str
    attribute: str
    annotation: Any
    default: Any
    help: str
    positional: bool = False
    pinned: bool = False

    @property
    def parameter(self) -> inspect.Parameter:
        """The constructor's parameter."""
        P = inspect.Parameter
        kind = P.POSITIONAL_OR_KEYWORD if self.positional else P.KEYWORD_ONLY
        return P(self.name, kind, default=self.default, annotation=self.annotation)


@dataclass(frozen=True)
class _Declared:
    """Stands for a setting in a class body until the class is made."""

    default: Any
    help: str = ""
    alias: str | None = None
    kw_only: bool = True
    pinned: bool = False


def setting(*, help: str, default: T = _NONE, alias: str | None = None, kw_only: bool = True) -> T:
    """Declare a setting, in the body of a class derived from ``Configured``.

    Args:
        help: One line: what the command line and the documents say of it.
        default: Its default; without one it must be given.
        alias: The keyword, where the attribute has another name since the keyword's is taken.
        kw_only: Whether it must be given by name.

    Example:
        >>> from phosphene.core.config import Configured
        >>> class Brick(Configured):
        ...     width: int = setting(default=8, help="In millimeters.")
        >>> Brick(width=3).width, Brick().config
        (3, {'width': 8})
    """
    return cast(T, _Declared(default, help, alias, kw_only))


def pinned(*, default: T = _NONE, init: Literal[False] = False) -> T:
    """Declare that what is a setting of the parent is none here.

    Args:
        default: Its value; without one, ``setup`` finds it.
        init: Says to type checkers that it is not an argument.

    Example:
        >>> from phosphene.core.config import Configured
        >>> class Brick(Configured):
        ...     width: int = setting(default=8, help="In millimeters.")
        >>> class Tile(Brick):
        ...     width: int = pinned(default=2)
        >>> Tile().width, Tile().config
        (2, {})
    """
    return cast(T, _Declared(default, pinned=not init))


def settings_of(cls: type) -> dict[str, Setting]:
    """The settings that a class declares and inherits, by keyword, in the constructor's order.

    None for a class that says in an ``__init__`` of its own what it takes.
    """
    made: dict[str, Setting] = vars(cls).get(_MADE, {})
    return made


def values_of(instance: object) -> dict[str, Any]:
    """The settings of an instance by keyword, those that its class declares or inherits.

    ``config`` has what it was built with, which a constructor that is written out may have changed.
    """
    declared = (settings_of(c) for c in type(instance).__mro__)
    settings = next((s for s in declared if s), {})
    return {name: getattr(instance, s.attribute) for name, s in settings.items()}


def help_of(cls: type) -> dict[str, str]:
    """Help of a constructor's arguments, by name: declared, or from the docstring's Args.

    The class's own docstring goes first: it may say more of what it inherits.
    """
    declared = {name: s.help for name, s in settings_of(cls).items()}
    return {**declared, **argument_help(cls.__doc__)}


def declare(cls: type, root: type) -> None:
    """Make the constructor of a new class derived from ``root`` of its settings, where it has any.

    Raises:
        TypeError: A setting has no type, or would not reach an ``__init__`` that is written out.
    """
    setattr(cls, _OWN, _own(cls))
    above = [c for c in cls.__mro__ if issubclass(c, root) and c is not root]
    by_hand = next((c for c in above if "__init__" in vars(c) and _MADE not in vars(c)), None)
    if by_hand is not None:
        lost = [s for c in above if c not in by_hand.__mro__[1:] for s in vars(c)[_OWN].values()]
        if lost:
            raise TypeError(
                f"{cls.__name__} declares {lost[0].name!r}, and {by_hand.__name__} has an __init__ "
                "of its own, which it would not reach"
            )
        return
    found = _collected(above)
    if not found:
        return
    taken = [s for s in found.values() if not s.pinned]
    setattr(cls, _MADE, {s.name: s for s in sorted(taken, key=lambda s: not s.positional)})
    _construct(cls)
    if cls.__doc__:
        cls.__doc__ = _documented(cls.__doc__, settings_of(cls).values())


def _own(cls: type) -> dict[str, Setting]:
    """Settings in a class's own body, by attribute; their defaults stay there."""
    body = {k: v for k, v in vars(cls).items() if isinstance(v, _Declared)}
    if not body:
        return {}
    annotations = inspect.get_annotations(cls)
    if any(isinstance(annotations.get(k), str) for k in body):
        annotations = get_type_hints(cls, include_extras=True)
    own = {}
    for attribute, d in body.items():
        if attribute not in annotations:
            raise TypeError(f"{cls.__name__}.{attribute} is declared without its type")
        name = d.alias or attribute
        kind = annotations[attribute]
        own[attribute] = Setting(
            name, attribute, kind, d.default, d.help, not d.kw_only, d.pinned
        )  # fmt: skip
        delattr(cls, attribute)
        if d.default is not _NONE:
            setattr(cls, attribute, d.default)
    return own


def _collected(above: list[type]) -> dict[str, Setting]:
    """By attribute: what every system has, then what is the class's own, then what it inherits."""
    owners = [c for c in above if vars(c)[_OWN]]
    found: dict[str, Setting] = {}
    for c in owners:  # the nearest declaration is the one that counts
        for attribute, s in vars(c)[_OWN].items():
            found.setdefault(attribute, s)
    first = vars(owners[-1])[_OWN] if owners else {}
    return {**{attribute: found[attribute] for attribute in first}, **found}


def _construct(cls: type) -> None:
    """Give a class its ``__init__``: take the settings, then call ``setup``."""
    settings = settings_of(cls)
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    signature = inspect.Signature([own, *(s.parameter for s in settings.values())])

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        values = vars(self).get("config") if type(self).__init__ is __init__ else None
        if values is None:  # called by a subclass with an __init__ of its own, or wrongly
            values = _bound(cls, signature, (self, *args), kwargs)
            check_declared({n: s.annotation for n, s in settings.items()}, values)
        cast(Any, cls)._begin(self)
        for s in settings.values():
            setattr(self, s.attribute, values[s.name])
        cast(Any, cls).setup(self)

    __init__.__signature__ = signature  # type: ignore[attr-defined]
    __init__.__annotations__ = {n: s.annotation for n, s in settings.items()} | {"return": None}
    __init__.__qualname__, __init__.__module__ = f"{cls.__qualname__}.__init__", cls.__module__
    cast(Any, cls).__init__ = __init__


def _bound(
    cls: type, signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """A call's arguments by name, with defaults.

    Raises:
        UnknownNameError: A keyword is not a setting; it names the nearest.
        TypeError: One is missing, or there are too many.
    """
    known = list(signature.parameters)[1:]
    for name in kwargs:
        if name not in known:
            raise UnknownNameError(f"setting of {cls.__name__}", name, known)
    try:
        arguments = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{cls.__name__}: {error}") from None
    arguments.apply_defaults()
    return dict(list(arguments.arguments.items())[1:])


_SECTION = re.compile(r"^Args:\n((?:[ ]+.*\n|\n)*)", re.M)
_AFTER_ARGS = re.compile(r"^(Returns|Raises|Examples?|Note):$", re.M)
_WIDTH = 100


def argument_help(doc: str | None) -> dict[str, str]:
    """The Args section of a docstring in Google style: name to text on one line.

    Example:
        >>> argument_help(setting.__doc__)["kw_only"]
        'Whether it must be given by name.'
    """
    found: dict[str, str] = {}
    section = _SECTION.search(inspect.cleandoc(doc or "") + "\n")
    name = ""
    for line in section[1].splitlines() if section else []:
        start = re.match(r"    (\w+)(?: \([^)]*\))?: (.*)", line)
        if start:
            name, found[start[1]] = start[1], start[2].strip()
        elif name and line.strip():
            found[name] += " " + line.strip()
    return found


def _documented(doc: str, settings: Iterable[Setting]) -> str:
    """A docstring whose Args explain every setting, in the constructor's order."""
    text = inspect.cleandoc(doc) + "\n"
    said = argument_help(text)
    lines = [f"{s.name}: {said.get(s.name, s.help)}" for s in settings]
    indents = {"initial_indent": " " * 4, "subsequent_indent": " " * 8}
    filled = [textwrap.fill(line, _WIDTH - 4, **indents) for line in lines]  # type: ignore[arg-type]
    args = "Args:\n" + "\n".join(filled) + "\n\n"
    if (section := _SECTION.search(text)) or (section := _AFTER_ARGS.search(text)):
        end = section.end() if section[0].startswith("Args") else section.start()
        return text[: section.start()] + args + text[end:]
    return text + "\n" + args
