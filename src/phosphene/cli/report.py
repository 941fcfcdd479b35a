"""``phosphene report``: one HTML file about a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from phosphene.cli.console import ScoringConsole
from phosphene.cli.parsing import parse
from phosphene.cli.runs import open_run, tell
from phosphene.core.ranges import SEED


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Write report.html into a run: scores, curves, samples, codes, in one file.

    A run that was not evaluated yet is evaluated first.

    Args:
        run: A run folder, or its name below runs/.
        again: Evaluate again, even if evaluation.json is there.
        seed: Chooses the examples and the samples.
        data: Other data to score on and show, of the model's event.
        env: Another environment to play in, of the same observations and actions.
        trust: Use what the run names to be imported, run or fetched; see the page on runs.
    """

    run: Positional[Annotated[str, arg(metavar="RUN")]]
    again: FlagCreatePairsOff[bool] = False
    seed: Annotated[int, SEED] = 0
    data: Annotated[str | None, arg(metavar="DATA", help_behavior_hint="")] = None
    env: Annotated[str | None, arg(metavar="ENV", help_behavior_hint="")] = None
    trust: FlagCreatePairsOff[bool] = False


def main(argv: Sequence[str]) -> int:
    """Write the report and print its path."""
    arguments = parse(Arguments, argv, "phosphene report")
    run = open_run(arguments.run, data=arguments.data, env=arguments.env, trust=arguments.trust)
    from phosphene.api.evaluate import evaluate, read_scores
    from phosphene.api.report import report

    other = arguments.again or arguments.data is not None or arguments.env is not None
    scores = {} if other else read_scores(run)
    if not scores:
        with ScoringConsole() as told:
            scores = evaluate(run, progress=told)
    path = report(run, scores, seed=arguments.seed)
    tell(run)
    print(path)
    return 0
