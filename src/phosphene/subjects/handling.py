"""What can be done with a kind of subject: the verbs ask this, and know no kind.

A kind is a folder: a row (:class:`phosphene.catalog.kind.Kind`) in ``kind.py``, and beside it what
it opens, how it is judged, scored, reported and compared. Outside packages name their row by the
entry point ``phosphene.kinds``.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Literal,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from phosphene import catalog
from phosphene.catalog.kind import Kind, kind_called, kind_of_record, kind_of_system, kinds
from phosphene.catalog.recipe import Recipe, named
from phosphene.core.config import parameters_of
from phosphene.core.errors import ConfigError, RunError, UnknownNameError
from phosphene.core.protocols import available_if
from phosphene.core.ranges import check_declared
from phosphene.core.settings import argument_help
from phosphene.core.trainable import Trainable
from phosphene.evaluate.score import Score
from phosphene.subjects.flags import Flag
from phosphene.subjects.results import Comparison, Evaluation, Sampled

if TYPE_CHECKING:  # what trains is not needed for the options of a command
    from phosphene.subjects.plan import Plan, Request
    from phosphene.train.folder import Run

__all__ = [
    "Handling",
    "handling_of",
    "of_run",
    "of_system",
    "refuse_foreign",
    "taken",
]


class Handling:
    """What can be done with one kind of subject.

    Subclasses set ``kind``, and write what is not written here.
    """

    kind: ClassVar[Kind]
    methods: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """The methods of a system that a verb may call; by default, that of the verb's name."""

    # -- training ---------------------------------------------------------------------------------

    def recipe(self, system: str, address: str | None, name: str) -> Recipe:
        """The recipe for a subject that is not opened yet."""
        known = named(system, name)
        return known[0] if known else Recipe(name="default", system=system, budget="60s")

    def open(self, ask: "Request") -> Any:
        """What a training learns from (:class:`~phosphene.subjects.plan.Subject`)."""
        raise NotImplementedError

    def reopen(self, ask: "Request", run: "Run", record: dict[str, Any]) -> Any:
        """The same for a training that goes on; refuses what it did not begin with."""
        given = ask.options.get(self.kind.option)
        own = record[self.kind.option]
        if given not in (None, own):
            raise RunError(f"{str(run.path)!r} was trained on {own!r}, not {given!r}")
        options = {**ask.options, self.kind.option: self.address(run, trust=ask.trust)}
        ask.options = options
        return self.open(ask)

    def plan(self, ask: "Request") -> "Plan":
        """A training that begins."""
        from phosphene.subjects.plan import plan_training, sort_overrides

        sort_overrides(ask)  # a name that is wrong costs no loading
        return plan_training(ask, self.open(ask))

    def resume(self, ask: "Request") -> "Plan":
        """A training that goes on."""
        from phosphene.subjects.resume import plan_resume, recorded

        run, record = recorded(ask)
        return plan_resume(ask, run, record, self.reopen(ask, run, record))

    # -- runs -------------------------------------------------------------------------------------

    def called(self, value: Any) -> str:
        """The name of what the caller hands over in place of an address."""
        return str(value)

    def address(self, run: "Run", *, trust: bool = False) -> Any:
        """What a run learned from, or what the caller put in its place."""
        return run.config[self.kind.option] if run.said is None else run.said

    def subject(self, run: "Run") -> str:
        """Its name."""
        own: str = run.config[self.kind.option]
        return own if run.said is None else self.called(run.said)

    def evaluate(self, run: "Run", *, seed: int, progress: Any, **options: Any) -> Evaluation:
        """Every score that is true."""
        raise NotImplementedError

    def report(self, run: "Run", scores: Mapping[str, Score], *, seed: int) -> Path:
        """Write ``report.html`` into a run: its scores, the kind's sections, its settings."""
        from phosphene.subjects.pages import write_page

        return write_page(run, scores, self.sections(run, seed=seed))

    def sections(self, run: "Run", *, seed: int) -> Sequence[str]:
        """Sections of the report, in HTML (:mod:`phosphene.evaluate.page`)."""
        return ()

    def own_settings(self, run: "Run", verb: str) -> dict[str, inspect.Parameter]:
        """Settings of a system's own for a verb, which become options of the command line.

        They are the keyword-only parameters of its methods for the verb which have a default,
        except those that the kind's options name or that no command line can say.
        """
        options = self.kind.options_of(verb)
        known = set() if options is None else {f.name for f in fields(cast(Any, options))}
        found: dict[str, inspect.Parameter] = {}
        for name in self.methods.get(verb, (verb,)):
            for setting, p in _settings(getattr(_class_of(run), name, None)).items():
                if setting not in known:
                    found.setdefault(setting, p)
        return found

    def sample(
        self, run: "Run", *, seed: int, out: Any, sampler: Mapping[str, Any], **options: Any
    ) -> "Sampled":
        """Draw, render or otherwise show what was learned."""
        raise ConfigError(
            f"{str(run.path)!r} is the run of {self.kind.learner}: it draws no samples"
        )

    # -- comparisons ------------------------------------------------------------------------------

    def check_comparison(self, systems: Sequence[str], recipe: str, **options: Any) -> Any:
        """Everything that can be wrong is found before the first training."""
        from phosphene.subjects.plan import Request

        for system in systems:
            self.open(Request(system=system, options=options, recipe=recipe))

    def compare(
        self,
        where: Path,
        systems: Sequence[str],
        runs: Sequence[Sequence["Run"]],
        scores: Sequence[Sequence[Mapping[str, Score]]],
        about: Mapping[str, Any],
        checked: Any,
    ) -> Comparison:
        """Put trainings side by side, ranked by the first score that has a direction."""
        from phosphene.subjects.pages import compare_scores

        return compare_scores(where, systems, runs, scores, about)


