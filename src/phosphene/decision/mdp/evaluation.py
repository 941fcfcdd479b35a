"""The value of a policy: Bellman's linear equations, solved exactly and by sweeps."""

import time
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from phosphene.core.errors import ConfigError
from phosphene.decision.mdp.checks import Outcomes, as_array, check_gamma
from phosphene.decision.mdp.mdp import MDP
from phosphene.decision.mdp.solution import Solution, least_tolerance, process, ratios, rounding
from phosphene.decision.mdp.sweeping import bounds_of, converge, initial
from phosphene.decision.mdp.undiscounted import undiscounted
from phosphene.kernels.dynamic_programming import Process, greedy, sweeps

__all__ = ["checked_policy", "evaluate_policy", "induced", "linear_solve", "policy_values"]

Floats = NDArray[np.float64]

_DENSE = 500
"""States up to which LAPACK solves faster than sweeps do, or takes no time."""
_SWEEPS = 20_000


def evaluate_policy(
    mdp: MDP,
    policy: ArrayLike,
    gamma: float = 0.99,
    *,
    tolerance: float = 1e-8,
    initial_values: ArrayLike | None = None,
    sweeps: int | None = None,
    record: bool = False,
) -> Solution:
    """V_pi(s) = sum_a pi(a | s) [r(s, a) + gamma sum p(s' | s, a) V_pi(s')] by sweeps.

    Bellman's (1957) expectation equation. The arguments are those of ``value_iteration``.

    Args:
        mdp: The process.
        policy: (S,), actions; or (S, A), probabilities of actions.
        gamma: The discount; 1 where the policy ends every episode, or goes on without rewards.
        tolerance: A bound on |V(s) - V_pi(s)| in every state.
        initial_values: (S,), where to begin; 0 by default.
        sweeps: Do exactly so many, without correction.
        record: Keep the values after each sweep.

    Returns:
        A solution whose ``policy`` is the one given, and whose ``q`` is that of the policy.

    Example:
        >>> grid = MDP.from_grid("gridworld")  # Sutton and Barto (2018), example 4.1
        >>> random = evaluate_policy(grid, np.full((16, 4), 0.25), gamma=1)
        >>> grid.grid.map(random.values.round(6))[0].tolist()
        [0.0, -14.0, -20.0, -22.0]
    """
    begun = time.perf_counter()
    chain = induced(mdp, policy)
    p = process(chain, gamma)
    trace = converge(
        chain,
        p,
        least_tolerance(tolerance),
        initial(mdp, initial_values),
        count=sweeps,
        record=record,
    )
    return _solution(
        mdp, policy, p, trace.values,
        iterations=len(trace.changes),
        contraction=ratios(trace.changes),
        seconds=time.perf_counter() - begun,
        method="policy evaluation",
        path=trace.recorded,
    )  # fmt: skip


def linear_solve(
    mdp: MDP, policy: ArrayLike, gamma: float = 0.99, *, initial_values: ArrayLike | None = None
) -> Solution:
    """V_pi = (I - gamma P_pi)^-1 r_pi, to rounding: :func:`policy_values` as a solution.

    Args:
        mdp: The process.
        policy: (S,), actions; or (S, A), probabilities of actions.
        gamma: The discount.
        initial_values: Where sweeps begin, if there are any.

    Returns:
        A solution whose ``policy`` is the one given, and whose ``q`` is that of the policy.

    Raises:
        ConfigError: gamma = 1, and the policy earns forever in some state, which is named.

    Example:
        >>> lake = MDP.from_grid("frozen-lake-4x4", slip=0)
        >>> right_and_down = [1, 0, 0, 0, 1, 0, 0, 0, 2, 1, 0, 0, 0, 2, 2, 0]
        >>> round(float(linear_solve(lake, right_and_down, gamma=0.99).values[0]), 9)  # 0.99^5
        0.95099005
    """
    begun = time.perf_counter()
    values = policy_values(mdp, policy, gamma, initial_values=initial_values)
    seconds = time.perf_counter() - begun
    return _solution(
        mdp, policy, process(induced(mdp, policy), gamma), values,
        iterations=1, contraction=np.zeros(0), seconds=seconds, method="linear equations",
    )  # fmt: skip


