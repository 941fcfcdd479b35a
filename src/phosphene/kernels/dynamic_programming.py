"""Sweeps of dynamic programming over outcomes in rows: native, and their reference in numpy."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from phosphene.core.errors import KernelError
from phosphene.kernels.decision_process import (
    RISE,
    SPACE,
    TABLES,
    Floats,
    Integers,
    Process,
    dense,
    tensor_of,
)
from phosphene.kernels.declaration import Array, Flag, Kernel, Out, Range, Real, Rule, Whole
from phosphene.kernels.gate import gate

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

_INFINITY = float("inf")
_PASSED = "S A indptr next weight rewards gamma "
_VALUES = Array("v", ("S",), "float64")
_STATS = Out("stats", (4,), "float64")
_sweeps = gate(
    Kernel(
        "dp_sweeps",
        (
            *TABLES,
            _VALUES,
            Array("policy", ("S",), "int64", optional=True),
            Whole("count", 1, 1 << 31),
            Real("tolerance", -_INFINITY, _INFINITY),
            Real("factor", -_INFINITY, _INFINITY),
            Real("carried", 0.0, 1.0),
            Flag("ends"),
            Out("values", ("S",), "float64", begins="v"),
            Out("changes", ("count",), "float64"),
            _STATS,
        ),
        _PASSED + "policy count tolerance factor carried ends threads values changes stats",
        (Range("policy", "0", "A"),),
        suffix="f64",
    )
)
_gauss_seidel = gate(
    Kernel(
        "dp_gauss_seidel",
        (
            *TABLES,
            _VALUES,
            Whole("first", 0, 1 << 62),
            Whole("count", 1, 1 << 31),
            Real("least", -_INFINITY, _INFINITY),
            Out("values", ("S",), "float64", begins="v"),
            Out("changes", ("count",), "float64"),
            _STATS,
        ),
        _PASSED + "first count least values changes stats",
        suffix="f64",
    )
)
_greedy = gate(
    Kernel(
        "dp_greedy",
        (
            *TABLES,
            _VALUES,
            Array("policy", ("S",), "int64"),
            Real("slack", 0.0, _INFINITY),
            Flag("with_q"),
            Out("q", ("S", "A"), "float64", when="with_q"),
            Out("values", ("S",), "float64"),
            Out("chosen", ("S",), "int64", begins="policy"),
            _STATS,
        ),
        _PASSED + "slack threads v q values chosen stats",
        (Range("policy", "-1", "A"),),
        suffix="f64",
    )
)
_check = gate(
    Kernel(
        "dp_check",
        (
            *SPACE,
            Array("indptr", ("S*A + 1",), "int64"),
            Array("next", ("K",), "int32"),
            Array("probability", ("K",), "float64"),
            Out("stats", (5,), "float64"),
        ),
        "S A K indptr next probability threads stats",
        (Rule(RISE.format(">="), "indptr must rise from 0 to {K}", inside=True),),
        suffix="f64",
    )
)


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
    found = _sweeps(
        *process.arguments, _floats(v), _integers(policy), count, tolerance, factor, carried, ends
    )
    if found is None:
        return sweeps_reference(
            process, v, policy=policy, count=count, tolerance=tolerance, factor=factor, ends=ends
        )
    return _swept(*found)


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
        if not np.isfinite(changes[-1]):  # nothing will come of it
            break
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
    found = _gauss_seidel(*process.arguments, _floats(v), first, count, least)
    if found is None:
        return gauss_seidel_reference(process, v, first=first, count=count, least=least)
    return _swept(*found)


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
        if changes[-1] <= least or not np.isfinite(changes[-1]):
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
    before = np.full(process.states, -1) if policy is None else policy
    found = _greedy(*process.arguments, _floats(v), _integers(before), slack, with_q)
    if found is None:
        return greedy_reference(process, v, policy=policy, slack=slack, with_q=with_q)
    q, values, chosen, stats = found
    _, low, high, changed = stats.tolist()
    return Choice(
        values.numpy(), chosen.numpy(), None if q is None else q.numpy(), low, high, int(changed)
    )


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
        kept = (policy >= 0) & good[states, policy]
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
    if np.size(probability) == 0:
        return False
    tables: tuple[NDArray[Any], ...] = (indptr, after, probability)
    stats = _check(states, actions, *map(tensor_of, tables))
    if stats is None:
        return False
    least, most, first, last, off = stats.tolist()
    return bool(
        least >= 0.0 and most <= 1.0 + 1e-12 and first >= 0 and last < states and off <= 1e-12
    )


def _swept(values: Tensor, changes: Tensor, stats: Tensor) -> Swept:
    done, low, high, _ = stats.tolist()
    return Swept(values.numpy(), changes.numpy()[: int(done)], low, high)


def _floats(values: Floats) -> Tensor:
    array = dense(values)
    if array.dtype.kind not in "fiu":
        raise KernelError(f"values must be numbers, got {array.dtype}")
    return tensor_of(array.astype(np.float64, copy=False))


def _integers(policy: Integers | None) -> Tensor | None:
    if policy is None:
        return None
    array = dense(policy)
    if array.dtype.kind not in "iu":
        raise KernelError(f"a policy must be integers, got {array.dtype}")
    return tensor_of(array.astype(np.int64, copy=False))
