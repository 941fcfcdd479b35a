"""Learning in tables, one step of an environment after another: native, and its reference.

One loop serves every method of learning without a model. Its state is tensors (:class:`Progress`),
so that a run may be cut anywhere and goes on bit for bit; each of its random numbers is a function
of a key, the number of the step, and what the number is for. The reference has the same bits; it
also acts in environments that are not tables.
"""

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from phosphene.kernels.declaration import Array, Bound, Kernel, Range, Rule, Size, Whole
from phosphene.kernels.gate import gate
from phosphene.kernels.library import usable
from phosphene.kernels.refusals import whole
from phosphene.kernels.tabular_reference import Reference
from phosphene.kernels.tabular_state import (
    MAY_BE_EMPTY,
    METHODS,
    SIZES,
    STATE,
    STATE_RULES,
    Progress,
    ScheduleCode,
    Settings,
    World,
    uniform,
)

__all__ = [
    "METHODS",
    "Progress",
    "Record",
    "ScheduleCode",
    "Settings",
    "TableWorld",
    "World",
    "advance",
    "advance_reference",
    "tabular_usable",
    "uniform",
]

_CHUNK = 1 << 20  # steps of one call: Python answers to Ctrl-C in between
_ROOM = 1 << 16  # the same where all of an episode is kept
_MOST = 1 << 62
_OUTCOMES = (
    Array("indptr", ("S*A + 1",), "int64"),
    Array("next", ("K",), "int32"),
    Array("cumulative", ("K",), "float64"),
    Array("reward", ("K",), "float64"),
    Array("ends", ("K",), "uint8"),
    Array("start", ("S",), "float64"),
)
_OUTCOME_RULES = (
    Rule("int(indptr[0]) == 0 and int(indptr[-1]) == K and bool((indptr[1:] > indptr[:-1]).all())",
         "indptr must rise from 0 to {K}, and no row be empty", inside=True),
    Range("next", "0", "S", inside=True),
    Rule("bool((cumulative[indptr[1:] - 1] >= 1).all()) and float(start[-1]) >= 1",
         "cumulated probabilities must end with 1", inside=True),
    # But for rounding: 1 at the end may be less than the sum before it.
    Rule("bool((cumulative.diff().index_fill(0, indptr[1:-1] - 1, 0.0) >= -1e-9).all())"
         " and bool((start.diff() >= -1e-9).all())",
         "cumulated probabilities must not fall within a row", inside=True),
)  # fmt: skip
_world = gate(
    Kernel("tabular", (_OUTCOMES[-1], Size("A"), *_OUTCOMES[:-1]), rules=_OUTCOME_RULES),
    "tabular_world",
)
_tabular = gate(
    Kernel(
        "tabular",
        (
            Bound("integers"),
            Bound("reals"),
            *SIZES,
            *_OUTCOMES,
            *STATE,
            Whole("steps", 0, _MOST),
            Whole("episodes", 0, _MOST),
            Array("path", ("room", 4), "int64", optional=True, written=True),
            Array("path_reward", ("room",), "float64", optional=True, written=True),
            Size("room"),
        ),
        "K indptr next cumulative reward ends start policy integers reals steps episodes at score"
        " table visits trace pending live seen keys rewards firsts capacity returns lengths path"
        " path_reward",
        (*_OUTCOME_RULES, *STATE_RULES),
        empty=(*MAY_BE_EMPTY, "room"),
        suffix="f64",
    )
)


