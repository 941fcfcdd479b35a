"""Value iteration: the Bellman operator, applied until nothing changes."""

import time
from typing import Literal

from numpy.typing import ArrayLike

from phosphene.core.errors import UnknownNameError
from phosphene.decision.mdp.mdp import MDP
from phosphene.decision.mdp.solution import (
    Floats,
    Integers,
    Solution,
    least_tolerance,
    process,
    ratios,
    rounding,
)
from phosphene.decision.mdp.sweeping import Trace, converge, initial
from phosphene.kernels.dynamic_programming import Process, greedy

__all__ = ["value_iteration"]


def value_iteration(
    mdp: MDP,
    gamma: float = 0.99,
    *,
    tolerance: float = 1e-8,
    sweep: Literal["jacobi", "gauss-seidel"] = "jacobi",
    initial_values: ArrayLike | None = None,
    sweeps: int | None = None,
    record: bool = False,
) -> Solution:
    """Solve V(s) = max_a [r(s, a) + gamma sum p(s' | s, a) V(s')] by sweeps (Bellman, 1957).

    T is a contraction: ||T V - T U|| <= gamma ||V - U|| in the sup-norm. Sweeps stop when the
    bounds of MacQueen (1966) are close, and the middle between them is returned; see
    ``phosphene.decision.mdp.sweeping``. That takes far fewer sweeps than waiting for V to stand
    still where states mix, and, other than stopping alone, gives the right V. With gamma = 1 the
    process is checked first: ``phosphene.decision.mdp.undiscounted``.

    Args:
        mdp: The process.
        gamma: The discount, 0 to 1.
        tolerance: A bound on |V(s) - V*(s)| in every state.
        sweep: ``jacobi`` computes all values from the old ones, on all threads of torch;
            ``gauss-seidel`` uses each new value at once, going down and up the states in turns, on
            one thread: for maps and chains, where news travel far in one sweep.
        initial_values: (S,), where to begin; 0 by default.
        sweeps: Do exactly so many, without correction, and leave ``tolerance`` out of account.
        record: Keep the values after each sweep.

    Raises:
        ConfigError: gamma = 1 where total rewards need not exist, or a tolerance that float64
            cannot reach.

    Example:
        >>> lake = MDP.from_grid("frozen-lake-4x4")
        >>> solution = value_iteration(lake, gamma=0.99)
        >>> round(solution.start_value(lake), 6), bool(solution.contraction.max() < 0.99 + 1e-9)
        (0.542026, True)
        >>> print(lake.grid.draw(solution.policy))
        ←↑↑↑
        ←H←H
        ↑↓←H
        H→↓G
    """
    begun = time.perf_counter()
    if sweep not in ("jacobi", "gauss-seidel"):
        raise UnknownNameError("sweep", sweep, ("jacobi", "gauss-seidel"))
    p = process(mdp, gamma)
    trace = converge(
        mdp,
        p,
        least_tolerance(tolerance),
        initial(mdp, initial_values),
        seidel=sweep == "gauss-seidel",
        count=sweeps,
        record=record,
    )
    policy, q, residual = greedy_of(p, trace)
    return Solution(
        values=trace.values,
        policy=policy,
        q=q,
        iterations=len(trace.changes),
        residual=residual,
        contraction=ratios(trace.changes),
        seconds=time.perf_counter() - begun,
        method=f"value iteration ({sweep})",
        gamma=gamma,
        path=trace.recorded,
    )


def greedy_of(
    p: Process,
    trace: Trace,
    policy: Integers | None = None,
    slack: float | None = None,
) -> tuple[Integers, Floats, float]:
    """The greedy policy of values, their q (S, A) and their residual.

    Args:
        p: The process.
        trace: The values.
        policy: Actions that are kept where they are within ``slack`` of the best.
        slack: A few units in the last place by default.
    """
    slack = rounding(trace.values, p.rewards) if slack is None else slack
    choice = greedy(p, trace.values, policy=policy, slack=slack)
    assert choice.q is not None
    known = trace.undiscounted
    if known is None or not known.members:
        return choice.policy, choice.q, max(choice.high, -choice.low)
    chosen = known.improve(choice.q, known.policy if policy is None else policy, slack)
    residual = float(abs(known.lift(choice.q) - trace.values).max())
    return chosen, choice.q, residual
