"""Backward induction: the best policy when the number of steps is known."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from phosphene.core.errors import ConfigError
from phosphene.decision.mdp.checks import as_array
from phosphene.decision.mdp.mdp import MDP
from phosphene.decision.mdp.solution import Floats, Integers, process
from phosphene.kernels.dynamic_programming import greedy

__all__ = ["Plan", "backward_induction"]


@dataclass(frozen=True)
class Plan:
    """Values and the best actions, by the number of steps to go.

    Args:
        values: (horizon + 1, S): V with k steps to go.
        policy: (horizon, S), int64: the action in the row k is the one to take with k + 1 steps to
            go.
        gamma: The discount.
    """

    values: Floats
    policy: Integers
    gamma: float

    def start_value(self, mdp: MDP) -> float:
        """The value of where episodes begin, with all steps to go."""
        return float(mdp.start @ self.values[-1])


def backward_induction(
    mdp: MDP, horizon: int | None = None, gamma: float = 1.0, *, final: ArrayLike | None = None
) -> Plan:
    """V_k(s) = max_a [r(s, a) + gamma sum p(s' | s, a) V_{k-1}(s')], V_0 = final (Bellman, 1957).

    Other than with an infinite horizon the best action depends on the steps that are left, and
    gamma = 1 asks for nothing.

    Args:
        mdp: The process.
        horizon: How many steps; the process's ``limit`` by default.
        gamma: The discount, 0 to 1.
        final: (S,), what being in a state after the last step is worth; 0 by default.

    Example:
        >>> lake = MDP.from_grid("frozen-lake-4x4")
        >>> round(backward_induction(lake, 100).start_value(lake), 7)
        0.7441903
    """
    horizon = mdp.limit if horizon is None else horizon
    if horizon is None or horizon < 1:
        raise ConfigError(f"horizon must be 1 step or more, got {horizon}")
    p = process(mdp, gamma)
    values = np.zeros((horizon + 1, mdp.states))
    if final is not None:
        given = as_array(final, "final")
        if given.shape != (mdp.states,):
            raise ConfigError(f"final must have shape ({mdp.states},), got {given.shape}")
        values[0] = np.where(mdp.terminal, 0.0, given)
    policy = np.zeros((horizon, mdp.states), dtype=np.int64)
    for k in range(horizon):
        choice = greedy(p, values[k], with_q=False)
        values[k + 1], policy[k] = choice.values, choice.policy
    return Plan(values, policy, gamma)
