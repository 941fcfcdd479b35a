"""Scores of an agent: whole episodes, beside those of random actions."""

from dataclasses import replace
from typing import Any

from phosphene.decision.environments.table import spec
from phosphene.evaluate.likelihood import Progress
from phosphene.evaluate.score import Score
from phosphene.subjects.environment.opening import env_of
from phosphene.subjects.environment.playing import longest_episode, play_run, random_returns
from phosphene.subjects.environment.scores import score_episodes, score_last, steps_of
from phosphene.subjects.results import Evaluation
from phosphene.train.folder import Run

__all__ = ["evaluate_in_environment"]


def evaluate_in_environment(
    run: Run, *, episodes: int, greedy: bool, seed: int, progress: Progress | None
) -> Evaluation:
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
    about: dict[str, Any] = {
        "env": run.subject,
        "episodes": episodes,
        "greedy": greedy,
        "seed": seed,
    }
    about |= {f"{name}_steps": n for name, n in steps.items()}
    about["returns"] = played.returns.tolist()
    return Evaluation(scores, about, f"in {run.subject}")
