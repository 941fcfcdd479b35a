"""``phosphene compare``: several systems, one budget, one table."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

from phosphene.cli.console import ScoringConsole, TrainingConsole
from phosphene.cli.kinds import arguments_for, options_said
from phosphene.cli.output import print_json, print_table, screen
from phosphene.cli.parsing import parse
from phosphene.cli.text import written
from phosphene.core.errors import ConfigError
from phosphene.core.ranges import COUNT

if TYPE_CHECKING:
    from phosphene.api.compare import Comparison


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Train several systems on the same codes, or agents in one environment, and compare them.

    Rows are sorted within a kind of score; a bound is never ranked against an exact value.

    Args:
        systems: Names of the catalogue.
        budget: Budget of each training; recipe gives each system its own recipe's.
        seeds: How many trainings of each system; scores are means over them.
        recipe: Recipe whose settings each system starts from.
        name: Name of the folder below runs/.
        threads: Threads of torch; by default the fastest for each system.
        device: Where to train.
        trust: Has no effect: what is compared is named here, and so trusted already.
        json: Print the table as JSON; progress goes to stderr.
    """

    systems: Positional[Annotated[tuple[str, ...], arg(metavar="SYSTEM...")]] = ()
    budget: Annotated[str, arg(metavar="BUDGET")] = "30s"
    seeds: Annotated[int, arg(metavar="N"), COUNT] = 1
    recipe: Annotated[str, arg(metavar="RECIPE")] = "default"
    name: Annotated[str | None, arg(metavar="NAME", help_behavior_hint="")] = None
    threads: Annotated[int | None, arg(metavar="N", help_behavior_hint="")] = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    trust: FlagCreatePairsOff[bool] = False
    json: FlagCreatePairsOff[bool] = False


def plain_arguments() -> Any:
    """The options of all kinds of subjects, for completion."""
    return arguments_for(Arguments, "compare")


def main(argv: Sequence[str]) -> int:
    """Compare systems."""
    every = arguments_for(Arguments, "compare")
    arguments = parse(every, argv, "phosphene compare")
    if not arguments.systems:
        raise ConfigError(
            "phosphene compare needs systems, such as 'phosphene compare vae beta-vae'"
        )
    from phosphene.api.compare import compare

    notes = screen(stderr=True)

    def announce(text: str) -> None:
        told.stop()
        notes.print(written(text, sys.stderr), style="bold")

    with TrainingConsole() as console, ScoringConsole() as told:
        comparison = compare(
            arguments.systems,
            budget=None if arguments.budget == "recipe" else arguments.budget,
            seeds=arguments.seeds,
            recipe=arguments.recipe,
            name=arguments.name,
            threads=arguments.threads,
            device=arguments.device,
            listeners=[console],
            progress=told,
            announce=announce,
            **options_said(every, Arguments, arguments, argv),
        )
    if arguments.json:
        rows = [entry.to_json() for entry in comparison.entries]
        print_json({"path": str(comparison.path), **comparison.about, "rows": rows})
    else:
        _show(comparison)
    return 0


def _show(comparison: "Comparison") -> None:
    for table in comparison.tables:
        print_table(
            table.columns,
            table.rows,
            title=table.title,
            right=table.right,
            optional=table.optional,
        )
    out = screen()
    if len(comparison.tables) > 1:
        out.print("Rows are ranked within a table only: the values are not of one kind.\n")
    for name in ("compare.json", "compare.png", "report.html"):
        if (comparison.path / name).exists():
            out.print(written(str(comparison.path / name)))