_OF_EVERY_SAMPLER = ("generator", "each", "context", "seed")


def _settings(method: Any) -> dict[str, inspect.Parameter]:
    """The keyword-only parameters of a method which have a default and can be said in a command."""
    method = method.function if isinstance(method, available_if) else method
    if not callable(method):
        return {}
    hints, helps = get_type_hints(method, include_extras=True), argument_help(method.__doc__)
    return {
        name: p.replace(annotation=Annotated[hints[name], Flag(help=helps.get(name, ""))])
        for name, p in parameters_of(method).items()
        if p.default is not p.empty and _plain(hints.get(name)) and name not in _OF_EVERY_SAMPLER
    }


def _class_of(run: "Run") -> type:
    """The class of what was trained, of the catalogue; nothing is loaded."""
    rows = {row.name: row for row in catalog.systems()}
    row = rows.get(run.config["system"])
    return type(run.model) if row is None else cast(type, row.load())


def _plain(kind: Any) -> bool:
    """Whether values of a type are numbers, words or a choice, so that a command line says them."""
    kind = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if get_origin(kind) in (Union, UnionType):
        return all(part is type(None) or _plain(part) for part in get_args(kind))
    return kind in (int, float, bool, str) or get_origin(kind) is Literal


def handling_of(system: str | Trainable) -> Handling:
    """What can be done with what a system learns from.

    Raises:
        ConfigError: It is not trained.
    """
    if isinstance(system, str):
        row = catalog.find(system)
        kind = kind_of_system(row.kind)
        if kind is None:
            does = catalog.RUN_BY.get(row.kind)
            how = f": run it with 'phosphene {does} {system}'" if does else ", which is not trained"
            raise ConfigError(f"{system!r} is a {row.kind}{how}")
    elif isinstance(system, Trainable):
        kind = kind_called(system.learns_from)
    else:
        raise ConfigError(
            f"train takes the name of a system, or a model, got a {type(system).__name__}"
        )
    handling: Handling = kind.load()
    return handling


def of_system(kind: str) -> Handling | None:
    """What can be done with what the systems of a kind of the catalogue learn from."""
    found = kind_of_system(kind)
    return None if found is None else found.load()


def of_run(run: "Run") -> Handling:
    """What can be done with what a run learned from."""
    kind = kind_of_record(run.config)
    assert kind is not None  # its record was checked
    handling: Handling = kind.load()
    return handling


def taken(
    handling: Handling, verb: str, options: Mapping[str, Any], what: str = ""
) -> dict[str, Any]:
    """The options of a verb for a kind of subject, with defaults; refuses others in one sentence.

    Args:
        handling: Of the kind.
        verb: ``train``, ``evaluate``, ``sample`` or ``compare``.
        options: As they were said; None is what nobody said.
        what: The system or the run, as errors name it.

    Raises:
        ConfigError: An option is another kind's, or has a value that it cannot take.
        UnknownNameError: It is nobody's.
    """
    cls: Any = handling.kind.options_of(verb)
    own = set() if cls is None else {f.name for f in fields(cls)}
    said = {name: value for name, value in options.items() if value is not None}
    for name in said:
        if name not in own:
            refuse_foreign(handling.kind, name, verb, what)
            raise UnknownNameError(f"option of {verb} for {handling.kind.learner}", name, own)
    if cls is None:
        return {}
    value = cls(**said)
    hints = get_type_hints(cls, include_extras=True)
    check_declared(hints, {name: getattr(value, name) for name in own})
    return {f.name: getattr(value, f.name) for f in fields(cls)}


def refuse_foreign(kind: Kind, name: str, verb: str, what: str = "") -> None:
    """Say whose an option is, where it is that of another kind of subject.

    Raises:
        ConfigError: It is.
    """
    for other in kinds():
        cls = cast(Any, other.options_of(verb))
        if other.name == kind.name or cls is None or name not in {f.name for f in fields(cls)}:
            continue
        flag = name.replace("_", "-")
        this = (
            f"{what} is {kind.learner}"
            if verb == "train"
            else f"{what} is the run of {kind.learner}"
        )
        this = this if what else f"this is {kind.learner}"
        if name == other.option:
            raise ConfigError(
                f"{this}: it takes {kind.called} (--{kind.option}), not {other.called} (--{flag})"
            )
        raise ConfigError(f"{this}: --{flag} is for {other.learner}")
