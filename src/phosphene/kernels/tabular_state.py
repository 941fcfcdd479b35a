"""Tabular learning: the kernel's settings, progress and world."""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from phosphene.kernels.declaration import (
    Array,
    Choice,
    Flag,
    Kernel,
    Range,
    Real,
    Rule,
    Size,
    Whole,
)
from phosphene.kernels.gate import gate, numbers, words

__all__ = [
    "MAY_BE_EMPTY",
    "METHODS",
    "SIZES",
    "STATE",
    "STATE_RULES",
    "Progress",
    "ScheduleCode",
    "Settings",
    "Transition",
    "World",
    "uniform",
]

METHODS = (
    "none", "monte-carlo", "sarsa", "expected-sarsa", "q-learning", "double-q-learning", "n-step",
)  # fmt: skip
EXPLORATIONS = ("epsilon-greedy", "softmax", "policy")
KINDS = ("constant", "linear", "exponential", "harmonic")
UNITS = ("step", "episode", "visit")
_MASK = (1 << 64) - 1
_MOST = 1 << 40


def _schedule(name: str) -> tuple[Whole | Real, ...]:
    """The arguments of a schedule."""
    numbers = (Real(f"{name}_{part}", -math.inf, math.inf) for part in "abc")
    return (Whole(f"{name}_kind", 0, 3), Whole(f"{name}_unit", 0, 2), *numbers)


_settings = gate(
    Kernel(
        "tabular",
        (
            Size("states"),
            Size("actions"),
            Size("width"),
            Choice("method", {name: i for i, name in enumerate(METHODS)}),
            Choice("exploration", {name: i for i, name in enumerate(EXPLORATIONS)}),
            Flag("first_tie"),
            Whole("n", 1, _MOST),
            Flag("first_visit"),
            Flag("replacing"),
            Flag("offline"),
            Whole("limit", 0, _MOST),
            Whole("history", 1, _MOST),
            *_schedule("alpha"),
            *_schedule("epsilon"),
            Real("gamma", -1e30, 1e30),
            Real("lambda_", -1e30, 1e30),
        ),
        rules=(
            Rule("width in (1, actions)", "width must be 1 or {actions}, got {width}"),
            # Without Q there is nothing to choose by, nor to take the best of.
            Rule("width == actions or (exploration == 2 and method in (0, 1, 2, 6))",
                 "a table of states is for following a policy, by a method without a best action"),
        ),
    ),
    "tabular_settings",
)  # fmt: skip
SIZES = (
    Size("S"), Size("A"), Size("E"), Size("traced"), Size("waiting"), Size("remembered"),
    Size("N"), Size("history"),
)  # fmt: skip
"""What :attr:`Settings.sizes` gives."""
MAY_BE_EMPTY = ("traced", "waiting", "remembered", "N", "capacity")
STATE = (
    Array("policy", (2, "S", "A"), "float64", optional=True),
    Flag("follows"),
    Array("at", (7,), "int64", written=True),
    Array("score", (1,), "float64", written=True),
    Array("table", ("E",), "float64", written=True, flat=True),
    Array("visits", ("E",), "int64", written=True, flat=True),
    Array("trace", ("traced",), "float64", written=True, flat=True),
    Array("pending", ("waiting",), "float64", written=True, flat=True),
    Array("live", ("traced",), "int64", written=True, flat=True),
    Array("seen", ("remembered",), "int64", written=True, flat=True),
    Array("keys", ("capacity",), "int64", written=True),
    Array("rewards", ("capacity",), "float64", written=True),
    Array("firsts", ("capacity if remembered else 0",), "uint8", written=True, flat=True),
    Array("returns", ("history",), "float64", written=True),
    Array("lengths", ("history",), "int64", written=True),
)
"""What changes, and a policy that is followed: as :class:`Progress` holds it."""
_COUNT = str(1 << 62)
STATE_RULES = (
    Rule("policy is not None or not follows", "there is no policy to follow"),
    Rule("not N or capacity == N", "keys must hold {N} transitions, got {capacity}"),
    Range("at", "0", "S", "at[0]", said="the state", inside=True),
    Range("at", "-1", "A", "at[1]", said="the next action", inside=True),
    Range("at", "0", _COUNT, "at[2:5]", said="steps and episodes", inside=True),
    Range("at", "0", "traced + 1", "at[5]", said="the number of traces", inside=True),
    Range("at", "0", "2", "at[6]", said="what says that an episode begins", inside=True),
    Rule("not remembered or int(at[2]) <= capacity",
         "keys must hold the {capacity} transitions of the episode", inside=True),
    Range("visits", "0", _COUNT, inside=True),
    Range("live", "0", "traced", "live.view(-1)[:int(at[5])]", inside=True),
    Range("keys", "0", "E", "keys if N else keys[:int(at[2])]", inside=True),
)  # fmt: skip
_progress = gate(
    Kernel("tabular", (*SIZES, *STATE), rules=STATE_RULES, empty=MAY_BE_EMPTY), "tabular_progress"
)


