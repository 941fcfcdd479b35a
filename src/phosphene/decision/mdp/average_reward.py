"""Relative value iteration: the greatest average reward per step."""

import time
from dataclasses import dataclass

import numpy as np

from phosphene.core.errors import ConfigError
from phosphene.decision.mdp.mdp import MDP
from phosphene.decision.mdp.solution import Floats, Integers, least_tolerance, process
from phosphene.kernels.dynamic_programming import greedy

__all__ = ["Gain", "relative_value_iteration"]


@dataclass(frozen=True)
class Gain:
    """The average reward per step, and the policy that earns it.

    Args:
        gain: Reward a step, within ``tolerance``.
        bias: (S,), what beginning in a state is worth beside that, relative to state 0.
        policy: (S,), int64.
        iterations: Sweeps.
        seconds: Wall-clock time.
    """

    gain: float
    bias: Floats
    policy: Integers
    iterations: int
    seconds: float


def relative_value_iteration(mdp: MDP, *, tolerance: float = 1e-8, sweeps: int = 100_000) -> Gain:
    """Solve h(s) + g = max_a [r(s, a) + sum p(s' | s, a) h(s')] (White, 1963; Puterman, 1994).

    With d = T h - h, min d <= g <= max d bounds the gain of the greedy policy and the best one.
    h moves half of the way only (Schweitzer, 1971), which keeps sweeps from swinging where the
    process has a period.

    Args:
        mdp: A process that never ends, and in which the gain is the same from everywhere.
        tolerance: A bound on the error of the gain.
        sweeps: At most this many.

    Raises:
        ConfigError: An episode can end, or the gain depends on where one begins.

    Example:
        >>> turns = MDP([[[0, 1], [1, 0]]], [[1.0], [3.0]])
        >>> relative_value_iteration(turns).gain
        2.0
    """
    begun, tolerance = time.perf_counter(), least_tolerance(tolerance)
    if mdp.episodic:
        raise ConfigError(f"{mdp.name} ends: its reward a step in the long run is 0")
    p, bias = process(mdp, 1.0), np.zeros(mdp.states)
    policy: Integers | None = None
    for done in range(1, sweeps + 1):
        choice = greedy(p, bias, policy=policy, with_q=False)
        policy = choice.policy
        if 0.5 * (choice.high - choice.low) <= tolerance:
            gain, taken = 0.5 * (choice.low + choice.high), time.perf_counter() - begun
            return Gain(gain, bias - bias[0], policy, done, taken)
        bias = 0.5 * (bias + choice.values)
        bias -= bias[0]
    raise ConfigError(
        f"after {sweeps} sweeps the gain of {mdp.name} is between {choice.low:.6g} and "
        f"{choice.high:.6g}: it depends on where one begins, or sweeps must be more"
    )
