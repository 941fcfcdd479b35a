"""Score a trained run."""

import json
from pathlib import Path
from typing import Any

from phosphene.core.errors import RunError
from phosphene.evaluate.likelihood import Progress
from phosphene.evaluate.score import Score
from phosphene.subjects.handling import of_run, taken
from phosphene.subjects.plan import slug
from phosphene.subjects.results import Evaluation
from phosphene.train.files import write_atomically
from phosphene.train.folder import Run
from phosphene.train.record import read_json

__all__ = ["evaluate", "evaluation", "read_scores"]


def evaluate(
    run: Run | str | Path,
    *,
    seed: int = 0,
    trust: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> dict[str, Score]:
    """Every score that is true for a run's model, also written to its ``evaluation.json``.

    Scores on something else than the run's own go to a file of their own.

    Args:
        run: A run, or the path of one.
        seed: Seeds everything random; the same seed gives the same scores.
        trust: Whether to follow what the run names to be imported, run or fetched: an environment
            ``module:function``, data from an address or a command.
        progress: Told what is being computed and the fraction of it that is done.
        options: Of the kind of subject that the run learned from: of data ``data``, ``split``,
            ``samples``, ``particles``, ``reference``
            (:class:`~phosphene.subjects.dataset.options.EvaluateOptions`); of an environment
            ``env``, ``episodes``, ``sampled``
            (:class:`~phosphene.subjects.environment.options.EvaluateOptions`).

    Raises:
        RunError: There is no such run, or its weights are damaged.
        ConfigError: An option is of another kind of subject, or out of its range.
        EventError: The data are not of the model's event.

    Example:
        >>> import phosphene as ph, tempfile
        >>> with tempfile.TemporaryDirectory() as runs:
        ...     run = ph.train("vae", data="digits-binary", budget="3steps", folder=runs, threads=1)
        ...     scores = ph.evaluate(run, samples=64, particles=2)
        >>> scores["elbo"].kind
        'bound'
    """
    run = Run.of(run, trust=trust)
    return evaluation(run, seed=seed, progress=progress, **options).scores


def evaluation(
    run: Run, *, seed: int = 0, progress: Progress | None = None, **options: Any
) -> Evaluation:
    """The same, with what the scores are of."""
    handling = of_run(run)
    told = taken(handling, "evaluate", options, repr(str(run.path)))
    run = Run.of(run, **{handling.kind.option: told.pop(handling.kind.option, None)})
    found = handling.evaluate(run, seed=seed, progress=progress, **told)
    _write(run, found)
    return found


def read_scores(run: Run) -> dict[str, Score]:
    """The scores of the last evaluation of a run; empty where it was never evaluated."""
    path = run.path / "evaluation.json"
    if not path.is_file():
        return {}
    scores = read_json(path).get("scores")
    try:
        return {name: Score(**fields).checked() for name, fields in dict(scores or {}).items()}
    except (TypeError, ValueError) as error:
        raise RunError(f"{str(path)!r} does not hold scores: {error}") from None


def _write(run: Run, found: Evaluation) -> None:
    record = {
        **found.about,
        "scores": {
            name: {
                **score.to_json(),
                **({"note": score.note} if score.note else {}),
                **({"features": score.features} if score.features else {}),
            }
            for name, score in found.scores.items()
        },
    }
    own = run.subject == run.config[run.kind.option]
    other = "" if own else f"-{slug(run.subject)}"
    write_atomically(run.place(f"evaluation{other}.json"), json.dumps(record, indent=2) + "\n")
