"""``phosphene evaluate``: scores with their kinds, errors and floors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

from phosphene.cli.console import ScoringConsole, number
from phosphene.cli.output import note, print_json, print_table
from phosphene.cli.parsing import parse
from phosphene.cli.runs import open_run, tell
from phosphene.core.ranges import COUNT, SEED

if TYPE_CHECKING:
    from phosphene.evaluate.score import Score


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Score a run on held-out data or in fresh episodes, and write evaluation.json into it.

    Likelihoods say what they are: exact, a bound, importance-weighted, an estimate. Distances
    stand beside their floor, which is what real data gets against real data.

    Args:
        run: A run folder, or its name below runs/.
        samples: How many samples are drawn for the distances.
        particles: Importance-weighted particles an example; 500, or 1 for flows, whose bound is
            that of dequantization.
        episodes: How many an agent plays, none of them met in training; 100 by default.
        sampled: Let an agent draw its actions as it explores, instead of taking the best.
        split: The examples to score on.
        seed: The same seed gives the same scores.
        data: Other data to score on, of the model's event.
        env: Another environment to play in, of the same observations and actions.
        trust: Use what the run names to be imported, run or fetched; see the page on runs.
        json: Print one JSON object; progress goes to stderr.
    """

    run: Positional[Annotated[str, arg(metavar="RUN")]]
    samples: Annotated[int, arg(metavar="N"), COUNT] = 1000
    particles: Annotated[int | None, arg(metavar="K", help_behavior_hint=""), COUNT] = None
    episodes: Annotated[int | None, arg(metavar="N", help_behavior_hint=""), COUNT] = None
    sampled: FlagCreatePairsOff[bool] = False
    split: Literal["test", "validation", "train"] = "test"
    seed: Annotated[int, SEED] = 0
    data: Annotated[str | None, arg(metavar="DATA", help_behavior_hint="")] = None
    env: Annotated[str | None, arg(metavar="ENV", help_behavior_hint="")] = None
    trust: FlagCreatePairsOff[bool] = False
    json: FlagCreatePairsOff[bool] = False


def main(argv: Sequence[str]) -> int:
    """Score a run."""
    arguments = parse(Arguments, argv, "phosphene evaluate")
    run = open_run(arguments.run, data=arguments.data, env=arguments.env, trust=arguments.trust)
    from phosphene.api.evaluate import evaluate

    with ScoringConsole() as told:
        scores = evaluate(
            run,
            samples=arguments.samples,
            particles=arguments.particles,
            episodes=arguments.episodes,
            greedy=not arguments.sampled,
            split=arguments.split,
            seed=arguments.seed,
            progress=told,
        )
    tell(run)
    if arguments.json:
        print_json({name: score.to_json() for name, score in scores.items()})
    else:
        where = f"in {run.env}" if run.env else f"on {run.data}, {arguments.split} split"
        print_scores(scores, f"{run.path} {where}")
    for name, why in getattr(scores, "left_out", {}).items():
        note(f"{name} is left out: {why}")
    return 0


def _value(score: "Score") -> str:
    """A number; what is counted is not rounded."""
    whole = score.kind == "count" and score.value % 1 == 0
    return f"{score.value:,.0f}" if whole else number(score.value)


def print_scores(scores: Mapping[str, "Score"], title: str) -> None:
    """Scores as a table."""
    from phosphene.evaluate.metric import unit

    print_table(
        ("score", "value", "± stderr", "floor", "kind", "note"),
        [
            (
                name,
                f"{_value(s)} {unit(name)}".strip(),
                "" if s.stderr is None else f"{s.stderr:.2g}",
                "" if s.floor is None else number(s.floor),
                s.kind,
                s.note or "",
            )
            for name, s in scores.items()
        ],
        title=title,
        right=("value", "± stderr", "floor"),
        optional=("note",),
    )
