"""Linear programming: the least V with V >= r_a + gamma P_a V for every action a."""

import time
from typing import Any

import numpy as np

from phosphene.core.errors import ConfigError
from phosphene.decision.mdp.checks import check_gamma
from phosphene.decision.mdp.evaluation import policy_values
from phosphene.decision.mdp.mdp import MDP
from phosphene.decision.mdp.solution import Floats, Solution, process, rounding
from phosphene.decision.mdp.sweeping import Trace
from phosphene.decision.mdp.undiscounted import undiscounted
from phosphene.decision.mdp.value_iteration import greedy_of
from phosphene.kernels.dynamic_programming import greedy

__all__ = ["linear_programming"]


def linear_programming(mdp: MDP, gamma: float = 0.99) -> Solution:
    """Minimize sum_s V(s) subject to V(s) >= r(s, a) + gamma sum p V(s') (d'Epenoux, 1963).

    Any V with T V <= V is above V*, so the least one is V*. With gamma = 1 the states where one can
    stay without rewards get V >= 0 as well. HiGHS (through scipy) solves it to about 1e-7; the
    policy is read off its solution, and the values are those of that policy, solved exactly.

    Args:
        mdp: The process; some thousands of states at most.
        gamma: The discount, 0 to 1.

    Raises:
        ConfigError: scipy is not installed, or total rewards need not exist with gamma = 1.

    Example:
        >>> lake = MDP.from_grid("frozen-lake-4x4")
        >>> round(linear_programming(lake, gamma=0.99).start_value(lake), 6)
        0.542026
    """
    begun, gamma = time.perf_counter(), check_gamma(gamma)
    try:
        from scipy.optimize import linprog  # type: ignore[import-untyped]
    except ImportError as error:
        raise ConfigError(
            "linear programming needs scipy: pip install scipy installs it"
        ) from error
    known = undiscounted(mdp) if gamma == 1.0 else None
    least = np.full(mdp.states, -np.inf)
    if known is not None:
        least[known.component >= 0] = 0.0
    least[mdp.terminal] = 0.0
    most = np.where(mdp.terminal, 0.0, np.inf)
    p, (matrix, limits) = process(mdp, gamma), _constraints(mdp, gamma)
    done = linprog(
        np.ones(mdp.states), matrix, limits, bounds=np.stack([least, most], 1), method="highs"
    )
    if not done.success:
        raise ConfigError(f"HiGHS could not solve {mdp.name} with gamma {gamma}: {done.message}")
    found: Floats = np.asarray(done.x)
    # How often the best policy takes an action, in the dual: more than never where it is best.
    taken = np.zeros((mdp.states, mdp.actions))
    taken[~mdp.terminal] = -done.ineqlin.marginals.reshape(-1, mdp.actions)
    policy = taken.argmax(1).astype(np.int64)
    if known is not None and known.members:
        q = greedy(p, found).q
        assert q is not None
        policy = known.improve(np.where(taken > 0, q, -np.inf), known.policy, 0.0)
    values = policy_values(mdp, policy, gamma)
    trace = Trace(values, np.zeros(1), undiscounted=known)
    policy, q, residual = greedy_of(p, trace, policy, 1e3 * rounding(values, mdp.rewards))
    return Solution(
        values=values,
        policy=policy,
        q=q,
        iterations=int(done.nit),
        residual=residual,
        contraction=np.zeros(0),
        seconds=time.perf_counter() - begun,
        method="linear programming (HiGHS)",
        gamma=gamma,
    )


def _constraints(mdp: MDP, gamma: float) -> tuple[Any, Floats]:
    """The matrix and limits of gamma P V - V <= -r, for each (s, a) that is not terminal."""
    from scipy.sparse import coo_array  # type: ignore[import-untyped]

    rows = np.repeat(np.arange(mdp.states * mdp.actions), np.diff(mdp.indptr))
    every = np.arange(mdp.states * mdp.actions)
    entries = np.concatenate([gamma * mdp.weight, -np.ones(len(every))])
    where = np.concatenate([rows, every]), np.concatenate([mdp.next, every // mdp.actions])
    matrix = coo_array((entries, where), shape=(len(every), mdp.states)).tocsr()
    used = np.repeat(~mdp.terminal, mdp.actions)
    return matrix[used], -mdp.rewards.ravel()[used]
