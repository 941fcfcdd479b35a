"""``phosphene train``: options from the system's constructor, defaults from its recipe."""

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

from tyro.conf import FlagCreatePairsOff, Positional, arg

from phosphene.cli.console import TrainingConsole
from phosphene.cli.kinds import arguments_for, options_said, quiet
from phosphene.cli.output import print_json, screen
from phosphene.cli.parsing import expressible, mentioned, options, parse
from phosphene.cli.text import written
from phosphene.core.config import parameters_of
from phosphene.core.errors import ConfigError
from phosphene.core.progress import Finished
from phosphene.core.ranges import SEED
from phosphene.core.settings import help_of
from phosphene.train.settings import TrainSettings

if TYPE_CHECKING:
    from phosphene.train.folder import Run

PROG = "phosphene train"


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Train a system. With a system named, the help lists its settings and its recipe's values.

    Ctrl-C ends the training after the step in hand, with a checkpoint: --resume goes on from it.

    Args:
        system: What to train; phosphene systems lists them.
        budget: How long: 60s, 10m, 2h, 3000steps or 5epochs; steps of an agent are environment
            steps.
        recipe: Which recipe's settings to start from: default, paper, ...
        name: The run is written to runs/NAME; by default, system, data and date.
        seed: Seed of weights, batches and noise.
        threads: Threads of torch; by default those that make the first steps fastest.
        resume: Go on from the last checkpoint of --name.
        device: Where to train.
        precision: bf16 computes products in bfloat16; auto uses it where a probe shows it pays.
        compile: Compile the model, where that works.
        init_from: A run whose weights to start from.
        from_run: A run that is the first stage of a system with stages; it is not trained again.
        trust: With --resume, follow what the run names to be imported, run or fetched.
        json: Print one JSON object when done; progress goes to stderr.
    """

    system: Positional[Annotated[str, arg(metavar="SYSTEM", help_behavior_hint="")]] = ""
    budget: Annotated[str | None, arg(metavar="BUDGET", help_behavior_hint=quiet)] = None
    recipe: Annotated[str, arg(metavar="RECIPE")] = "default"
    name: Annotated[str | None, arg(metavar="NAME", help_behavior_hint="")] = None
    seed: Annotated[int, SEED] = 0
    threads: Annotated[int | None, arg(metavar="N", help_behavior_hint="")] = None
    resume: FlagCreatePairsOff[bool] = False
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Annotated[
        Literal["fp32", "bf16", "auto"] | None,
        arg(metavar="{fp32,bf16,auto}", help_behavior_hint=quiet),
    ] = None
    compile: FlagCreatePairsOff[bool] = False
    init_from: Annotated[str | None, arg(metavar="RUN", help_behavior_hint="")] = None
    from_run: Annotated[str | None, arg(name="from", metavar="RUN", help_behavior_hint="")] = None
    trust: FlagCreatePairsOff[bool] = False
    json: FlagCreatePairsOff[bool] = False


def main(argv: Sequence[str]) -> int:
    """Train, and say where the run lies."""
    from phosphene import catalog

    plain = plain_arguments()
    first = parse(plain, [a for a in argv if a not in ("-h", "--help")], PROG, strict=False)
    if first.system in ("", "[]"):  # the latter: an unknown option came before the name
        parse(plain, argv, PROG)
        raise ConfigError(f"{PROG} needs a system first, such as '{PROG} vae'")
    from phosphene.subjects.handling import handling_of, refuse_foreign

    system = catalog.find(first.system)
    handling = handling_of(system.name)
    kind = handling.kind
    own = arguments_for(Arguments, "train", kind)
    for name in options_said(arguments_for(Arguments, "train"), Arguments, first, argv):
        if not hasattr(own, name):
            refuse_foreign(kind, name, "train", repr(system.name))
    recipe = handling.recipe(system.name, getattr(first, kind.option), first.recipe)
    model = _model_options(system.load(), recipe.model)
    complete = _with_parts(own, _trainer_options(recipe.train), model)
    known = {f.name for f in dataclasses.fields(own)}
    suited: dict[str, Any] = {"budget": recipe.budget, "precision": recipe.precision}
    own_values = {kind.option: recipe.on or None, "labels": recipe.labels}
    suited |= {name: value for name, value in own_values.items() if name in known}
    shown = complete(system=system.name, **suited)
    arguments = parse(complete, argv, PROG, default=shown)
    with TrainingConsole() as console:
        run = _train(arguments, options_said(own, Arguments, arguments, argv), argv, console)
    return _report(run, arguments, console)


def plain_arguments() -> Any:
    """The options that every system shares, for help and completion without a system."""
    return _with_parts(arguments_for(Arguments, "train"), _trainer_options({}))


def _train(
    arguments: Any, options: Mapping[str, Any], argv: Sequence[str], console: TrainingConsole
) -> "Run":
    from phosphene.api.train import train

    # What was not given is left to the recipe, or to the run that is resumed.
    def top(name: str) -> Any:
        return getattr(arguments, name) if mentioned(argv, f"--{name}") else None

    return train(
        arguments.system,
        budget=top("budget"),
        precision=top("precision"),
        seed=top("seed"),
        name=arguments.name,
        recipe=top("recipe"),
        resume=arguments.resume,
        model=_given(arguments.model, "model", argv),
        train=_given(arguments.train, "train", argv),
        device=arguments.device,
        threads=arguments.threads,
        compile=top("compile"),
        init_from=arguments.init_from,
        first=arguments.from_run,
        trust=arguments.trust,
        listeners=[console],
        **options,
    )


def _given(part: Any, prefix: str, argv: Sequence[str]) -> dict[str, Any]:
    """The settings that the user gave: these, and only these, override the recipe."""
    return {
        f.name: getattr(part, f.name)
        for f in dataclasses.fields(part)
        if mentioned(argv, f"--{prefix}.{f.name.replace('_', '-')}")
    }


def _model_options(cls: Any, recipe: Mapping[str, Any]) -> type:
    """The constructor's keyword arguments, except what the data decides (the context)."""
    hints = get_type_hints(cls.__init__, include_extras=True)
    parameters = parameters_of(cls.__init__)
    names = [n for n in parameters if n != "context" and expressible(hints.get(n))]
    for name in recipe:
        if name not in parameters:
            raise ConfigError(f"the recipe names a setting {name!r} that {cls.__name__} lacks")
    defaults = {n: recipe.get(n, parameters[n].default) for n in names}
    return options("Model", {n: hints[n] for n in names}, help_of(cls), defaults)


