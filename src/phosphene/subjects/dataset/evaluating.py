"""Scores of a model of data."""

import warnings
from typing import Any

from phosphene.core.errors import ConfigError, EventError, PhospheneError, RunError
from phosphene.data.context_parts import Conditions
from phosphene.data.dataset import Dataset
from phosphene.data.limits import admit
from phosphene.evaluate.likelihood import Progress
from phosphene.evaluate.scoring import evaluate_model
from phosphene.subjects.dataset.opening import arranged, data_of
from phosphene.subjects.dataset.splits import load_split
from phosphene.subjects.results import Evaluation
from phosphene.train.folder import Run

__all__ = ["evaluate_on_data"]


def evaluate_on_data(
    run: Run,
    *,
    samples: int,
    particles: int | None,
    split: str,
    reference: str | Dataset | None,
    seed: int,
    progress: Progress | None,
) -> Evaluation:
    """Every score that is true for a run's model, on a split of its data or on others.

    Raises:
        ConfigError: ``samples`` or ``particles`` is too small.
        EventError: The data are not of the model's event.
    """
    if particles is None:
        particles = getattr(run.model, "scoring_particles", 500)
    for name, value in (("samples", samples), ("particles", particles)):
        if value < 1:
            raise ConfigError(f"{name} must be at least 1, got {value}")
    admit(str(run.path), 16 * samples * run.model.event.dimensions, f"{samples} samples")
    held_out = data_of(run, split)
    if held_out.event != run.model.event:
        raise EventError(
            f"{held_out.name!r} holds {held_out.event}; {str(run.path)!r} models {run.model.event}"
        )
    train = _reference(run) if reference is None else arranged(run, _given(run, reference))
    scores = evaluate_model(
        run.model,
        held_out,
        train,
        samples=samples,
        particles=particles,
        seed=seed,
        progress=progress,
    )
    for text in run.notes:
        warnings.warn(text, stacklevel=2)
    about: dict[str, Any] = {
        "data": held_out.name, "reference": train.name, "split": split, "seed": seed
    }  # fmt: skip
    about |= {"notes": run.notes} if run.notes else {}
    about |= {"samples": samples, "particles": particles}
    return Evaluation(scores, about, f"on {run.subject}, {split} split")


def _given(run: Run, reference: str | Dataset) -> Dataset:
    context = run.config.get("context")
    return load_split(reference, "train", None if context is None else Conditions.parse(context))


def _reference(run: Run) -> Dataset:
    """What the run was trained on; where that cannot be read, what the caller put in its place."""
    own = Run(run.path, trust=run.trust)
    try:
        found = data_of(own, "train")
        if run.said in (None, run.config.get("data")):
            run.notes = own.notes
        return found
    except PhospheneError:
        if run.said is None and own.config.get("own_data"):
            raise RunError(
                f"{str(run.path)!r} was trained on a Dataset of somebody's own, called "
                f"{run.data!r}; reference= says what it was trained on, to compare samples with"
            ) from None
        if run.said is None:
            raise
        return data_of(run, "train")