def _solution(mdp: MDP, policy: ArrayLike, chain: Process, values: Floats, **how: Any) -> Solution:
    choice = greedy(process(mdp, chain.gamma), values)
    mine = greedy(chain, values, with_q=False)
    assert choice.q is not None
    given = checked_policy(mdp, policy)
    return Solution(
        values=values,
        policy=given.astype(np.int64) if given.ndim == 1 else given,
        q=choice.q,
        residual=max(mine.high, -mine.low),
        gamma=chain.gamma,
        **how,
    )


def policy_values(
    mdp: MDP, policy: ArrayLike, gamma: float = 0.99, *, initial_values: ArrayLike | None = None
) -> Floats:
    """V_pi = (I - gamma P_pi)^-1 r_pi, to rounding.

    LAPACK solves up to 500 states. Above, sweeps with bounds do to 1e-12 of the greatest value,
    which takes some tens of them where states mix; where it would take more than 20,000, and where
    gamma = 1, scipy factorizes the sparse matrix. With gamma = 1 the equations are those of the
    states that the policy leaves; where it stays forever without rewards the value is 0.

    Args:
        mdp: The process.
        policy: (S,), actions; or (S, A), probabilities of actions.
        gamma: The discount.
        initial_values: Where sweeps begin, if there are any.

    Returns:
        (S,), float64.

    Raises:
        ConfigError: gamma = 1, and the policy earns forever in some state, which is named.

    Example:
        >>> lake = MDP.from_grid("frozen-lake-4x4", slip=0)
        >>> right_and_down = [1, 0, 0, 0, 1, 0, 0, 0, 2, 1, 0, 0, 0, 2, 2, 0]
        >>> round(float(policy_values(lake, right_and_down, gamma=0.99)[0]), 9)  # 0.99^5
        0.95099005
    """
    chain, gamma = induced(mdp, policy), check_gamma(gamma)
    free = ~chain.terminal
    if gamma == 1.0:
        free &= undiscounted(chain).component < 0
    if free.sum() <= _DENSE:
        return _dense(chain, gamma, free)
    if gamma < 1.0:
        values = _swept(chain, gamma, initial(mdp, initial_values))
        if values is not None:
            return values
    return _sparse(chain, gamma, free)


def _equations(chain: MDP, gamma: float, free: NDArray[np.bool_]) -> tuple[Any, ...]:
    """Row, column and number of gamma P_pi among the free states."""
    rows = np.repeat(np.arange(chain.states), np.diff(chain.indptr))
    kept = free[rows] & free[chain.next]
    number = np.cumsum(free) - 1
    return number[rows[kept]], number[chain.next[kept]], gamma * chain.weight[kept]


def _dense(chain: MDP, gamma: float, free: NDArray[np.bool_]) -> Floats:
    size, values = int(free.sum()), np.zeros(chain.states)
    row, column, number = _equations(chain, gamma, free)
    matrix = torch.eye(size, dtype=torch.float64)
    entries = torch.from_numpy(number)
    matrix.view(-1).index_add_(0, torch.from_numpy(row * size + column), entries, alpha=-1)
    rewards = torch.from_numpy(chain.rewards[free])
    factors = torch.linalg.lu_factor(matrix)
    solved = torch.linalg.lu_solve(*factors, rewards)
    # One step of refinement takes off what the factors' rounding left.
    solved += torch.linalg.lu_solve(*factors, rewards - matrix @ solved)
    values[free] = solved[:, 0].numpy()
    return values


