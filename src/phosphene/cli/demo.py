"""``phosphene demo``: from nothing to a report on real digits, in about two minutes."""

import datetime
import shlex
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from phosphene.cli.console import ScoringConsole, TrainingConsole
from phosphene.cli.evaluate import print_scores
from phosphene.cli.output import screen
from phosphene.cli.parsing import parse
from phosphene.cli.text import written
from phosphene.core.ranges import SEED


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Train a variational autoencoder on handwritten digits, score it, and write a report.

    Args:
        budget: Budget of the training.
        data: A data set of images.
        name: Of the run, below runs/.
        seed: Seed of everything.
    """

    budget: Annotated[str, arg(metavar="BUDGET")] = "75s"
    data: Annotated[str, arg(metavar="DATA")] = "mnist-binary"
    name: Annotated[str | None, arg(metavar="NAME", help_behavior_hint="")] = None
    seed: Annotated[int, SEED] = 0


def main(argv: Sequence[str]) -> int:
    """Train, score, report."""
    arguments = parse(Arguments, argv, "phosphene demo")
    from phosphene.api.evaluate import evaluate
    from phosphene.api.occupying import folder_of_runs
    from phosphene.api.train import train
    from phosphene.subjects.dataset.report import write_report

    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    named: AbstractContextManager[Path] = nullcontext(Path(arguments.name or ""))
    if arguments.name is None:
        named = folder_of_runs(Path("runs"), None, f"demo-{stamp}")
    with TrainingConsole() as console, named as where:
        run = train(
            "vae",
            data=arguments.data,
            budget=arguments.budget,
            name=arguments.name or where.name,
            seed=arguments.seed,
            listeners=[console],
        )
    with ScoringConsole() as told:
        scores = evaluate(run, progress=told)
    print_scores(scores, f"{run.path} on {arguments.data}, test split")
    report = write_report(run, scores)
    out, typed = screen(), shlex.quote(str(run.path))
    out.print(written(f"report: {report}"), style="bold")
    out.print(written(f"samples: phosphene sample {typed} -n 100"), style="dim")
    return 0
