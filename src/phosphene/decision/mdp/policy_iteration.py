"""Policy iteration: evaluate the policy, act greedily on its values, and again."""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from phosphene.core.errors import ConfigError
from phosphene.decision.mdp.checks import check_gamma
from phosphene.decision.mdp.evaluation import checked_policy, policy_values
from phosphene.decision.mdp.mdp import MDP
from phosphene.decision.mdp.solution import (
    Integers,
    Solution,
    least_tolerance,
    process,
    ratios,
    rounding,
)
from phosphene.decision.mdp.sweeping import Trace, bounds_of, refuse_diverged, refuse_unresolved
from phosphene.decision.mdp.undiscounted import undiscounted
from phosphene.decision.mdp.value_iteration import greedy_of
from phosphene.kernels.dynamic_programming import Process, greedy
from phosphene.kernels.dynamic_programming import sweeps as run_sweeps

__all__ = ["policy_iteration"]

_EPSILON = float(np.finfo(np.float64).eps)
_CLOSE = 1e-3


def policy_iteration(
    mdp: MDP,
    gamma: float = 0.99,
    *,
    sweeps: int | None = None,
    tolerance: float = 1e-8,
    initial_policy: ArrayLike | None = None,
    record: bool = False,
) -> Solution:
    """Solve a process by improving a policy (Howard, 1960; Puterman and Shin, 1978).

    V_k = V of pi_k, pi_{k+1}(s) = argmax_a [r(s, a) + gamma sum p(s' | s, a) V_k(s')]. Greedy is no
    optimum by itself, only an improvement: V_{k+1} >= V_k in every state, and as there are finitely
    many policies, the last one cannot be improved. An action is given up only for one that is
    better by more than rounding, so that equal actions do not take turns forever.

    With ``sweeps`` the policy is evaluated by so many sweeps only (modified policy iteration), on
    all threads, and the values returned are the middle of MacQueen's bounds, as in
    ``value_iteration``: the fastest way for many states.

    Args:
        mdp: The process.
        gamma: The discount; 1 only without ``sweeps``, and where total rewards exist.
        sweeps: At most this many sweeps an evaluation; None solves its linear equations exactly.
        tolerance: A bound on |V(s) - V*(s)|; used with ``sweeps``.
        initial_policy: (S,), where to begin; greedy on V = 0 by default. With gamma = 1 it is one
            that ends, whatever is given here.
        record: Keep the values after each evaluation (of each sweep of improvement).

    Raises:
        ConfigError: gamma = 1 where total rewards need not exist, or with ``sweeps``.

    Example:
        >>> lake = MDP.from_grid("frozen-lake-4x4")
        >>> exact = policy_iteration(lake, gamma=1)
        >>> round(17 * exact.start_value(lake), 9)
        14.0
        >>> big = MDP.random(10_000, 4, seed=0)
        >>> fast = policy_iteration(big, gamma=0.99, sweeps=20)
        >>> bool(abs(fast.values - policy_iteration(big, gamma=0.99).values).max() < 1e-8)
        True
    """
    begun, gamma = time.perf_counter(), check_gamma(gamma)
    p = process(mdp, gamma)
    if sweeps is None:
        run = _howard(mdp, p, initial_policy, record)
        how = "policy iteration"
    else:
        run = _modified(mdp, p, sweeps, least_tolerance(tolerance), initial_policy, record)
        how = f"modified policy iteration ({sweeps} sweeps)"
    policy, q, residual = greedy_of(p, run.trace, run.policy, run.slack)
    return Solution(
        values=run.trace.values,
        policy=policy,
        q=q,
        iterations=len(run.trace.changes),
        residual=residual,
        contraction=ratios(run.trace.changes),
        seconds=time.perf_counter() - begun,
        method=how,
        gamma=gamma,
        path=run.trace.recorded,
    )


@dataclass(frozen=True)
class _Run:
    trace: Trace
    policy: Integers
    slack: float


def _howard(mdp: MDP, p: Process, first: ArrayLike | None, record: bool) -> _Run:
    """Exact evaluation and improvement in turns."""
    gamma = p.gamma
    known = undiscounted(mdp) if gamma == 1.0 else None
    policy = known.policy if known else _first(mdp, p, first)
    values, changes, path = np.zeros(mdp.states), [], []
    factor = min(bounds_of(mdp, gamma).factor, 1e3)
    while True:
        new = policy_values(mdp, policy, gamma, initial_values=values)
        # What an evaluation may be wrong by, and a tie must not be decided on.
        slack = max(4e-12, 64.0 * _EPSILON * (1.0 + factor)) * float(np.abs(new).max())
        refuse_diverged(new, slack)
        changes.append(float(np.abs(new - values).max()))
        if record:
            path.append(new)
        gained = len(changes) == 1 or float((new - values).max()) > slack
        values = new
        choice = greedy(p, values, policy=policy, slack=slack)
        assert choice.q is not None
        better = known.improve(choice.q, policy, slack) if known else choice.policy
        if not gained or (better == policy).all():
            return _Run(Trace(values, np.array(changes), path, known), policy, slack)
        policy = better


def _modified(
    mdp: MDP, p: Process, count: int, tolerance: float, first: ArrayLike | None, record: bool
) -> _Run:
    """A sweep that improves, and some that evaluate, in turns."""
    bounds = bounds_of(mdp, p.gamma)
    if count < 1:
        raise ConfigError(f"sweeps must be 1 or more, got {count}")
    if np.isinf(bounds.factor):
        raise ConfigError("gamma = 1 needs policy_iteration without sweeps: they have no bound")
    values, policy = np.zeros(mdp.states), None if first is None else _first(mdp, p, first)
    changes, path = [], []
    if policy is not None:
        values = run_sweeps(p, values, policy=policy, count=count).values
    while True:
        choice = greedy(p, values, policy=policy, with_q=False)
        error = bounds.halfwidth(choice.low, choice.high)
        values, policy = choice.values, choice.policy
        changes.append(max(choice.high, -choice.low))
        refuse_diverged(values, error)
        if record:
            path.append(values)
        refuse_unresolved(tolerance, error, 4.0 * bounds.factor * rounding(values, p.rewards))
        if error <= tolerance:
            middle = bounds.middle(values, choice.low, choice.high)
            return _Run(Trace(middle, np.array(changes), path), policy, rounding(values, p.rewards))
        # Closer than this says more of a policy than is known of its successor.
        values = run_sweeps(
            p, values, policy=policy, count=count,
            tolerance=_CLOSE * error, factor=bounds.factor, ends=bounds.ends,
        ).values  # fmt: skip


def _first(mdp: MDP, p: Process, given: ArrayLike | None) -> Integers:
    """The policy to begin with: greedy on V = 0, or what is given."""
    if given is None:
        return greedy(p, np.zeros(mdp.states), with_q=False).policy
    array = checked_policy(mdp, given)
    if array.ndim != 1:
        raise ConfigError("initial_policy must name one action for each state")
    return array.astype(np.int64)