@dataclass(frozen=True)
class TableWorld:
    """A process whose outcomes are known, as flat tensors.

    Args:
        actions: How many actions.
        indptr: (S * A + 1,), int64: the outcomes of (s, a) are those from indptr[s A + a] on.
        next: int32, one for each outcome; so are those below.
        cumulative: float64, probabilities summed within a row, 1 at its end.
        reward: float64.
        ends: uint8: nothing can be earned after it.
        start: (S,), float64: where episodes begin, summed, 1 at the end.

    Raises:
        KernelError: A shape or a type is not as said here, or a next state does not exist.
    """

    actions: int
    indptr: Tensor
    next: Tensor
    cumulative: Tensor
    reward: Tensor
    ends: Tensor
    start: Tensor

    def __post_init__(self) -> None:
        *others, start = self.tensors
        _world(start, self.actions, *others)

    def begin(self, u: float, episode: int) -> int:
        """The first state whose cumulated probability passes u."""
        return bisect_right(self.lists[5], u)

    def step(self, state: int, action: int, u: float) -> tuple[float, int, bool, bool]:
        """The outcome at u."""
        row = state * self.actions + action
        indptr, next, cumulative, reward, ends, _ = self.lists
        k = bisect_right(cumulative, u, indptr[row], indptr[row + 1])
        return reward[k], next[k], bool(ends[k]), False

    @cached_property
    def lists(self) -> tuple[list[Any], ...]:
        """The tensors as lists, whose elements Python reaches faster."""
        return tuple(part.tolist() for part in self.tensors)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All of them."""
        return (self.indptr, self.next, self.cumulative, self.reward, self.ends, self.start)


@dataclass(frozen=True)
class Record:
    """What n steps met.

    Args:
        path: (n, 4), int64: state, action, next state, and 1 for an end, 2 for a cut.
        reward: (n,), float64.
    """

    path: Tensor
    reward: Tensor


def tabular_usable(world: World) -> bool:
    """Whether the native kernel can act in this: a table, and a library."""
    return isinstance(world, TableWorld) and usable(world.cumulative)


def advance(
    world: World,
    settings: Settings,
    progress: Progress,
    *,
    steps: int,
    episodes: int | None = None,
    policy: Tensor | None = None,
    record: bool = False,
) -> Record | None:
    """Take steps and learn from them; ``progress`` is written to.

    Args:
        world: What is acted in.
        settings: What is learned and how.
        progress: How far it has come.
        steps: At most this many steps.
        episodes: Stop when so many episodes have ended, over all calls.
        policy: (2, S, A), float64: cumulated probabilities of actions, and the probabilities.
        record: Return what was met.

    Raises:
        KernelError: ``progress`` is none of these settings' or holds numbers that do not exist.

    Example:
        >>> world = TableWorld(
        ...     1, torch.tensor([0, 2]), torch.tensor([0, 0], dtype=torch.int32),
        ...     torch.tensor([0.5, 1.0]).double(), torch.ones(2).double(),
        ...     torch.tensor([0, 1], dtype=torch.uint8), torch.ones(1).double())
        >>> constant = ScheduleCode(0, 0, 0.5)
        >>> settings = Settings(1, 1, 1, "sarsa", "epsilon-greedy", constant, constant)
        >>> progress = Progress.begin(settings, torch.zeros(1, 1).double())
        >>> advance(world, settings, progress, steps=10**6, episodes=100)
        >>> int(progress.at[3])
        100
    """
    steps = whole("steps", steps, 0, _MOST)
    episodes = None if episodes is None else whole("episodes", episodes, 0, _MOST)
    most = _MOST if episodes is None else episodes
    native = tabular_usable(world)
    # The library looks for itself where it takes a step, but what is read here must be there.
    at = progress.at if isinstance(progress.at, Tensor) else torch.empty(0)
    there = at.is_cpu and at.dtype is torch.int64 and at.shape == (7,)
    if not (native and steps and there and int(at[3]) < most):
        progress.check(settings, policy)
    if not native:
        return advance_reference(
            world, settings, progress, steps=steps, episodes=episodes, policy=policy, record=record
        )
    assert isinstance(world, TableWorld)
    chunk = _ROOM if settings.method == "monte-carlo" or record else _CHUNK
    parts: list[Record] = []
    end = int(progress.at[4]) + steps
    while (left := end - int(progress.at[4])) > 0 and int(progress.at[3]) < most:
        count = min(left, chunk)
        if settings.method == "monte-carlo":
            progress.make_room(count, settings, policy)
        part = _room(count) if record else None
        before = int(progress.at[4])
        _native(world, settings, progress, count, most, policy, part)
        if part is not None:
            taken = int(progress.at[4]) - before
            parts.append(Record(part.path[:taken], part.reward[:taken]))
    return _joined(parts) if record else None


def advance_reference(
    world: World,
    settings: Settings,
    progress: Progress,
    *,
    steps: int,
    episodes: int | None = None,
    policy: Tensor | None = None,
    record: bool = False,
) -> Record | None:
    """The same in Python, in any environment; an error leaves ``progress`` as it was."""
    loop = Reference(world, settings, progress, policy)
    met, end = [], loop.steps + steps
    while loop.steps < end and (episodes is None or loop.episode < episodes):
        transition = loop.step()
        if record:
            met.append(transition)
    loop.close()
    if not record:
        return None
    path = torch.tensor([m[:4] for m in met], dtype=torch.int64).reshape(-1, 4)
    return Record(path, torch.tensor([m.reward for m in met], dtype=torch.float64))


def _native(
    world: TableWorld,
    settings: Settings,
    p: Progress,
    steps: int,
    episodes: int,
    policy: Tensor | None,
    record: Record | None,
) -> None:
    path, reward, room = (record.path, record.reward, steps) if record else (None, None, 0)
    done = _tabular(
        *settings.packed, *settings.sizes, *world.tensors, policy,
        settings.exploration == "policy", *p.arrays(), steps, episodes, path, reward, room,
    )  # fmt: skip
    assert done is not None, "ask tabular_usable() first"


def _room(steps: int) -> Record:
    path = torch.zeros(steps, 4, dtype=torch.int64)
    return Record(path, torch.zeros(steps, dtype=torch.float64))


def _joined(parts: list[Record]) -> Record:
    parts = parts or [_room(0)]
    return Record(torch.cat([p.path for p in parts]), torch.cat([p.reward for p in parts]))
