"""Score a trained run on the data it was trained on."""

import json
from collections.abc import Mapping
from pathlib import Path

from phosphene.core.errors import ConfigError
from phosphene.data.dataset import Dataset
from phosphene.evaluate.likelihood import Progress
from phosphene.evaluate.returns import score_episodes
from phosphene.evaluate.score import Score
from phosphene.evaluate.scoring import evaluate_model
from phosphene.recipes.playing import play_run, random_returns
from phosphene.recipes.training import load_split
from phosphene.train.folder import Run, write_atomically

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
    progress: Progress | None = None,
) -> dict[str, Score]:
    """Every score that is true for a run's model, also written to its ``evaluation.json``.

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
        reference: The examples that the model was trained on; None takes the run's own.
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
    run = run if isinstance(run, Run) else Run(run)
    if run.env is not None:
        return _evaluate_agent(run, 100 if episodes is None else episodes, greedy, seed, progress)
    if episodes is not None:
        raise ConfigError(f"{str(run.path)!r} is the run of a model: it has no episodes")
    if particles is None:
        particles = getattr(run.model, "scoring_particles", 500)
    for name, value in (("samples", samples), ("particles", particles)):
        if value < 1:
            raise ConfigError(f"{name} must be at least 1, got {value}")
    held_out = load_split(run.data if data is None else data, split)
    train = load_split(run.data if reference is None else reference, "train")
    scores = evaluate_model(
        run.model,
        held_out,
        train,
        samples=samples,
        particles=particles,
        seed=seed,
        progress=progress,
    )
    about = {"data": held_out.name, "split": split, "samples": samples, "particles": particles}
    _write(run, scores, {**about, "seed": seed})
    return scores


def _evaluate_agent(
    run: Run, episodes: int, greedy: bool, seed: int, progress: Progress | None
) -> dict[str, Score]:
    """Scores of whole episodes, beside those of random actions."""
    told = progress or (lambda name, fraction: None)
    told("episodes", 0.0)
    played = play_run(run, episodes, seed=seed, greedy=greedy)
    told("random actions", 0.8)
    assert run.env is not None
    random = random_returns(run.env, min(episodes, 100), seed=seed)
    kind = "greedy episodes" if greedy else "sampled episodes"
    scores = score_episodes(played, kind, random)
    about = {"env": run.env, "episodes": episodes, "greedy": greedy, "seed": seed}
    _write(run, scores, {**about, "returns": played.returns.tolist()})
    return scores


def read_scores(run: Run) -> dict[str, Score]:
    """The scores of the last evaluation of a run; empty where it was never evaluated."""
    path = run.path / "evaluation.json"
    if not path.is_file():
        return {}
    return {
        name: Score(**fields) for name, fields in json.loads(path.read_text())["scores"].items()
    }


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
    write_atomically(run.path / "evaluation.json", json.dumps(record, indent=2) + "\n")
