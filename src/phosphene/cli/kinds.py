"""Options of a command that depend on the kind of subject; each kind declares its own."""

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeGuard, get_args, get_origin, get_type_hints

from tyro.conf import FlagCreatePairsOff, arg

from phosphene.catalog.kind import Kind, kinds
from phosphene.cli.parsing import mentioned
from phosphene.core.settings import argument_help
from phosphene.subjects.flags import Flag

__all__ = ["arguments_for", "extended", "options_said", "quiet", "subject_options"]


def quiet(default: str) -> str:
    """The hint of an option whose default is the recipe's, where no recipe is known yet."""
    return "" if default == "None" else f"(default: {default})"


def arguments_for(
    base: type,
    verb: str,
    kind: Kind | None = None,
    more: Mapping[str, inspect.Parameter] | None = None,
) -> Any:
    """The arguments of a command, with what may be said of a kind of subject; None for all kinds.

    Args:
        base: A frozen dataclass: what the command takes whatever is learned from.
        verb: ``train``, ``evaluate``, ``sample`` or ``compare``.
        kind: Whose options; of an option that several have, the first one's help is shown.
        more: Parameters of what the system itself has for the verb.
    """
    parts: dict[str, Any] = {}
    for each in (kind,) if kind else kinds():
        cls: Any = each.options_of(verb)
        for name, part in _fields(cls) if cls is not None else ():
            parts.setdefault(name, part)
    for name, p in (more or {}).items():
        told = next((n.help for n in getattr(p.annotation, "__metadata__", ()) if _flag(n)), "")
        text = f"{told or f'{verb}({name}=...).'} (Of this system.)".replace("``", "")
        hint = quiet(str(p.default))
        note = arg(help=text, help_behavior_hint=hint)
        parts.setdefault(
            name, (Annotated[p.annotation, note], dataclasses.field(default=p.default))
        )
    return extended(base, parts)


def _flag(note: Any) -> TypeGuard[Flag]:
    return isinstance(note, Flag)


def subject_options(base: type, *only: Kind) -> Any:
    """The arguments of a command, with each kind's own option: what stands in for a run's."""
    parts: dict[str, Any] = {}
    for each in only or kinds():
        cls: Any = each.options_of("evaluate")
        known = dict(_fields(cls)) if cls is not None else {}
        if each.option in known:
            parts.setdefault(each.option, known[each.option])
    return extended(base, parts)


def options_said(cls: Any, base: type, value: Any, argv: Sequence[str]) -> dict[str, Any]:
    """Those of the kinds' options that were given on the command line."""
    plain = {f.name for f in dataclasses.fields(base)}
    own = {f.name: f.type for f in dataclasses.fields(cls) if f.name not in plain}
    return {
        name: getattr(value, name)
        for name, kind in own.items()
        if mentioned(argv, f"--{name.replace('_', '-')}") or _short(argv, kind)
    }


def _short(argv: Sequence[str], kind: Any) -> bool:
    """Whether an option was given by its short name: ``-n 3``, ``-n3``."""
    notes = getattr(kind, "__metadata__", ())
    shorts = [a for note in notes for a in getattr(note, "aliases", None) or ()]
    return any(t.startswith(short) and not t.startswith("--") for t in argv for short in shorts)


def _fields(cls: Any) -> list[tuple[str, tuple[Any, Any]]]:
    helps, hints = argument_help(cls.__doc__), get_type_hints(cls, include_extras=True)
    found = []
    for f in dataclasses.fields(cls):
        hint = hints[f.name]
        notes = getattr(hint, "__metadata__", ())
        shown = next((n for n in notes if isinstance(n, Flag)), Flag())
        if shown.hidden:
            continue
        plain = get_args(hint)[0] if get_origin(hint) is Annotated else hint
        extra: dict[str, Any] = {"help": helps.get(f.name, "").replace("``", "")}
        if shown.metavar:
            extra["metavar"] = shown.metavar
        if shown.short:
            extra["aliases"] = (shown.short,)
        if plain is not bool and shown != Flag():
            extra["help_behavior_hint"] = quiet if shown.default else ""
        kind = FlagCreatePairsOff[bool] if plain is bool else plain
        ranges = tuple(n for n in notes if not isinstance(n, Flag))
        noted: Any = Annotated.__class_getitem__((kind, arg(**extra), *ranges))  # type: ignore[attr-defined]
        found.append((f.name, (noted, dataclasses.field(default=f.default))))
    return found


def extended(base: type, parts: dict[str, Any]) -> Any:
    """The arguments of a command, with more fields: name to a noted type and a field."""
    taken = {f.name for f in dataclasses.fields(base)}
    fields: list[Any] = [(name, *part) for name, part in parts.items() if name not in taken]
    made = dataclasses.make_dataclass(
        base.__name__, fields, bases=(base,), frozen=True, kw_only=True
    )
    made.__doc__ = base.__doc__
    made.__module__ = base.__module__
    return made