def _swept(chain: MDP, gamma: float, values: Floats) -> Floats | None:
    """By sweeps with bounds; None where they are slow."""
    bounds, p = bounds_of(chain, gamma), process(chain, gamma)
    for _ in range(_SWEEPS // 100):
        size = max(1e-12 * float(np.abs(values).max()), bounds.factor * rounding(values, p.rewards))
        swept = sweeps(
            p, values, count=100, tolerance=size, factor=bounds.factor, ends=bounds.ends
        )  # fmt: skip
        values = swept.values
        if bounds.halfwidth(swept.low, swept.high) <= size:
            return bounds.middle(values, swept.low, swept.high)
    return None


def _sparse(chain: MDP, gamma: float, free: NDArray[np.bool_]) -> Floats:
    try:
        from scipy.sparse import coo_array, eye_array  # type: ignore[import-untyped]
        from scipy.sparse.linalg import spsolve  # type: ignore[import-untyped]
    except ImportError as error:
        raise ConfigError(
            f"the exact solution for {chain.states} states and gamma {gamma} needs scipy: "
            "pip install scipy installs it"
        ) from error
    row, column, number = _equations(chain, gamma, free)
    size, values = int(free.sum()), np.zeros(chain.states)
    matrix = eye_array(size) - coo_array((number, (row, column)), shape=(size, size))
    values[free] = spsolve(matrix.tocsc(), chain.rewards[free, 0])
    return values


def induced(mdp: MDP, policy: ArrayLike) -> MDP:
    """The Markov reward process of a policy: the same states, and nothing to decide.

    Args:
        mdp: The decision process.
        policy: (S,), actions; or (S, A), probabilities of actions.

    Raises:
        ConfigError: The policy has another shape, or names no action or no distribution.

    Example:
        >>> chain = induced(MDP.from_grid("gridworld"), np.full((16, 4), 0.25))
        >>> chain.actions, [round(p, 2) for p, _, _, _ in chain.outcomes(1, 0)]
        (1, [0.25, 0.25, 0.25, 0.25])
    """
    array = checked_policy(mdp, policy)
    if array.ndim == 1:
        rows = np.arange(mdp.states) * mdp.actions + array.astype(np.int64)
        share = np.ones(mdp.states)
    else:
        rows = np.flatnonzero(array.ravel() > 0)
        share = array.ravel()[rows]
    counts = mdp.indptr[rows + 1] - mdp.indptr[rows]
    ends = np.cumsum(counts)
    place = np.arange(ends[-1]) + np.repeat(mdp.indptr[rows] - (ends - counts), counts)
    owner = rows // mdp.actions
    indptr = np.zeros(mdp.states + 1, dtype=np.int64)
    np.cumsum(np.bincount(owner, counts, mdp.states), out=indptr[1:])
    probability = mdp.probability[place]
    if array.ndim == 2:
        probability *= np.repeat(share, counts)
    rewards = np.zeros((mdp.states, 1))
    np.add.at(rewards[:, 0], owner, share * mdp.rewards.ravel()[rows])
    ending = mdp.ends[place] if mdp.episodic else None
    outcomes = Outcomes(mdp.states, 1, indptr, mdp.next[place], probability, ending)
    return mdp.with_outcomes(outcomes, rewards, mdp.outcome_reward[place])


def checked_policy(mdp: MDP, policy: ArrayLike) -> Floats:
    """Actions (S,) or probabilities (S, A) that fit the process."""
    array = as_array(policy, "policy")
    if array.shape == (mdp.states,):
        wrong = ~((array >= 0) & (array < mdp.actions) & (array == np.floor(array)))
        if wrong.any():
            s = int(wrong.argmax())
            at = f"{array[s]:g} in state {s}"
            raise ConfigError(f"a policy names actions 0 to {mdp.actions - 1}, got {at}")
        return array
    if array.shape != (mdp.states, mdp.actions):
        raise ConfigError(
            f"a policy must have shape ({mdp.states},) or ({mdp.states}, {mdp.actions}), "
            f"got {array.shape}"
        )
    sums = array.sum(1)
    wrong = ~((array >= 0).all(1) & (np.abs(sums - 1.0) <= 1e-6))
    if wrong.any():
        s = int(wrong.argmax())
        raise ConfigError(f"a policy's probabilities in state {s} must sum to 1, got {sums[s]:.9g}")
    return np.asarray(array / sums[:, None])
