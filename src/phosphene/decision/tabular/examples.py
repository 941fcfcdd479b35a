"""Small processes whose answers are known, from Sutton and Barto (2018)."""

import math

from phosphene.core.errors import ConfigError
from phosphene.decision.mdp.mdp import MDP

__all__ = ["maximization_bias", "random_walk", "windy_gridworld"]

_WIND = (0, 0, 0, 1, 1, 1, 2, 2, 1, 0)


def random_walk(states: int = 5, *, left: float = 0.0, right: float = 1.0) -> MDP:
    """States in a row; each step goes left or right by a fair coin, off either end it stops.

    There is one action, and nothing is earned but ``left`` or ``right`` at the ends: state i of n
    is worth left + (right - left) (i + 1) / (n + 1). It begins in the middle (examples 6.2, 7.1).

    Example:
        >>> random_walk(3).outcomes(2, 0)
        [(0.5, 1, 0.0, False), (0.5, 4, 1.0, True)]
    """
    if states < 1 or states % 2 == 0:
        raise ConfigError(f"a random walk has an odd number of states, 1 or more, got {states}")
    state, next, reward, ends = [], [], [], []
    for s in range(states):
        for to in (s - 1, s + 1):
            off = not 0 <= to < states
            state.append(s)
            next.append(to if not off else states if to < 0 else states + 1)
            reward.append((left if to < 0 else right) if off else 0.0)
            ends.append(off)
    count = len(state)
    start = [float(s == states // 2) for s in range(states + 2)]
    return MDP.from_outcomes(
        states + 2, 1, state, [0] * count, next, [0.5] * count, reward, ends,
        terminal=[s >= states for s in range(states + 2)], start=start, name=f"walk-{states}",
    )  # fmt: skip


def windy_gridworld() -> MDP:
    """Seven rows, ten columns, a wind upward in the middle ones; -1 a step (example 6.5).

    State 10 row + column; actions up, right, down, left. The shortest way from (3, 0) to (3, 7)
    takes 15 steps.

    Example:
        >>> windy_gridworld().outcomes(36, 1)
        [(1.0, 17, -1.0, False)]
    """
    state, action, next = [], [], []
    for row in range(7):
        for column in range(10):
            for a, (down, right) in enumerate(((-1, 0), (0, 1), (1, 0), (0, -1))):
                to_row = min(max(row + down - _WIND[column], 0), 6)
                to_column = min(max(column + right, 0), 9)
                state.append(10 * row + column)
                action.append(a)
                next.append(10 * to_row + to_column)
    count, goal = len(state), 37
    return MDP.from_outcomes(
        70, 4, state, action, next, [1.0] * count, [-1.0] * count, [n == goal for n in next],
        terminal=[s == goal for s in range(70)], start=[float(s == 30) for s in range(70)],
        name="windy-gridworld",
    )  # fmt: skip


def maximization_bias(arms: int = 10, *, mean: float = -0.1, quantiles: int = 100) -> MDP:
    """Left is worse than right, but looks better to who takes a maximum (example 6.7).

    From A (state 0) the first half of the actions lead left to B (state 1), for nothing, and the
    others end, for nothing. All ``arms`` actions of B end with a normal reward of this mean and
    deviation 1. A table has as many actions everywhere, so left is half of them, where the book has
    one of two. The normal distribution is that many equally likely quantiles, scaled to a
    deviation of 1.

    Example:
        >>> mdp = maximization_bias()
        >>> [round(float(r), 3) for r in mdp.rewards[1, :2]]
        [-0.1, -0.1]
    """
    middle = [(k + 0.5) / quantiles for k in range(quantiles)]
    points = [_normal_quantile(p) for p in middle]
    scale = math.sqrt(sum(x * x for x in points) / quantiles)
    left = arms // 2
    rows = [(0, a, 1 if a < left else 2, 1.0, 0.0, a >= left) for a in range(arms)]
    for a in range(arms):
        rows += [(1, a, 2, 1 / quantiles, mean + x / scale, True) for x in points]
    state, action, next, probability, reward, ends = zip(*rows, strict=True)
    return MDP.from_outcomes(
        3, arms, state, action, next, probability, reward, ends,
        terminal=[False, False, True], start=[1.0, 0.0, 0.0], name="maximization-bias",
    )  # fmt: skip


def _normal_quantile(p: float) -> float:
    """The standard normal's, by bisection of its error function."""
    low, high = -10.0, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        below = 0.5 * (1 + math.erf(middle / math.sqrt(2))) < p
        low, high = (middle, high) if below else (low, middle)
    return (low + high) / 2