def uniform(key: int, step: int, slot: int) -> float:
    """A number in [0, 1) as a function of counters: SplitMix64 (Steele, Lea and Flood, 2014)."""
    x = (key + (step * 8 + slot + 1) * 0x9E3779B97F4A7C15) & _MASK
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & _MASK
    return ((x ^ (x >> 31)) >> 11) * 2.0**-53


class ScheduleCode(NamedTuple):
    """A number that changes as learning goes on, as the kernel knows it; t counts the unit.

    ``constant``: a. ``linear``: from a to b over c units. ``exponential``: max(b, a c^t).
    ``harmonic``: (a / (a + t))^b.
    """

    kind: int
    unit: int
    a: float
    b: float = 0.0
    c: float = 1.0

    def at(self, step: int, episode: int, visit: int) -> float:
        """The value before this step, this episode, this visit (all count from 0)."""
        kind, unit, a, b, c = self
        if kind == 0:
            return a
        t = float((step, episode, visit)[unit])
        if kind == 1:
            return b if t >= c else a + (b - a) * (t / c)
        if kind == 2:
            return max(a * math.pow(c, t), b)
        value = a / (a + t)
        return value if b == 1 else math.pow(value, b)


@dataclass(frozen=True)
class Settings:
    """What is learned and how.

    Args:
        states: How many states.
        actions: How many actions.
        width: Entries of a state in the table: ``actions`` for Q, 1 for V.
        method: One of METHODS.
        exploration: One of EXPLORATIONS.
        alpha: Step size.
        epsilon: Probability of a random action, or the temperature of ``softmax``.
        gamma: Discount.
        lambda_: How fast traces fade; for ``sarsa``.
        first_tie: The first of equally good actions is taken, rather than any.
        n: Steps of ``n-step``.
        first_visit: ``monte-carlo`` learns from the first visit of an episode only.
        replacing: Traces are set to 1 rather than raised by 1.
        offline: Changes by traces are made when the episode ends.
        limit: Steps after which an episode is cut off; 0 for none.
        history: How many episodes' returns are kept.
        key: Decides all random numbers.
    """

    states: int
    actions: int
    width: int
    method: str
    exploration: str
    alpha: ScheduleCode
    epsilon: ScheduleCode
    gamma: float = 1.0
    lambda_: float = 0.0
    first_tie: bool = False
    n: int = 1
    first_visit: bool = True
    replacing: bool = False
    offline: bool = False
    limit: int = 0
    history: int = 1000
    key: int = 0

    def __post_init__(self) -> None:
        _settings(
            self.states, self.actions, self.width, self.method, self.exploration, self.first_tie,
            self.n, self.first_visit, self.replacing, self.offline, self.limit, self.history,
            *(number for schedule in (self.alpha, self.epsilon) for number in schedule),
            self.gamma, self.lambda_,
        )  # fmt: skip

    @cached_property
    def packed(self) -> tuple[Any, Any]:
        """Integers and numbers, in the kernel's order."""
        codes = METHODS.index(self.method), EXPLORATIONS.index(self.exploration)
        whole = (
            self.states, self.actions, self.width, *codes, self.first_tie, self.n,
            self.first_visit, self.replacing, self.offline, self.limit, self.history, self.key,
            *self.alpha[:2], *self.epsilon[:2],
        )  # fmt: skip
        number = (self.gamma, self.lambda_, *self.alpha[2:], *self.epsilon[2:])
        return words(whole), numbers(number)

    @property
    def traced(self) -> bool:
        """Whether entries have traces."""
        return self.method == "sarsa" and (self.lambda_ > 0 or self.offline)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """What decides the shapes of :class:`Progress`.

        States, actions, entries of the table, those with traces, with changes that wait, that are
        remembered, the transitions that are kept, and the episodes.
        """
        entries = self.states * self.width
        double = 2 if self.method == "double-q-learning" else 1
        traced = entries if self.traced else 0
        return (
            self.states, self.actions, entries * double, traced,
            traced if self.offline else 0, entries if self.method == "monte-carlo" else 0,
            self.n if self.method == "n-step" else 0, self.history,
        )  # fmt: skip


