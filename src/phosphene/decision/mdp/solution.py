"""The result of a solver, and what all solvers share."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phosphene.core.errors import ConfigError
from phosphene.decision.mdp.checks import check_gamma
from phosphene.decision.mdp.mdp import MDP
from phosphene.kernels.dynamic_programming import Process

__all__ = ["Solution", "least_tolerance", "process", "ratios", "rounding"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Solution:
    """Values, a policy, and how they were computed.

    Args:
        values: (S,), V(s).
        policy: (S,), the action of each state; (S, A), probabilities, where such a policy was
            evaluated. Where actions are equally good, the first.
        q: (S, A), r(s, a) + gamma sum p V(s').
        iterations: Sweeps, or improvements of the policy.
        residual: max |(T V)(s) - V(s)| at the values returned, T being the Bellman operator that
            was solved. It is 0 at the solution; an error e leaves at most (1 + gamma) e.
        contraction: The change of each sweep over that of the sweep before, where recorded.
        seconds: Wall-clock time.
        method: Who solved it, in words.
        gamma: The discount.
        path: (iterations, S), the values after each iteration, where ``record`` asked for them.
    """

    values: Floats
    policy: Integers | Floats
    q: Floats
    iterations: int
    residual: float
    contraction: Floats
    seconds: float
    method: str
    gamma: float
    path: Floats | None = None

    def start_value(self, mdp: MDP) -> float:
        """The value of where episodes begin, sum of start(s) V(s)."""
        return float(mdp.start @ self.values)


def process(mdp: MDP, gamma: float) -> Process:
    """The decision process as kernels take it."""
    gamma = check_gamma(gamma)
    return Process(
        mdp.states, mdp.actions, mdp.indptr, mdp.next, mdp.weight, mdp.rewards, gamma
    )  # fmt: skip


def ratios(changes: Floats) -> Floats:
    """Each change over the one before; 0 after the last that was not zero."""
    before = changes[:-1]
    return np.divide(changes[1:], before, out=np.zeros(len(before)), where=before > 0)


def rounding(values: Floats, rewards: Floats) -> float:
    """By how much float64 may err in one sweep: a few units in the last place."""
    return 4.0 * np.finfo(np.float64).eps * max(float(np.abs(values).max()), _largest(rewards))


def _largest(rewards: Floats) -> float:
    return max(float(rewards.max()), -float(rewards.min()))


def least_tolerance(tolerance: float) -> float:
    """A tolerance above 0."""
    if not 0.0 < tolerance < np.inf:
        raise ConfigError(f"tolerance must be above 0, got {tolerance}")
    return float(tolerance)
