"""``phosphene evaluate``: scores with their kinds, errors and floors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import FlagCreatePairsOff, Positional, arg

from phosphene.cli.console import ScoringConsole
from phosphene.cli.kinds import arguments_for
from phosphene.cli.output import note, print_json, print_table
from phosphene.cli.runs import parse_verb, tell
from phosphene.core.number_format import number
from phosphene.core.ranges import SEED

if TYPE_CHECKING:
    from phosphene.evaluate.score import Score


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Score a run on held-out data or in fresh episodes, and write evaluation.json into it.

    Likelihoods say what they are: exact, a bound, importance-weighted, an estimate. Distances
    stand beside their floor, which is what real data gets against real data.

    Args:
        run: A run folder, or its name below runs/.
        seed: The same seed gives the same scores.
        trust: Use what the run names to be imported, run or fetched; see the page on runs.
        json: Print one JSON object; progress goes to stderr.
    """

    run: Positional[Annotated[str, arg(metavar="RUN")]]
    seed: Annotated[int, SEED] = 0
    trust: FlagCreatePairsOff[bool] = False
    json: FlagCreatePairsOff[bool] = False


def plain_arguments() -> Any:
    """The options of all kinds of subjects, for completion."""
    return arguments_for(Arguments, "evaluate")


def main(argv: Sequence[str]) -> int:
    """Score a run."""
    arguments, run, said, _ = parse_verb(Arguments, "evaluate", argv)
    from phosphene.api.evaluate import evaluation

    with ScoringConsole() as told:
        found = evaluation(run, seed=arguments.seed, progress=told, **said)
    scores = found.scores
    tell(run)
    if arguments.json:
        print_json({name: score.to_json() for name, score in scores.items()})
    else:
        print_scores(scores, f"{run.path} {found.on}")
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
