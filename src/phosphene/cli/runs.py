"""Runs by path or by name."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, cast

from phosphene.cli.kinds import arguments_for, options_said, subject_options
from phosphene.cli.parsing import parse

if TYPE_CHECKING:
    from phosphene.train.folder import Run

__all__ = ["open_run", "parse_run", "parse_verb", "tell"]


def open_run(text: str, *, trust: bool = False, said: Mapping[str, Any] | None = None) -> "Run":
    """The run at a path, or of that name below ``runs``; see Run for the rest.

    Raises:
        RunError: There is none; the nearest is offered, or those that are there.
        ConfigError: What stands in for its subject is of another kind.
    """
    from phosphene.train.folder import Run, find_run

    run = Run(find_run(text), trust=trust, **(said or {}))
    run.said  # noqa: B018 - refuses what is of another kind
    return run


def parse_run(base: type, argv: Sequence[str], prog: str) -> tuple[Any, "Run"]:
    """The arguments of a command about a run, and the run, with what stands in for its subject."""
    cls = subject_options(base)
    arguments = parse(cls, argv, prog)
    said = options_said(cls, base, arguments, argv)
    return arguments, open_run(arguments.run, trust=arguments.trust, said=said)


def parse_verb(
    base: type, verb: str, argv: Sequence[str]
) -> tuple[Any, "Run", dict[str, Any], dict[str, Any]]:
    """The arguments of a verb that each kind of subject has options of.

    Returns:
        The arguments, the run, those of the kind's options that were given, and those of the
        system's own.
    """
    prog, every = f"phosphene {verb}", arguments_for(base, verb)
    plain = [a for a in argv if a not in ("-h", "--help")]
    if not any(not a.startswith("-") for a in plain):
        parse(every, argv, prog)  # help, or an error, without a run
    first = parse(every, plain, prog, strict=False)
    run = open_run(first.run, trust=first.trust)
    from phosphene.subjects.handling import of_run, refuse_foreign

    known = run.kind.options_of(verb)
    names = set() if known is None else {f.name for f in fields(cast(Any, known))}
    more = of_run(run).own_settings(run, verb)
    for name in options_said(every, base, first, argv):
        if name not in names and name not in more:
            refuse_foreign(run.kind, name, verb, repr(str(run.path)))
    own = arguments_for(base, verb, run.kind, more)
    arguments = parse(own, argv, prog)
    said = options_said(own, base, arguments, argv)
    address = said.pop(run.kind.option, None)
    if address is not None:
        run = open_run(arguments.run, trust=arguments.trust, said={run.kind.option: address})
    return (
        arguments,
        run,
        {n: v for n, v in said.items() if n in names},
        {n: v for n, v in said.items() if n not in names},
    )


def tell(run: "Run") -> None:
    """Print what was noticed of the data that a run names."""
    from phosphene.cli.output import note

    for text in run.notes:
        note(f"note: {text}")
