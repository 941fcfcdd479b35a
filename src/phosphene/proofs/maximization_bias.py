"""The maximum of noisy guesses is too large; two tables that check each other are not fooled."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from phosphene.decision.tabular.examples import maximization_bias
from phosphene.decision.tabular.learner import Learner
from phosphene.decision.tabular.problems import Problem, as_problem
from phosphene.proofs.proof import Proof, Wrong, above, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "E max_a Q(a) >= max_a E Q(a): Q-learning believes in luck. Double Q-learning takes "
    "Q_2(argmax Q_1), whose error is independent of the choice, so that E Q_2(argmax Q_1) <= "
    "max_a E Q(a) (van Hasselt, 2010). Where left is worth -0.1 and right 0, the one goes left "
    "nearly always at first (Sutton and Barto, 2018, figure 6.5)."
)
_EPISODES, _RUNS = 300, 400


def prove(seed: int = 0, *, learner: Callable[..., Learner] = Learner) -> Proof:
    """The share of episodes that go left, and the value of ten arms that are worth nothing.

    Args:
        seed: Of the learners.
        learner: Learns by the method of a name.

    Example:
        >>> prove().holds
        True
    """
    methods = ("q-learning", "double-q-learning")
    single, double = (_left(learner, method, seed) for method in methods)
    biased, fair = (_worth(learner, method, seed) for method in methods)
    error = fair.std() / len(fair) ** 0.5
    rows = [
        above("Q-learning: share of episodes 20 to 60 that go left", single[20:60].mean(), 0.8),
        below("double Q-learning: the same", double[20:60].mean(), 0.5),
        below(
            "double Q-learning: of the last 50 of 300; exploring makes 0.05",
            double[-50:].mean(),
            0.1,
        ),
        above("ten arms worth 0, alpha 0.1: their maximum to Q-learning", biased.mean(), 0.25),
        equal(
            "the same to double Q-learning, within four standard errors", fair.mean(), 0, 4 * error
        ),
    ]
    x = torch.arange(_EPISODES, dtype=torch.float64)
    figure = {"x": x, "Q-learning": single, "double Q-learning": double}
    return Proof("maximization-bias", "The luck of a maximum", _STATEMENT, rows, figure)


def _left(learner: Callable[..., Learner], method: str, seed: int) -> Tensor:
    problem = as_problem(maximization_bias(), seed)
    share = torch.zeros(_EPISODES, dtype=torch.float64)
    for run in range(_RUNS):
        one = learner(problem, method, alpha=0.1, epsilon=0.1, seed=seed + run)
        met = one.advance(episodes=_EPISODES, record=True)
        assert met is not None
        share += met.path[met.path[:, 0] == 0, 1] < 5
    return share / _RUNS


def _worth(learner: Callable[..., Learner], method: str, seed: int) -> Tensor:
    """Q of going to ten arms that are worth nothing (runs,)."""
    problem, found = as_problem(maximization_bias(mean=0.0), seed), []
    for run in range(100):
        one = learner(problem, method, alpha=0.1, epsilon=1.0, seed=seed + run)
        one.advance(2000)
        found.append(one.q[0, :5].mean())
    return torch.stack(found)


def _one_table(problem: Problem, method: str, **told: Any) -> Learner:
    return Learner(problem, "q-learning", **told)


WRONG = Wrong(
    "double Q-learning with max Q_1 in the place of Q_2(argmax Q_1): one table checks itself",
    {"learner": _one_table},
)
