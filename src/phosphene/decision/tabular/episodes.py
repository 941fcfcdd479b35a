"""Batch learning: repeated passes over stored episodes until the values converge."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from phosphene.core.errors import ConfigError, DataError
from phosphene.decision.tabular.learner import Learner

__all__ = [
    "Episodes",
    "batch_monte_carlo",
    "batch_td",
    "certainty_equivalence",
    "generate_episodes",
]


@dataclass(frozen=True)
class Episodes:
    """Whole episodes, one after the other.

    Args:
        state: (N,), int64; so are ``action`` and ``next``.
        action: (N,).
        next: (N,), what each action led to.
        reward: (N,), float64.
        how: (N,), int64: 1 at the end of an episode, 2 where it was cut off, else 0.

    Example:
        >>> eight = Episodes.of([[0, 1]] + [[1]] * 7, [[0, 0]] + [[1]] * 6 + [[0]])
        >>> len(eight), batch_td(eight, 2), batch_monte_carlo(eight, 2).tolist()
        (8, tensor([0.7500, 0.7500], dtype=torch.float64), [0.0, 0.75])
    """

    state: Tensor
    action: Tensor
    next: Tensor
    reward: Tensor
    how: Tensor

    def __len__(self) -> int:
        return int((self.how > 0).sum())

    @classmethod
    def of(cls, states: Sequence[Sequence[int]], rewards: Sequence[Sequence[float]]) -> "Episodes":
        """From the states and the rewards of each, all of which ended; there is one action."""
        state: list[int] = []
        reward: list[float] = []
        next, how = [], []
        for s, r in zip(states, rewards, strict=True):
            if len(s) != len(r) or not s:
                raise ConfigError(f"an episode has a reward for each state, got {s} and {r}")
            state += s
            next += [*s[1:], s[-1]]
            reward += r
            how += [0] * (len(s) - 1) + [1]
        s0, a0, s1, end = (torch.tensor(v) for v in (state, [0] * len(state), next, how))
        return cls(s0, a0, s1, torch.tensor(reward, dtype=torch.float64), end)

    def returns(self, gamma: float = 1.0) -> Tensor:
        """The discounted return from each step on (N,).

        Raises:
            DataError: An episode was cut off, so that nobody knows its return.
        """
        if bool((self.how == 2).any()) or (len(self.how) and not int(self.how[-1])):
            raise DataError("an episode that was cut off has no return")
        g, back = 0.0, []
        rewards, how = self.reward.tolist(), self.how.tolist()
        for r, ended in zip(reversed(rewards), reversed(how), strict=True):
            g = r if ended else r + gamma * g
            back.append(g)
        return torch.tensor(back[::-1], dtype=torch.float64)

    def first_visits(self) -> Tensor:
        """(N,), bool: whether the state is met for the first time in its episode."""
        episode = (self.how > 0).cumsum(0) - (self.how > 0).long()
        met: set[tuple[int, int]] = set()
        first = []
        for pair in zip(episode.tolist(), self.state.tolist(), strict=True):
            first.append(pair not in met)
            met.add(pair)
        return torch.tensor(first, dtype=torch.bool)


def generate_episodes(
    source: Any,
    policy: ArrayLike | Tensor,
    episodes: int,
    *,
    limit: int | None = None,
    seed: int = 0,
) -> Episodes:
    """Follow a policy and keep what is met; a learner with the same seed meets the same.

    Args:
        source: An MDP, or an environment as gymnasium has it.
        policy: Probabilities (S, A) or actions (S,).
        episodes: How many.
        limit: Steps after which an episode is cut off; the process's own by default.
        seed: Decides all random numbers.
    """
    learner = Learner(source, "follow", policy=policy, limit=limit, seed=seed)
    met = learner.advance(episodes=episodes, record=True)
    assert met is not None
    state, action, next, how = met.path.unbind(1)
    return Episodes(state, action, next, met.reward, how)


def batch_monte_carlo(
    episodes: Episodes, states: int, *, gamma: float = 1.0, first_visit: bool = False
) -> Tensor:
    """The mean return of each state (S,): what fits the episodes best by least squares.

    States that were not met are 0.
    """
    g = episodes.returns(gamma)
    kept = episodes.first_visits() if first_visit else torch.ones_like(g, dtype=torch.bool)
    zeros = torch.zeros(states, dtype=torch.float64)
    total = zeros.index_add(0, episodes.state[kept], g[kept])
    count = zeros.index_add(0, episodes.state[kept], torch.ones_like(g[kept]))
    return total / count.clamp(min=1)


def batch_td(
    episodes: Episodes,
    states: int,
    *,
    gamma: float = 1.0,
    alpha: float | None = None,
    tolerance: float = 1e-12,
    sweeps: int = 1_000_000,
) -> Tensor:
    """V by TD(0) over the same episodes again and again, until it rests (S,).

    A sweep adds up alpha [r + gamma V(s') - V(s)] over all steps before V changes (Sutton, 1988).
    It comes to rest at :func:`certainty_equivalence`.

    Args:
        episodes: What was met; one that was cut off is used up to there.
        states: How many states.
        gamma: Discount.
        alpha: Step size, small enough; by default 1 over the visits of the state most visited.
        tolerance: V rests where no change of a sweep, divided by alpha and visits, is larger.
        sweeps: At most this many.

    Raises:
        ConfigError: It did not come to rest.
    """
    s, next, goes_on = episodes.state, episodes.next, episodes.how != 1
    zeros = torch.zeros(states, dtype=torch.float64)
    count = zeros.index_add(0, s, torch.ones_like(episodes.reward))
    alpha = 1 / float(count.max()) if alpha is None else alpha
    # The sum of a sweep is linear in V: c (mean reward) + gamma N V - c V, with N counted once.
    follows = torch.zeros(states, states, dtype=torch.float64)
    follows.index_put_((s[goes_on], next[goes_on]), torch.ones(1).double(), accumulate=True)
    earned = zeros.index_add(0, s, episodes.reward)
    values = zeros
    for _ in range(sweeps):
        change = earned + gamma * (follows @ values) - count * values
        values = values + alpha * change
        if float((change / count.clamp(min=1)).abs().max()) <= tolerance:
            return values
    raise ConfigError(f"batch TD did not come to rest in {sweeps} sweeps; use a smaller alpha")


def certainty_equivalence(episodes: Episodes, states: int, *, gamma: float = 1.0) -> Tensor:
    """V of the process in which all happens as often as it was met: (I - gamma P)^-1 r (S,).

    The likeliest model of the episodes, solved exactly; states that were not met are 0.
    """
    zeros = torch.zeros(states, dtype=torch.float64)
    count = zeros.index_add(0, episodes.state, torch.ones_like(episodes.reward)).clamp(min=1)
    goes_on = episodes.how != 1
    pairs = episodes.state[goes_on], episodes.next[goes_on]
    follows = torch.zeros(states, states, dtype=torch.float64)
    follows.index_put_(pairs, torch.ones(1, dtype=torch.float64), accumulate=True)
    earned = zeros.index_add(0, episodes.state, episodes.reward)
    matrix = torch.eye(states, dtype=torch.float64) - gamma * follows / count[:, None]
    solved: Tensor = torch.linalg.solve(matrix, earned / count)
    return solved