def _none() -> Tensor:
    return torch.zeros(0, dtype=torch.int64)


def _real() -> Tensor:
    return torch.zeros(0, dtype=torch.float64)


@dataclass
class Progress:
    """How far learning has come: everything that changes.

    Args:
        table: (S, width), or (2, S, A) for double Q-learning.
        visits: How often each entry was visited, or learned from; like ``table``.
        returns: (history,), undiscounted sum of rewards of episode i at i % history.
        lengths: (history,), steps of the same.
        at: state, action already chosen (-1: none), steps of this episode, episodes that ended,
            steps, entries with a trace, whether a new episode is to begin.
        score: (1,), rewards of this episode so far.
        trace: Eligibility of each entry.
        pending: Changes to be made when the episode ends.
        live: Entries with a trace.
        seen: The number of the last episode that met an entry, from 1.
        keys: Entries of the last transitions.
        rewards: Rewards of the same.
        firsts: Whether each was the entry's first in its episode.
    """

    table: Tensor
    visits: Tensor
    returns: Tensor
    lengths: Tensor
    at: Tensor = field(default_factory=lambda: torch.tensor([0, -1, 0, 0, 0, 0, 1]))
    score: Tensor = field(default_factory=lambda: torch.zeros(1, dtype=torch.float64))
    trace: Tensor = field(default_factory=_real)
    pending: Tensor = field(default_factory=_real)
    live: Tensor = field(default_factory=_none)
    seen: Tensor = field(default_factory=_none)
    keys: Tensor = field(default_factory=_none)
    rewards: Tensor = field(default_factory=_real)
    firsts: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.uint8))

    @classmethod
    def begin(cls, settings: Settings, table: Tensor) -> "Progress":
        """Nothing learned yet but ``table``, which is kept and written to."""
        history = settings.history
        made = cls(
            table,
            torch.zeros_like(table, dtype=torch.int64),
            torch.zeros(history, dtype=torch.float64),
            torch.zeros(history, dtype=torch.int64),
        )
        if settings.method == "sarsa" and (settings.lambda_ > 0 or settings.offline):
            made.trace, made.live = torch.zeros_like(table), torch.zeros_like(made.visits)
            if settings.offline:
                made.pending = torch.zeros_like(table)
        if settings.method == "monte-carlo":
            made.seen = torch.zeros_like(made.visits)
        if settings.method == "n-step":
            made.keys = torch.zeros(settings.n, dtype=torch.int64)
            made.rewards = torch.zeros(settings.n, dtype=torch.float64)
        return made

    def arrays(self) -> tuple[Tensor, ...]:
        """All that changes, in the order of STATE."""
        return (
            self.at, self.score, self.table, self.visits, self.trace, self.pending, self.live,
            self.seen, self.keys, self.rewards, self.firsts, self.returns, self.lengths,
        )  # fmt: skip

    def check(self, settings: Settings, policy: Tensor | None) -> None:
        """Refuse what a learner of these settings cannot go on from.

        Raises:
            KernelError: A shape or a type is another, or a number does not exist.
        """
        _progress(*settings.sizes, policy, settings.exploration == "policy", *self.arrays())

    def make_room(self, steps: int, settings: Settings, policy: Tensor | None) -> None:
        """Let an episode go on for so many steps: ``monte-carlo`` keeps all of its transitions."""
        need = int(self.at[2]) + steps
        if isinstance(self.keys, Tensor) and need <= self.keys.numel():
            return
        self.check(settings, policy)
        for name in ("keys", "rewards", "firsts"):
            old = getattr(self, name)
            new = torch.zeros(max(need, 2 * len(old)), dtype=old.dtype)
            new[: len(old)] = old
            setattr(self, name, new)


class Transition(NamedTuple):
    """What one step met; ``how`` is 1 where the episode ended, 2 where it was cut off."""

    state: int
    action: int
    next: int
    how: int
    reward: float


class World(Protocol):
    """What is acted in."""

    def begin(self, u: float, episode: int) -> int:
        """The first state of an episode."""
        ...

    def step(self, state: int, action: int, u: float) -> tuple[float, int, bool, bool]:
        """Reward, next state, whether the episode ended, whether it was cut off."""
        ...
