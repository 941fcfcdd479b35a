"""Exploration: how often each action is chosen, and what that leads to."""

from collections.abc import Callable

import torch
from torch import Tensor

from phosphene.decision.mdp.mdp import MDP
from phosphene.decision.mdp.value_iteration import value_iteration
from phosphene.decision.tabular.exploration import epsilon_greedy, greedy, softmax
from phosphene.decision.tabular.learner import Learner
from phosphene.decision.tabular.problems import as_problem
from phosphene.decision.tabular.schedules import harmonic
from phosphene.proofs.proof import Proof, Row, Wrong, above, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "epsilon-greedy: p(a) = epsilon / A + (1 - epsilon) [a is best], for the random action may be "
    "the best; softmax: p(a) = exp(Q_a / T) / sum exp(Q_b / T); values that begin too high are all "
    "tried. If every pair is met for ever, and the steps alpha_n have sum alpha_n = infinity "
    "and sum alpha_n^2 < infinity, Q-learning comes to Q* (Watkins and Dayan, 1992)."
)
_DRAWS = 100_000
_CRITICAL = {1: 10.83, 2: 13.82, 3: 16.27}
"""The 99.9th percentile of chi squared, by degrees of freedom."""


def prove(
    seed: int = 0, *, probability: Callable[[Tensor, float], Tensor] = epsilon_greedy
) -> Proof:
    """Frequencies by chi squared, optimism on a bandit, Q-learning on the frozen lake.

    Args:
        seed: Of the learners.
        probability: p(a) of epsilon-greedy, of q and epsilon.

    Example:
        >>> prove().holds
        True
    """
    q = torch.tensor([1.0, 3.0, 2.0, 3.0], dtype=torch.float64)
    rows = []
    for epsilon in (0.1, 0.5, 1.0):
        counts = _counts(q, seed, epsilon=epsilon)
        rows.append(_fits(f"epsilon {epsilon:g}, two best", counts, probability(q, epsilon)))
    for temperature in (0.5, 2.0):
        counts = _counts(q, seed, temperature=temperature)
        rows.append(_fits(f"softmax, T = {temperature:g}", counts, softmax(q, temperature)))
    rows += [*_optimism(seed), *_lake(seed)]
    x = torch.linspace(0.05, 5, 100, dtype=torch.float64)
    by_heat = torch.stack([softmax(q, float(t)) for t in x])
    figure = {"x": x, **{f"p(a), Q = {q[a]:g}": by_heat[:, a] for a in (0, 2, 1)}}
    return Proof("exploration", "Trying what seems worse", _STATEMENT, rows, figure)


def _counts(q: Tensor, seed: int, **options: float) -> Tensor:
    """How often a learner with these values, which never change, takes each action."""
    loop = MDP.from_outcomes(1, 4, [0] * 4, [0, 1, 2, 3], [0] * 4, [1.0] * 4, [0.0] * 4)
    still = Learner(loop, alpha=1e-300, gamma=0.0, initial=q[None], seed=seed, **options)  # type: ignore[arg-type]
    met = still.advance(_DRAWS, record=True)
    assert met is not None
    return torch.bincount(met.path[:, 1], minlength=4).double()


def _fits(what: str, counts: Tensor, probability: Tensor) -> Row:
    expected = _DRAWS * probability
    value = ((counts - expected) ** 2 / expected).sum()
    return below(f"{what}: chi squared of 100,000 draws, 3 degrees of freedom", value, _CRITICAL[3])


def _optimism(seed: int) -> list[Row]:
    bandit = MDP.from_outcomes(1, 4, [0] * 4, range(4), [0] * 4, [1.0] * 4, [0.1, 0.2, 0.9, 0.3])
    best = []
    for initial in (5.0, 0.0):
        share = 0.0
        for run in range(40):
            learner = Learner(
                bandit, alpha=0.3, gamma=0.0, epsilon=0.0, initial=initial, seed=seed + run
            )
            learner.advance(200)
            share += float(learner.policy[0] == 2)
        best.append(share / 40)
    return [
        equal("greedy learners that find the best of 4 arms, values from 5", best[0], 1.0, 0.0),
        below("the same, values from 0", best[1], 0.5),
    ]


def _lake(seed: int) -> list[Row]:
    lake = MDP.from_grid("frozen-lake-4x4", slip=1 / 3)
    exact = torch.from_numpy(value_iteration(lake, 0.99, tolerance=1e-10).q)
    problem, gaps = as_problem(lake, seed), []
    for run in range(3):
        learner = Learner(
            problem, gamma=0.99, alpha=harmonic(1, 0.7), epsilon=0.6, seed=seed + run, limit=100
        )
        learner.advance(10_000_000)
        gaps.append(float((learner.q - exact).abs().max()))
    fixed = Learner(problem, gamma=0.99, alpha=0.5, epsilon=0.6, seed=seed, limit=100)
    fixed.advance(10_000_000)
    return [
        equal("FrozenLake, gamma 0.99: V* of the start", exact[0].max(), 0.5420259, 1e-6),
        below("|Q - Q*| after 10 million steps, alpha = n^-0.7, worst of 3 runs", max(gaps), 0.02),
        above("the same with alpha = 0.5 for ever", (fixed.q - exact).abs().max(), 0.1),
    ]


def _others(q: Tensor, epsilon: float) -> Tensor:
    best = greedy(q)
    return (1 - epsilon) * best + epsilon * (1 - best) / (q.shape[-1] - 1)


WRONG = Wrong(
    "p(a) = (1 - epsilon) g(a) + epsilon (1 - g(a)) / (A - 1), g the greedy policy: as if the "
    "random action were drawn from the others",
    {"probability": _others},
)
