"""The report of a run."""

from collections.abc import Mapping
from pathlib import Path

from phosphene.evaluate.score import Score
from phosphene.subjects.handling import of_run
from phosphene.train.folder import Run

__all__ = ["report"]


def report(run: Run, scores: Mapping[str, Score], *, seed: int = 0) -> Path:
    """Write ``report.html`` into a run and return its path.

    Args:
        run: A run that is trained.
        scores: Of its evaluation; may be empty.
        seed: Chooses examples and samples, or the episode that is shown.
    """
    return of_run(run).report(run, scores, seed=seed)
