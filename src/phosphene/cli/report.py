"""``phosphene report``: one HTML file about a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from tyro.conf import FlagCreatePairsOff, Positional, arg

from phosphene.cli.console import ScoringConsole
from phosphene.cli.kinds import subject_options
from phosphene.cli.runs import parse_run, tell
from phosphene.core.ranges import SEED


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Write report.html into a run: scores, curves, samples, codes, in one file.

    A run that was not evaluated yet is evaluated first.

    Args:
        run: A run folder, or its name below runs/.
        again: Evaluate again, even if evaluation.json is there.
        seed: Chooses the examples and the samples.
        trust: Use what the run names to be imported, run or fetched; see the page on runs.
    """

    run: Positional[Annotated[str, arg(metavar="RUN")]]
    again: FlagCreatePairsOff[bool] = False
    seed: Annotated[int, SEED] = 0
    trust: FlagCreatePairsOff[bool] = False


def plain_arguments() -> Any:
    """The options of all kinds of subjects, for completion."""
    return subject_options(Arguments)


def main(argv: Sequence[str]) -> int:
    """Write the report and print its path."""
    arguments, run = parse_run(Arguments, argv, "phosphene report")
    from phosphene.api.evaluate import evaluate, read_scores
    from phosphene.api.report import report

    run.place("report.html")  # refused before anything is computed, where it leads out of the run
    scores = {} if arguments.again or run.said is not None else read_scores(run)
    if not scores:
        with ScoringConsole() as told:
            scores = evaluate(run, progress=told)
    path = report(run, scores, seed=arguments.seed)
    tell(run)
    print(path)
    return 0
