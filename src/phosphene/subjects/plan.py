"""What a training will do, worked out and checked before anything is written."""

import datetime
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from phosphene import catalog
from phosphene.catalog.recipe import Recipe, Stage
from phosphene.core.config import SCHEMA, encode, parameters_of
from phosphene.core.errors import ConfigError, RunError, UnknownNameError
from phosphene.core.stages import Staged
from phosphene.core.subject import Source
from phosphene.core.trainable import Trainable, load_tensors
from phosphene.train.building import build
from phosphene.train.folder import WEIGHTS, Run, read_tensors, versions
from phosphene.train.runtime import Runtime
from phosphene.train.settings import Budget, TrainSettings

__all__ = [
    "Plan",
    "Request",
    "Subject",
    "about",
    "check_name",
    "initialize",
    "new_folder",
    "plan_training",
    "slug",
    "sort_overrides",
]

_PRECISIONS = ("fp32", "bf16", "auto")


@dataclass(kw_only=True)
class Request:
    """What somebody asks of a training.

    Args:
        system: A name of the catalogue; of a model that is handed over, its class.
        options: Those of the kind of subject, by name; what nobody said is missing.
        made: A model that is handed over; None builds one.
        budget: None takes the recipe's.
        seed: Of weights, batches and noise.
        name: Of the run's folder; None makes one up.
        recipe: Its name, or the recipe itself.
        folder: Where runs are kept.
        model: Hyperparameters.
        train: Trainer settings.
        overrides: Either, by their plain names.
        precision: None takes the recipe's.
        compile: Whether to try it.
        init_from: A run whose weights are the start.
        trust: On resume, whether to follow what the run names.
    """

    system: str
    options: Mapping[str, Any]
    made: Trainable | None = None
    budget: str | None = None
    seed: int = 0
    name: str | None = None
    recipe: str | Recipe = "default"
    folder: Path = field(default_factory=lambda: Path("runs"))
    model: Mapping[str, Any] = field(default_factory=dict)
    train: Mapping[str, Any] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    precision: str | None = None
    compile: bool = False
    init_from: str | Path | None = None
    trust: bool = False

    def base(self) -> type[Trainable]:
        """The class of what is trained.

        Raises:
            ConfigError: It is not trained.
        """
        cls = type(self.made) if self.made is not None else catalog.find(self.system).load()
        if not (isinstance(cls, type) and issubclass(cls, Trainable)):
            raise ConfigError(
                f"{self.system!r} is not trained; see `phosphene prove {self.system}`"
            )
        return cls


class Subject:
    """What one training learns from, opened once: what a kind must say of it, and what it may.

    Subclasses set ``name``, ``spec`` and ``recipe``, and write ``record`` and ``source``.
    """

    name: str
    """Its address, as it is recorded and shown."""
    spec: Any
    """What a model is built for: an event, the specification of an environment, ..."""
    recipe: Recipe
    """Whose settings hold where nobody says otherwise."""
    given: Any = None
    """What the caller handed over that no address names; None for nothing."""
    told: Any = None
    """What the model is conditioned on; None for nothing."""
    size: int = 0
    """Examples; 0 where these are not counted."""
    notes: tuple[str, ...] = ()
    """What the user should know."""

    def settle(
        self, settings: TrainSettings, budget: Budget, asked: Mapping[str, Any]
    ) -> TrainSettings:
        """The trainer's settings as they suit the subject; refuses what cannot be."""
        return settings

    def admit(self, model: Any) -> None:
        """Refuse a model that cannot learn from it, before anything is written."""

    def record(self) -> dict[str, Any]:
        """What ``run.json`` says of it, ``kind`` and its option among that."""
        raise NotImplementedError

    def source(self, plan: "Plan", runtime: Runtime) -> Source:
        """Open the source of batches."""
        raise NotImplementedError

    def judge(self, plan: "Plan", runtime: Runtime) -> Any:
        """What decides which weights are the best (a Judge); None for nothing."""
        return None

    def threads(self, plan: "Plan", source: Any) -> int:
        """CPU threads, where nobody says how many."""
        return 1

    def close(self) -> None:
        """Give back what was opened."""


@dataclass
class Plan:
    """A training, ready to run.

    Args:
        model: Built, with its first weights.
        subject: What it learns from.
        settings: How to train.
        budget: How long.
        where: The run folder.
        record: What ``run.json`` holds.
        resume: Whether the run has a checkpoint to go on from.
        begun: Whether its folder exists without one: it was stopped before the first.
        unnamed: Whether nobody chose the folder's name, so that another one will do.
        made: A model of somebody's own class, which no catalogue builds again.
        given: What was handed over in place of an address, which nobody else can open.
    """

    model: Any
    subject: Any
    settings: TrainSettings
    budget: Budget
    where: Path
    record: dict[str, Any]
    resume: bool = False
    begun: bool = False
    unnamed: bool = False
    made: Any = None
    given: Any = None


