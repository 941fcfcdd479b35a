"""SARSA keeps away from the cliff, Q-learning walks along its edge and falls."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from phosphene.decision.mdp.evaluation import policy_values
from phosphene.decision.mdp.mdp import MDP
from phosphene.decision.tabular.exploration import epsilon_greedy
from phosphene.decision.tabular.learner import Learner
from phosphene.decision.tabular.problems import Problem, as_problem
from phosphene.proofs.proof import Proof, Wrong, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "Q(s, a) += alpha [r + gamma Q(s', a') - Q(s, a)] learns what acting with its own exploration "
    "is worth (SARSA), Q(s, a) += alpha [r + gamma max Q(s', .) - Q(s, a)] what the best actions "
    "are worth (Q-learning). On the cliff of Sutton and Barto (2018, example 6.6), epsilon = 0.1, "
    "the one earns more while it learns, the other knows the shorter path, -13 against -17."
)
_START, _RUNS = 36, 50
_METHODS = ("q-learning", "sarsa", "expected-sarsa", "double-q-learning")


def prove(seed: int = 0, *, learner: Callable[..., Learner] = Learner) -> Proof:
    """Fifty learners of each kind, 500 episodes, alpha = 0.5; and what no soft policy exceeds.

    Args:
        seed: Of the learners.
        learner: Learns by the method of a name.

    Example:
        >>> prove().holds
        True
    """
    mdp = MDP.from_grid("cliff")
    problem = as_problem(mdp, seed)
    returns, online, greedy = {}, {}, {}
    for method in _METHODS:
        returns[method], greedy[method] = _learn(learner, problem, method, seed)
        online[method] = returns[method][:, -100:].mean()
    bound, best = _best_soft(mdp), MDP.from_grid("cliff")
    late = learner(problem, "expected-sarsa", alpha=0.5, seed=seed, history=30_000)
    late.advance(episodes=40_000)
    along = learner(problem, "q-learning", alpha=0.5, seed=seed)
    along.advance(episodes=2000)
    q, sarsa, expected = (online[m] for m in _METHODS[:3])
    rows = [
        equal("Q-learning, mean return of the last 100 of 500 episodes, 50 runs", q, -50.4, 3.5),
        equal("SARSA, the same", sarsa, -27.6, 3.5),
        below("expected SARSA: its loss against that of SARSA", -expected, -sarsa),
        equal("Q-learning, greedy afterwards, median", greedy["q-learning"].median(), -13.0, 0.0),
        equal("SARSA, greedy afterwards, median", greedy["sarsa"].median(), -17.0, 0.0),
        equal("the best epsilon-greedy policy, by its linear equations", bound, -20.71, 0.01),
        equal(
            "expected SARSA, episodes 10,000 to 40,000, against that",
            late.returns.mean(),
            bound,
            0.5,
        ),
        below(
            "the epsilon-greedy policy of Q-learning, by its linear equations",
            _soft(best, along.q)[_START],
            bound - 10,
        ),
    ]
    figure = {"x": torch.arange(500, dtype=torch.float64)}
    figure |= {method: returns[method].mean(0) for method in _METHODS}
    return Proof("cliff-walking", "Along a cliff", _STATEMENT, rows, figure)


def _learn(
    learner: Callable[..., Learner], problem: Problem, method: str, seed: int
) -> tuple[Tensor, Tensor]:
    """Returns while learning (runs, 500), and of the greedy policy afterwards (runs,)."""
    returns, greedy = [], []
    for run in range(_RUNS):
        one = learner(problem, method, alpha=0.5, epsilon=0.1, seed=seed + run)
        one.advance(episodes=500)
        returns.append(one.returns)
        follow = Learner(problem, "follow", policy=one.policy, limit=200)
        follow.advance(episodes=1)
        greedy.append(follow.returns[0])
    return torch.stack(returns), torch.stack(greedy)


def _soft(mdp: MDP, q: Tensor) -> Tensor:
    """V of the policy that is epsilon-greedy in q."""
    return torch.from_numpy(policy_values(mdp, epsilon_greedy(q, 0.1, ties="first").numpy(), 1.0))


def _best_soft(mdp: MDP) -> Tensor:
    """What the best of all epsilon-greedy policies is worth at the start: policy iteration."""
    rows = np.repeat(np.arange(mdp.states * mdp.actions), np.diff(mdp.indptr))
    q = torch.zeros(mdp.states, mdp.actions, dtype=torch.float64)
    q[:, 1] = 1.0  # right: the way round is learned from there
    for _ in range(40):
        values = _soft(mdp, q).numpy()
        worth = mdp.probability * (mdp.outcome_reward + values[mdp.next] * ~mdp.ends)
        q = torch.from_numpy(np.bincount(rows, worth).reshape(mdp.states, mdp.actions))
    return _soft(mdp, q)[_START]


def _greedy(problem: Problem, method: str, **told: Any) -> Learner:
    return Learner(problem, {"sarsa": "q-learning"}.get(method, method), **told)


WRONG = Wrong(
    "SARSA with r + gamma max Q(s', .) in the place of r + gamma Q(s', a')",
    {"learner": _greedy},
)