def _trainer_options(recipe: Mapping[str, Any]) -> type:
    types = get_type_hints(TrainSettings)
    defaults = {f.name: recipe.get(f.name, f.default) for f in dataclasses.fields(TrainSettings)}
    return options("Trainer", types, help_of(TrainSettings), defaults)


def _with_parts(base: type, trainer: type, model: type | None = None) -> Any:
    """The top-level arguments with ``--model.*`` and ``--train.*`` beside them."""
    parts: list[Any] = [("train", trainer, dataclasses.field(default=trainer()))]
    if model is not None:
        parts.insert(0, ("model", model, dataclasses.field(default=model())))
    return dataclasses.make_dataclass("Train", parts, bases=(base,), frozen=True, kw_only=True)


def _steps(finished: Finished | None) -> dict[str, int | None]:
    """Steps of a training; where the source has a clock, its, with those of validation."""
    if finished is None:
        return {"steps": None}
    if finished.clock is None:
        return {"steps": finished.step}
    return {"steps": finished.clock, finished.validation_name: finished.validation_clock}


def _report(run: "Run", arguments: Any, console: TrainingConsole) -> int:
    stopped = console.finished is not None and console.finished.reason == "interrupted"
    if arguments.json:
        finished, best = console.finished, console.best
        print_json(
            {
                "run": str(run.path),
                "system": arguments.system,
                run.kind.option: run.subject,
                **_steps(finished),
                "seconds": round(finished.seconds, 3) if finished else None,
                "reason": finished.reason if finished else None,
                "validation": best.scores if best else {},
            }
        )
    elif not stopped:
        out, typed = screen(), shlex.quote(str(run.path))
        out.print(written(f"run: {run.path}"))
        out.print(written(f"  phosphene evaluate {typed}"), style="dim")
        out.print(written(f"  phosphene report {typed}"), style="dim")
    if stopped:
        raise ConfigError(
            f"interrupted, with a checkpoint in {run.path}: '{PROG} {arguments.system} "
            f"--name {run.path.name} --resume' goes on from it"
        )
    return 0
