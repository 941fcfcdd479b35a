"""Score a trained run on the data it was trained on."""

import json
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from phosphene.core.errors import ConfigError, EventError, PhospheneError, RunError
from phosphene.data.conditioning import Conditions
from phosphene.data.dataset import Dataset
from phosphene.data.limits import admit
from phosphene.decision.environments.table import spec
from phosphene.evaluate.likelihood import Progress
from phosphene.evaluate.score import Score
from phosphene.evaluate.scoring import evaluate_model
from phosphene.evaluate.subject import arranged, data_of, env_of
from phosphene.subjects.dataset.planning import load_split, slug
from phosphene.subjects.environment.playing import longest_episode, play_run, random_returns
from phosphene.subjects.environment.scores import score_episodes, score_last, steps_of
from phosphene.train.files import write_atomically
from phosphene.train.folder import Run
from phosphene.train.record import read_json

__all__ = ["evaluate", "read_scores"]


def evaluate(
    run: Run | str | Path,
    *,
    samples: int = 1000,
    particles: int | None = None,
    episodes: int | None = None,
    greedy: bool = True,
    split: str = "test",
    seed: int = 0,
    data: str | Dataset | None = None,
    reference: str | Dataset | None = None,
    env: Any = None,
    trust: bool = False,
    progress: Progress | None = None,
) -> dict[str, Score]:
    """Every score that is true for a run's model, also written to its ``evaluation.json``.

    Scores on other data or in another environment, by name, go to a file of their own.

    Args:
        run: A run, or the path of one.
        samples: Samples drawn for the distances between samples and data.
        particles: Importance-weighted particles per example, where the likelihood is bounded; None
            for 500, or 1 where the bound is a flow's, of dequantization, which many passes
            through the flow would hardly tighten.
        episodes: Of an agent, how many are played, none of them met in training; 100 by default.
        greedy: Of an agent: its best actions, or actions drawn as it explores.
        split: ``test``, ``validation`` or ``train``.
        seed: Seeds everything random; the same seed gives the same scores.
        data: Other data to score on; None takes that split of the run's own. A run that was
            trained on a Dataset of your own needs it, and ``reference``, here.
        reference: The examples that the model was trained on; None takes the run's own, or those
            of ``data`` where the run's own cannot be read.
        env: Another environment to play in, of the same observations and actions; as in ``train``.
        trust: Whether to follow what the run names to be imported, run or fetched: an environment
            ``module:function``, data from an address or a command.
        progress: Told what is being computed and the fraction of it that is done.

    Raises:
        RunError: There is no such run, or its weights are damaged.
        ConfigError: ``samples`` or ``particles`` is too small.
        EventError: The data are not of the model's event.

    Example:
        >>> import phosphene as ph, tempfile
        >>> with tempfile.TemporaryDirectory() as runs:
        ...     run = ph.train("vae", data="digits-binary", budget="3steps", folder=runs, threads=1)
        ...     scores = ph.evaluate(run, samples=64, particles=2)
        >>> scores["elbo"].kind
        'bound'
    """
    run = Run.of(run, data=data if isinstance(data, str) else None, env=env, trust=trust)
    if run.env is not None:
        return _evaluate_agent(run, 100 if episodes is None else episodes, greedy, seed, progress)
    if episodes is not None:
        raise ConfigError(f"{str(run.path)!r} is the run of a model: it has no episodes")
    if particles is None:
        particles = getattr(run.model, "scoring_particles", 500)
    for name, value in (("samples", samples), ("particles", particles)):
        if value < 1:
            raise ConfigError(f"{name} must be at least 1, got {value}")
    admit(str(run.path), 16 * samples * run.model.event.dimensions, f"{samples} samples")
    held_out = arranged(run, data) if isinstance(data, Dataset) else data_of(run, split)
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
    about = {"data": held_out.name, "reference": train.name, "split": split, "seed": seed}
    about |= {"notes": run.notes} if run.notes else {}
    _write(run, scores, {**about, "samples": samples, "particles": particles})
    return scores


def _given(run: Run, reference: str | Dataset) -> Dataset:
    context = run.config.get("context")
    return load_split(reference, "train", None if context is None else Conditions.parse(context))


def _reference(run: Run) -> Dataset:
    """What the run was trained on; where that cannot be read, what the caller put in its place."""
    own = Run(run.path, trust=run.trust)
    try:
        found = data_of(own, "train")
        if run.said_data in (None, run.config.get("data")):
            run.notes = own.notes
        return found
    except PhospheneError:
        if run.said_data is None and own.config.get("own_data"):
            raise RunError(
                f"{str(run.path)!r} was trained on a Dataset of somebody's own, called "
                f"{run.data!r}; reference= says what it was trained on, to compare samples with"
            ) from None
        if run.said_data is None:
            raise
        return data_of(run, "train")


def _evaluate_agent(
    run: Run, episodes: int, greedy: bool, seed: int, progress: Progress | None
) -> dict[str, Score]:
    """Scores of whole episodes, beside those of random actions."""
    told = progress or (lambda name, fraction: None)
    env, longest = env_of(run), longest_episode(run)
    told("episodes", 0.0)
    played = play_run(run, episodes, seed=seed, greedy=greedy)
    told("random actions", 0.6)
    random = random_returns(env, min(episodes, 100), seed=seed, longest=longest)
    kind = "greedy episodes" if greedy else "sampled episodes"
    scores = score_episodes(played, kind, random)
    if {"best", "last"} <= set(run.weights):
        told("last weights", 0.8)
        last = play_run(run, episodes, seed=seed, greedy=greedy, weights="last")
        scores |= score_last(last, kind)
    steps = steps_of(run)
    scores |= {f"{name}_steps": Score(float(n), "count") for name, n in steps.items()}
    cut = int((played.lengths >= longest).sum()) if spec(env).limit is None else 0
    if cut:
        note = f"{cut} of {episodes} episodes were cut off after {longest:,} steps"
        scores["return_mean"] = replace(scores["return_mean"], note=note)
    about = {"env": run.env, "episodes": episodes, "greedy": greedy, "seed": seed}
    about |= {f"{name}_steps": n for name, n in steps.items()}
    _write(run, scores, {**about, "returns": played.returns.tolist()})
    return scores


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


def _write(run: Run, scores: Mapping[str, Score], about: Mapping[str, object]) -> None:
    record = {
        **about,
        "scores": {
            name: {
                **score.to_json(),
                **({"note": score.note} if score.note else {}),
                **({"features": score.features} if score.features else {}),
            }
            for name, score in scores.items()
        },
    }
    name = run.env or run.data
    own = name in (run.config.get("env"), run.config.get("data"))
    other = "" if own else f"-{slug(name)}"
    write_atomically(run.place(f"evaluation{other}.json"), json.dumps(record, indent=2) + "\n")
