"""The report of a run, of a model or of an agent."""

from collections.abc import Mapping
from pathlib import Path

from phosphene.decision.environments.pixels import NoPictureError
from phosphene.evaluate.score import Score
from phosphene.train.folder import Run

__all__ = ["report"]

_FRAMES = 150  # of the episode that a page carries


def report(run: Run, scores: Mapping[str, Score], *, seed: int = 0) -> Path:
    """Write ``report.html`` into a run and return its path.

    Args:
        run: A run that is trained.
        scores: Of its evaluation; may be empty.
        seed: Chooses examples and samples, or the episode that is shown.
    """
    if run.env is None:
        from phosphene.evaluate.report import write_report

        return write_report(run, scores, seed=seed)
    from phosphene.subjects.environment.playing import film, gif
    from phosphene.subjects.environment.report import write_agent_report

    shown: tuple[bytes, str] | str
    try:
        seen = film(run, seed=seed, most=_FRAMES)
        shown = (
            gif(seen.frames, 25),
            f"Return {seen.returns[0]:g} in {seen.lengths[0]:,} steps.",
        )
    except NoPictureError as error:
        shown = f"No film: {error}."
    return write_agent_report(run, scores, shown)
