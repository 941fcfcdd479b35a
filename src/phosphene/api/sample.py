"""Draw from a run, and write what was drawn."""

from pathlib import Path
from typing import Any

from phosphene.subjects.handling import of_run, taken
from phosphene.subjects.results import Sampled
from phosphene.train.folder import Run

__all__ = ["Sampled", "sample"]


def sample(
    run: Run | str | Path,
    *,
    seed: int = 0,
    out: str | Path | None = None,
    trust: bool = False,
    sampler: dict[str, Any] | None = None,
    **options: Any,
) -> Sampled:
    """Draw samples of a run, or what else it makes, and write pictures, texts, sounds or arrays.

    Args:
        run: A run, or the path of one.
        seed: The same seed gives the same samples.
        out: The file; None for ``samples/`` in the run.
        trust: Whether to follow what the run names to be imported, run or fetched.
        sampler: Settings of the model's own sampler.
        options: Of the kind of subject: of data
            (:class:`~phosphene.subjects.dataset.options.SampleOptions`) ``number``, ``label``,
            ``temperature``, ``interpolate``, ...

    Example:
        >>> import phosphene as ph, tempfile
        >>> from phosphene.api.sample import sample
        >>> with tempfile.TemporaryDirectory() as runs:
        ...     run = ph.train("vae", data="digits-binary", budget="3steps", folder=runs, threads=1)
        ...     sample(run, number=4).shape
        (4, 1, 8, 8)
    """
    run = Run.of(run, trust=trust)
    handling = of_run(run)
    told = taken(handling, "sample", options, repr(str(run.path)))
    run = Run.of(run, **{handling.kind.option: told.pop(handling.kind.option, None)})
    found: Sampled = handling.sample(run, seed=seed, out=out, sampler=sampler or {}, **told)
    return found
