"""Sweeps of dynamic programming over outcomes in rows: native, and their reference in numpy."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phosphene.kernels.library import call, usable

__all__ = [
    "Choice",
    "Process",
    "Swept",
    "gauss_seidel",
    "gauss_seidel_reference",
    "greedy",
    "greedy_reference",
    "sweeps",
    "sweeps_reference",
    "well_formed",
]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Process:
    """A finite decision process, its outcomes in rows s * actions + a; no row is empty.

    Args:
        states: How many.
        actions: How many.
        indptr: (states * actions + 1,), int64.
        next: int32, one for each outcome.
        weight: Its probability, 0 where nothing follows.
        rewards: (states, actions).
        gamma: The discount.
    """

    states: int
    actions: int
    indptr: Integers
    next: NDArray[np.int32]
    weight: Floats
    rewards: Floats
    gamma: float

    def arguments(self) -> tuple[Any, ...]:
        """As kernels take them."""
        tables: tuple[NDArray[Any], ...] = (self.indptr, self.next, self.weight, self.rewards)
        return (self.states, self.actions, *(_tensor(t) for t in tables), float(self.gamma))

    def q(self, v: Floats) -> Floats:
        """(states, actions): r + gamma sum of weight times v, in numpy."""
        total = np.add.reduceat(self.weight * v[self.next], self.indptr[:-1])
        return self.rewards + self.gamma * total.reshape(self.states, self.actions)


@dataclass(frozen=True)
class Swept:
    """What sweeps gave.

    Args:
        values: (states,), the new values.
        changes: The sup-norm of each sweep's change.
        low: The least change of the last sweep.
        high: The greatest.
    """

    values: Floats
    changes: Floats
    low: float
    high: float


@dataclass(frozen=True)
class Choice:
    """What a greedy step gave.

    Args:
        values: (states,), max_a q.
        policy: (states,), int64.
        q: (states, actions), or None where it was not asked for.
        low: The least of max_a q - v.
        high: The greatest.
        changed: How many states have another action than before.
    """

    values: Floats
    policy: Integers
    q: Floats | None
    low: float
    high: float
    changed: int


def sweeps(
    process: Process,
    v: Floats,
    *,
    policy: Integers | None = None,
    count: int = 1,
    tolerance: float = -1.0,
    factor: float = 1.0,
    carried: float = 0.0,
    ends: bool = False,
) -> Swept:
    """Up to ``count`` sweeps that use the old values only.

    v'(s) = max_a q(s, a), or q(s, policy(s)). They stop when half of factor (high - low) is at most
    ``tolerance``; low and high are those of the last change, and 0 if nearer where ``ends``.

    Where V + factor low <= V* <= V + factor high, and what remains to be earned is carried on by at
    most ``carried`` < 1 each step, actions that cannot be optimal are left out as soon as that is
    known (MacQueen, 1967), which changes no value.

    Example:
        >>> loop = Process(1, 1, np.array([0, 1]), np.zeros(1, np.int32), np.ones(1),
        ...                np.ones((1, 1)), 0.5)
        >>> sweeps(loop, np.zeros(1), count=3).values.tolist()
        [1.75]
    """
    values = np.array(v, dtype=np.float64)
    if not usable(_tensor(values)):
        return sweeps_reference(
            process, v, policy=policy, count=count, tolerance=tolerance, factor=factor, ends=ends
        )
    changes, stats = np.empty(count), np.empty(4)
    chosen = None if policy is None else _tensor(policy)
    call(
        "dp_sweeps", torch.float64, *process.arguments(), chosen, count, float(tolerance),
        float(factor), float(carried), int(ends), torch.get_num_threads(),
        _tensor(values), _tensor(changes), _tensor(stats),
    )  # fmt: skip
    return Swept(values, changes[: int(stats[0])], float(stats[1]), float(stats[2]))


def sweeps_reference(
    process: Process,
    v: Floats,
    *,
    policy: Integers | None = None,
    count: int = 1,
    tolerance: float = -1.0,
    factor: float = 1.0,
    carried: float = 0.0,
    ends: bool = False,
) -> Swept:
    """The same in numpy."""
    changes: list[float] = []
    least, most, states = np.inf, -np.inf, np.arange(process.states)
    for _ in range(count):
        q = process.q(v)
        new = q.max(1) if policy is None else q[states, policy]
        least, most = float((new - v).min()), float((new - v).max())
        v = new
        changes.append(max(abs(least), abs(most)))
        low, high = (min(least, 0.0), max(most, 0.0)) if ends else (least, most)
        if 0.5 * factor * (high - low) <= tolerance:
            break
    return Swept(np.array(v), np.array(changes), least, most)


def gauss_seidel(
    process: Process, v: Floats, *, first: int = 0, count: int = 1, least: float = -1.0
) -> Swept:
    """Up to ``count`` sweeps that use each new value at once, down and up the states in turns.

    The first goes down where ``first`` is even. They stop when no value changes by more than
    ``least``. One thread: each state waits for those before it.
    """
    values = np.array(v, dtype=np.float64)
    if not usable(_tensor(values)):
        return gauss_seidel_reference(process, v, first=first, count=count, least=least)
    changes, stats = np.empty(count), np.empty(4)
    call(
        "dp_gauss_seidel", torch.float64, *process.arguments(), first, count, float(least),
        _tensor(values), _tensor(changes), _tensor(stats),
    )  # fmt: skip
    return Swept(values, changes[: int(stats[0])], float(stats[1]), float(stats[2]))


def gauss_seidel_reference(
    process: Process, v: Floats, *, first: int = 0, count: int = 1, least: float = -1.0
) -> Swept:
    """The same in numpy, state by state."""
    values, changes = np.array(v, dtype=np.float64), []
    low = high = 0.0
    after = [
        slice(process.indptr[row], process.indptr[row + 1])
        for row in range(process.states * process.actions)
    ]
    for done in range(count):
        before = values.copy()
        order = range(process.states)
        for s in order if (first + done) % 2 == 0 else reversed(order):
            rows = after[s * process.actions : (s + 1) * process.actions]
            sums = [process.weight[i] @ values[process.next[i]] for i in rows]
            values[s] = (process.rewards[s] + process.gamma * np.array(sums)).max()
        low, high = float((values - before).min()), float((values - before).max())
        changes.append(max(abs(low), abs(high)))
        if changes[-1] <= least:
            break
    return Swept(values, np.array(changes), low, high)


def greedy(
    process: Process,
    v: Floats,
    *,
    policy: Integers | None = None,
    slack: float = 0.0,
    with_q: bool = True,
) -> Choice:
    """One sweep that also chooses an action within ``slack`` of the best.

    It is the one that ``policy`` names if that is such a one, else the first: equal actions do not
    take turns.
    """
    v = np.ascontiguousarray(v, dtype=np.float64)
    if not usable(_tensor(v)):
        return greedy_reference(process, v, policy=policy, slack=slack, with_q=with_q)
    chosen = np.full(process.states, -1) if policy is None else np.array(policy, dtype=np.int64)
    values, stats = np.empty(process.states), np.empty(4)
    q = np.empty((process.states, process.actions)) if with_q else None
    call(
        "dp_greedy", torch.float64, *process.arguments(), float(slack), torch.get_num_threads(),
        _tensor(v), None if q is None else _tensor(q), _tensor(values), _tensor(chosen),
        _tensor(stats),
    )  # fmt: skip
    return Choice(values, chosen, q, float(stats[1]), float(stats[2]), int(stats[3]))


def greedy_reference(
    process: Process,
    v: Floats,
    *,
    policy: Integers | None = None,
    slack: float = 0.0,
    with_q: bool = True,
) -> Choice:
    """The same in numpy."""
    q, states = process.q(v), np.arange(process.states)
    best = q.max(1)
    good = q >= best[:, None] - slack
    chosen = good.argmax(1)
    if policy is None:
        changed = process.states
    else:
        kept = good[states, policy]
        chosen, changed = np.where(kept, policy, chosen), int((~kept).sum())
    low, high = float((best - v).min()), float((best - v).max())
    return Choice(best, chosen.astype(np.int64), q if with_q else None, low, high, changed)


def well_formed(
    states: int,
    actions: int,
    indptr: Integers,
    after: NDArray[np.int32],
    probability: Floats,
) -> bool:
    """Whether rows are distributions over states to 1e-12; where False, say what is wrong.

    It is one pass, for what is nearly always true. Without the native library it says False.
    """
    if len(probability) == 0 or not usable(_tensor(probability)):
        return False
    stats = np.empty(5)
    call(
        "dp_check", torch.float64, states, actions, _tensor(indptr), _tensor(after),
        _tensor(probability), torch.get_num_threads(), _tensor(stats),
    )  # fmt: skip
    least, most, first, last, off = stats.tolist()
    return bool(
        least >= 0.0 and most <= 1.0 + 1e-12 and first >= 0 and last < states and off <= 1e-12
    )


def _tensor(array: NDArray[Any]) -> Tensor:
    """The array's memory as a tensor; kernels write only to arrays that were made for them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
