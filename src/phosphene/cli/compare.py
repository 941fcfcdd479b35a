"""``phosphene compare``: several systems, one budget, one table."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

from phosphene.cli.console import ScoringConsole, TrainingConsole, number
from phosphene.cli.output import print_json, print_table, screen
from phosphene.cli.parsing import mentioned, parse
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
        data: A data set's name; phosphene data lists them.
        env: An environment: then the systems are agents, ranked by the returns of their episodes.
        budget: Of each training; recipe gives each system its own recipe's.
        seeds: How many trainings of each system; scores are means over them.
        recipe: Whose settings each system starts from.
        name: Of the folder below runs/.
        episodes: Played for each score of an agent.
        samples: Samples drawn for the distances.
        particles: Importance-weighted particles an example; 500, or 1 for flows, whose bound is
            that of dequantization.
        threads: Threads of torch; by default the fastest for each system.
        device: Where to train.
        trust: Taken as everywhere; what is compared is named here, and so is trusted already.
        json: Print the table as JSON; progress goes to stderr.
    """

    systems: Positional[Annotated[tuple[str, ...], arg(metavar="SYSTEM...")]] = ()
    data: Annotated[str, arg(metavar="DATA")] = "digits-binary"
    env: Annotated[str | None, arg(metavar="ENV", help_behavior_hint="")] = None
    budget: Annotated[str, arg(metavar="BUDGET")] = "30s"
    seeds: Annotated[int, arg(metavar="N"), COUNT] = 1
    recipe: Annotated[str, arg(metavar="RECIPE")] = "default"
    name: Annotated[str | None, arg(metavar="NAME", help_behavior_hint="")] = None
    episodes: Annotated[int, arg(metavar="N"), COUNT] = 100
    samples: Annotated[int, arg(metavar="N"), COUNT] = 1000
    particles: Annotated[int | None, arg(metavar="K", help_behavior_hint=""), COUNT] = None
    threads: Annotated[int | None, arg(metavar="N", help_behavior_hint="")] = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    trust: FlagCreatePairsOff[bool] = False
    json: FlagCreatePairsOff[bool] = False


def main(argv: Sequence[str]) -> int:
    """Compare systems."""
    arguments = parse(Arguments, argv, "phosphene compare")
    if not arguments.systems:
        raise ConfigError(
            "phosphene compare needs systems, such as 'phosphene compare vae beta-vae'"
        )
    if arguments.env is not None:
        if mentioned(argv, "--data"):
            raise ConfigError("systems are compared on --data or in --env, not in both")
        return _agents(arguments)
    from phosphene.api.compare import compare

    notes = screen(stderr=True)

    def announce(text: str) -> None:
        told.stop()
        notes.print(written(text, sys.stderr), style="bold")

    with TrainingConsole() as console, ScoringConsole() as told:
        comparison = compare(
            arguments.systems,
            data=arguments.data,
            budget=None if arguments.budget == "recipe" else arguments.budget,
            seeds=arguments.seeds,
            recipe=arguments.recipe,
            name=arguments.name,
            samples=arguments.samples,
            particles=arguments.particles,
            threads=arguments.threads,
            device=arguments.device,
            listeners=[console],
            progress=told,
            announce=announce,
        )
    if arguments.json:
        print_json(
            {
                "path": str(comparison.path),
                "data": arguments.data,
                "budget": arguments.budget,
                "seeds": arguments.seeds,
                "rows": [entry.to_json() for entry in comparison.entries],
            }
        )
    else:
        _show(comparison)
    return 0


def _agents(arguments: Arguments) -> int:
    from phosphene.api.compare_agents import compare_agents

    assert arguments.env is not None
    notes = screen(stderr=True)

    def announce(text: str) -> None:
        told.stop()
        notes.print(written(text, sys.stderr), style="bold")

    with TrainingConsole() as console, ScoringConsole() as told:
        comparison = compare_agents(
            arguments.systems,
            env=arguments.env,
            budget=None if arguments.budget == "recipe" else arguments.budget,
            seeds=arguments.seeds,
            episodes=arguments.episodes,
            recipe=arguments.recipe,
            name=arguments.name,
            threads=arguments.threads,
            listeners=[console],
            progress=told,
            announce=announce,
        )
    if arguments.json:
        rows = [entry.to_json() for entry in comparison.entries]
        print_json({"path": str(comparison.path), "env": arguments.env, "rows": rows})
        return 0
    columns = ("agent", "iqm", "95 % interval", "worst seed", "steps", "seconds")
    print_table(
        columns,
        [
            (
                e.system,
                number(e.iqm),
                f"{number(e.interval[0])} .. {number(e.interval[1])}",
                number(min(e.returns)),
                f"{e.steps:,.0f}",
                f"{e.seconds:.1f}",
            )
            for e in comparison.entries
        ],
        title=f"Returns in {arguments.env}, interquartile mean over {arguments.seeds} seeds",
        right=columns[1:],
    )
    for name in ("compare.json", "compare.png", "report.html"):
        screen().print(written(str(comparison.path / name)))
    return 0


def _show(comparison: "Comparison") -> None:
    from phosphene.evaluate.comparison import extras

    for heading, group in comparison.groups.items():
        shown = extras(group)
        columns = ("system", "value", "± stderr", "kind", *shown, "parameters", "steps")
        rows = []
        for entry in group:
            score = entry.scores[entry.main]
            error = "" if score.stderr is None else f"{score.stderr:.2g}"
            others = [number(entry.scores[c].value) if c in entry.scores else "" for c in shown]
            size = (f"{entry.parameters:,}", f"{entry.steps:,.0f}")
            rows.append((entry.system, number(entry.value), error, score.kind, *others, *size))
        print_table(
            columns,
            rows,
            title=heading,
            right=[c for c in columns if c not in ("system", "kind")],
            optional=("parameters", "steps", "kind", *shown),
        )
    out = screen()
    if len(comparison.groups) > 1:
        out.print("Rows are ranked within a table only: the values are not of one kind.\n")
    for name in ("compare.json", "compare.png", "report.html"):
        out.print(written(str(comparison.path / name)))
