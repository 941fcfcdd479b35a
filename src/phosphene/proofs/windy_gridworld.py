"""SARSA finds its way through the wind."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from phosphene.decision.tabular.examples import windy_gridworld
from phosphene.decision.tabular.learner import Learner
from phosphene.decision.tabular.problems import Problem, as_problem
from phosphene.proofs.proof import Proof, Wrong, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "In a grid with a wind upward SARSA, epsilon = 0.1, alpha = 0.5, ends about 170 episodes in "
    "8,000 steps (Sutton and Barto, 2018, example 6.5). The shortest path has 15 steps; with "
    "exploration episodes take 17 once smaller steps, alpha = 0.1, have settled. A Monte Carlo "
    "method without a limit may wander for ever: a policy that stays is corrected only when the "
    "episode is over."
)
_STEPS, _RUNS = 8000, 30


def prove(seed: int = 0, *, learner: Callable[..., Learner] = Learner) -> Proof:
    """Thirty learners of 8,000 steps, and the shortest path.

    Args:
        seed: Of the learners.
        learner: Learns by the method of a name.

    Example:
        >>> prove().holds
        True
    """
    problem = as_problem(windy_gridworld(), seed)
    ended, late = [], []
    curves = torch.zeros(_STEPS // 100 + 1, dtype=torch.float64)
    for run in range(_RUNS):
        one = learner(problem, "sarsa", alpha=0.5, epsilon=0.1, seed=seed + run)
        for k in range(1, len(curves)):
            one.advance(100)
            curves[k] += one.episodes / _RUNS
        ended.append(float(one.episodes))
    for run in range(3):
        one = learner(problem, "sarsa", alpha=0.1, epsilon=0.1, seed=seed + run, history=2000)
        one.advance(200_000)
        late.append(one.lengths.double().mean())
    falling = learner(
        problem, "q-learning", alpha=0.5, epsilon="linear:0.1:0:80000steps", seed=seed
    )
    falling.advance(100_000)
    follow = Learner(problem, "follow", policy=falling.policy, limit=200)
    follow.advance(episodes=1)
    rows = [
        equal("episodes that SARSA ends in 8,000 steps, mean of 30 runs", _mean(ended), 170, 15),
        equal(
            "steps of an episode, alpha = 0.1, the last 2,000 episodes of 200,000 steps, 3 runs",
            torch.stack(late).mean(),
            17,
            0.5,
        ),
        equal(
            "steps of the greedy path of Q-learning, epsilon falling to 0", follow.lengths[0], 15, 0
        ),
        equal("what the start is worth to it", falling.values[30], -15, 1e-9),
    ]
    x = torch.arange(len(curves), dtype=torch.float64) * 100
    figure = {"x": x, "episodes that ended": curves}
    return Proof("windy-gridworld", "Through the wind", _STATEMENT, rows, figure)


def _mean(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).mean()


def _off_policy(problem: Problem, method: str, **told: Any) -> Learner:
    return Learner(problem, "q-learning", **told)


WRONG = Wrong(
    "SARSA with r + gamma max Q(s', .) in the place of r + gamma Q(s', a')",
    {"learner": _off_policy},
)