def plan_training(ask: Request, opened: Subject) -> Plan:
    """Resolve constructor defaults < recipe < what the caller says; see ``train``."""
    model, train = sort_overrides(ask)
    chosen = opened.recipe
    budget = Budget.parse(chosen.budget if ask.budget is None else ask.budget)
    settings = TrainSettings(**{**chosen.train, **train})
    precision = ask.precision or chosen.precision
    if precision not in _PRECISIONS:
        raise UnknownNameError("precision", precision, _PRECISIONS)
    built = _built(ask, opened, {**chosen.model, **model})
    if ask.init_from is not None:
        initialize(built, Path(ask.init_from))
    opened.admit(built)
    settings = opened.settle(settings, budget, {**train, "precision": precision})
    where = new_folder(ask.folder, ask.name, ask.system, opened.name)
    record = {
        **about(ask, chosen, built, settings, budget, precision),
        **opened.record(),
        "init_from": None if ask.init_from is None else str(ask.init_from),
    }
    if isinstance(built, Staged):
        record["stages"] = _stages(built.stages, chosen, train, precision)
    return Plan(
        built, opened, settings, budget, where, record,
        unnamed=ask.name is None, made=ask.made, given=opened.given,
    )  # fmt: skip


def _built(ask: Request, opened: Subject, settings: Mapping[str, Any]) -> Any:
    if ask.made is None:
        return build(ask.system, opened.spec, opened.told, ask.seed, **settings)
    given = ask.made.config[next(iter(ask.made.config))]
    if given != opened.spec:
        raise ConfigError(
            f"the {type(ask.made).__name__} was built for {given}, and {opened.name!r} holds "
            f"{opened.spec}"
        )
    return ask.made


def sort_overrides(ask: Request) -> tuple[dict[str, Any], dict[str, Any]]:
    """Plain names go to the model if its constructor knows them, else to the trainer."""
    model, train = dict(ask.model), dict(ask.train)
    cls = ask.base()
    own = set(parameters_of(cls.__init__)) - {"context"} if ask.made is None else set()
    trainer = {f.name for f in fields(TrainSettings)}
    for name, value in ask.overrides.items():
        if name in own:
            model[name] = value
        elif name in trainer:
            train[name] = value
        else:
            raise UnknownNameError("setting", name, own | trainer)
    for name in train:
        if name not in trainer:
            raise UnknownNameError("trainer setting", name, trainer)
    if ask.made is not None and model:
        raise ConfigError(
            f"the {cls.__name__} is built already, with {next(iter(model))} as it is: settings of "
            "the model go to its constructor"
        )
    cls.check_settings(model)
    return model, train


def _empty(folder: Path) -> bool:
    """Whether a folder holds nothing but what a training leaves that was killed as it began."""
    return folder.is_dir() and all(
        entry.name == ".lock" or entry.name.startswith(".run.") for entry in folder.iterdir()
    )


def check_name(name: str) -> str:
    """The name of a run or a comparison, which is a folder below that of all runs.

    Raises:
        ConfigError: It is empty, leads elsewhere or cannot be the name of a folder.

    Example:
        >>> check_name("a"), check_name("course/week-1")
        ('a', 'course/week-1')
    """
    parts = Path(name).parts
    plain = name.strip() and all(c.isprintable() for c in name)
    if not plain or not parts or Path(name).is_absolute() or ".." in parts or name[0] in "~-":
        raise ConfigError(
            f"a run's name is that of a folder below the folder of runs, such as 'first', got "
            f"{name!r}"
        )
    return name


def new_folder(folder: Path, name: str | None, system: str, subject: str) -> Path:
    """Where a run will be written: its name, or system, data or environment, and date."""
    where = folder / (f"{system}-{slug(subject)}-{_now()}" if name is None else check_name(name))
    if name is not None and where.exists() and not _empty(where):
        raise RunError(
            f"the run folder {str(where)!r} exists; choose another --name, or add --resume"
        )
    return where


def about(
    ask: Request,
    recipe: Recipe,
    model: Trainable,
    settings: TrainSettings,
    budget: Budget,
    precision: str,
) -> dict[str, Any]:
    """What the record of any training holds."""
    return {
        "schema": SCHEMA,
        "system": ask.system,
        "recipe": recipe.name,
        "model": encode(model.config),
        "train": encode(settings),
        "budget": str(budget),
        "seed": ask.seed,
        "precision": precision,
        "compile": ask.compile,
        "versions": versions(),
        "directory": os.getcwd(),
        "command": " ".join([os.path.basename(sys.argv[0] or "python"), *sys.argv[1:]]),
        "started": _now(),
    }


def _now() -> str:
    return datetime.datetime.now().strftime("%Y%m%d-%H%M%S")


def _stages(
    names: Sequence[str], recipe: Recipe, train: Mapping[str, Any], precision: str
) -> dict[str, Any]:
    """How each stage is trained: the recipe's common settings < its stage's < the caller's."""
    told: dict[str, Any] = {}
    for name in names:
        stage = recipe.stages.get(name, Stage(share=1 / len(names), precision=precision))
        settings = {**recipe.train, **stage.train, **train}
        TrainSettings(**settings)
        told[name] = {"share": stage.share, "train": settings, "precision": stage.precision}
    return told


def initialize(model: Trainable, path: Path) -> None:
    """Begin with the weights of a run."""
    run = Run(path)
    if not run.weights:
        raise RunError(f"{str(path)!r} holds no weights")
    file = run.path / "model" / WEIGHTS[run.weights[0]]
    load_tensors(model, read_tensors(file), str(file))


def slug(text: str) -> str:
    """A name for a file or folder."""
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in text)[:40].strip("-")
