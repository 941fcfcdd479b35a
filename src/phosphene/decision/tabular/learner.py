"""A learner: one method, one problem, and everything it has learned so far."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from phosphene.core.errors import (
    ConfigError,
    DataError,
    DivergedError,
    KernelError,
    RunError,
    UnknownNameError,
)
from phosphene.core.rng import mix
from phosphene.decision.tabular.problems import Problem, as_policy, as_problem
from phosphene.decision.tabular.schedules import Schedule, as_schedule
from phosphene.kernels.tabular import Progress, Record, Settings, advance

__all__ = ["METHODS", "Control", "Learner", "Prediction", "history_of"]

METHODS = {
    "monte-carlo-prediction": ("monte-carlo", True),
    "td": ("sarsa", True),
    "n-step-td": ("n-step", True),
    "monte-carlo": ("monte-carlo", False),
    "sarsa": ("sarsa", False),
    "expected-sarsa": ("expected-sarsa", False),
    "q-learning": ("q-learning", False),
    "double-q-learning": ("double-q-learning", False),
    "n-step-sarsa": ("n-step", False),
    "follow": ("none", True),
}
"""Name to the kernel's method, and whether a state's value is learned rather than a pair's.

SARSA on a table of states instead of pairs is TD, and so are their kin with n steps and traces.
"""
_TRACES = ("accumulating", "replacing")
_TIES = ("random", "first")
_MOST_RETURNS = 100_000


@dataclass(frozen=True)
class Prediction:
    """What was learned about a policy.

    Args:
        values: (S,), float64; 0 in terminal states.
        returns: Undiscounted sum of rewards of each episode.
        lengths: Steps of each episode, int64.
        steps: Steps taken.
        episodes: Episodes that ended.
        learner: It can go on.
    """

    values: Tensor
    returns: Tensor
    lengths: Tensor
    steps: int
    episodes: int
    learner: "Learner"


@dataclass(frozen=True)
class Control(Prediction):
    """What was learned about acting; ``values`` is max_a Q(s, a).

    Args:
        q: (S, A), float64.
        policy: (S,), int64: the first of the best actions.
    """

    q: Tensor
    policy: Tensor


class Learner:
    """Learns from one step after another; may be stopped, saved and continued anywhere.

    In a decision process :meth:`advance` runs natively; how a run is cut changes no bit of it. In
    a gymnasium environment it runs in Python, and a run that was saved goes on with a new episode.
    An episode that is cut off by a limit might have gone on: what is learned from its last step
    uses the value of the state it led to. After an end nothing follows.

    Args:
        source: An :class:`~phosphene.decision.mdp.mdp.MDP`, or an environment as gymnasium has it.
        method: One of METHODS.
        gamma: Discount, 0 to 1.
        alpha: Step size in (0, 1], or a schedule; ``harmonic()`` gives sample means.
        epsilon: Probability of an action drawn from all, the best included.
        temperature: Explore by softmax instead, p(a) ~ exp(Q(s, a) / temperature).
        policy: Follow this instead: probabilities (S, A) or actions (S,). Methods that learn V
            need it.
        ties: Among equally good actions take any (``random``) or the ``first``.
        initial: What the table holds at first: a number, or (S, A); (S,) for V. High values make a
            learner try everything (optimism). Terminal states are worth 0 all the same.
        lambda_: How fast traces fade, 0 to 1; for ``td`` and ``sarsa``.
        traces: ``accumulating`` or ``replacing``.
        offline: Make the changes by traces only when an episode ends.
        n: Steps before the value of a state is trusted; for ``n-step-td`` and ``n-step-sarsa``.
        first_visit: Monte Carlo learns from the first visit of an entry in an episode only.
        limit: Steps after which an episode is cut off, 0 for never; the process's own by default.
        history: The returns of how many episodes, the latest, are kept.
        seed: Decides all random numbers.

    Raises:
        ConfigError: A setting with a value that it cannot take.

    Example:
        >>> from phosphene.decision.mdp.mdp import MDP
        >>> learner = Learner(MDP.from_grid("cliff"), "q-learning", alpha=0.5, seed=1)
        >>> learner.advance(episodes=500)
        >>> learner.episodes, round(float(learner.values[36]))
        (500, -13)
    """

    def __init__(
        self,
        source: Any,
        method: str = "q-learning",
        *,
        gamma: float = 1.0,
        alpha: float | str | Schedule = 0.1,
        epsilon: float | str | Schedule = 0.1,
        temperature: float | str | Schedule | None = None,
        policy: ArrayLike | Tensor | None = None,
        ties: str = "random",
        initial: float | ArrayLike | Tensor = 0.0,
        lambda_: float = 0.0,
        traces: str = "accumulating",
        offline: bool = False,
        n: int = 1,
        first_visit: bool = True,
        limit: int | None = None,
        history: int = 1000,
        seed: int = 0,
    ) -> None:
        if method not in METHODS:
            raise UnknownNameError("tabular method", method, METHODS)
        for what, name, known in (("kind of traces", traces, _TRACES), ("ties", ties, _TIES)):
            if name not in known:
                raise UnknownNameError(what, name, known)
        for what, value in (("gamma", gamma), ("lambda_", lambda_)):
            if not 0 <= value <= 1:
                raise ConfigError(f"{what} must be in [0, 1], got {value:g}")
        for what, count in (("n", n), ("history", history)):
            if count < 1:
                raise ConfigError(f"{what} must be 1 or more, got {count}")
        if limit is not None and limit < 0:
            raise ConfigError(f"limit must be 1 or more, or 0 for none, got {limit}")
        self.method, self.problem = method, as_problem(source, seed)
        code, self.predicts = METHODS[method]
        states, actions = self.problem.states, self.problem.actions
        if policy is None and self.predicts:
            raise ConfigError(f"{method} learns the values of a policy: give policy=")
        if (lambda_ > 0 or offline) and code != "sarsa":
            raise ConfigError(f"{method} has no traces: leave out lambda_ and offline")
        if n > 1 and code != "n-step":
            raise ConfigError(f"{method} looks one step ahead: leave out n, or use n-step-sarsa")
        self._policy = None if policy is None else _cumulated(as_policy(policy, states, actions))
        how = "epsilon-greedy" if temperature is None else "softmax"
        self.settings = Settings(
            states, actions, 1 if self.predicts else actions, code,
            how if policy is None else "policy",
            as_schedule("alpha", alpha, open_low=True, per_visit=True).code(),
            _exploration(epsilon, temperature).code(), float(gamma), float(lambda_),
            ties == "first", n, first_visit, traces == "replacing", offline,
            (self.problem.limit or 0) if limit is None else limit, history, mix(seed, 0x7AB1E),
        )  # fmt: skip
        table = _initial(initial, self.problem, self.settings.width)
        if method == "double-q-learning":
            table = torch.stack([table, table])
        self.progress = Progress.begin(self.settings, table)

    def advance(
        self, steps: int | None = None, *, episodes: int | None = None, record: bool = False
    ) -> Record | None:
        """Take so many more steps, or as many as end so many more episodes; whichever is first.

        Raises:
            DivergedError: A value is not finite; traces with large steps can do it.
        """
        if steps is None and episodes is None:
            raise ConfigError("say how long: steps, episodes, or both")
        end = None if episodes is None else self.episodes + episodes
        most = (1 << 62) - self.steps if steps is None else steps
        met = advance(
            self.problem.world, self.settings, self.progress,
            steps=most, episodes=end, policy=self._policy, record=record,
        )  # fmt: skip
        if not bool(torch.isfinite(self.progress.table).all()):
            raise DivergedError(
                f"{self.method} in {self.problem.name}: a value is not finite after {self.steps} "
                "steps; use a smaller alpha, or replacing traces"
            )
        return met

    @property
    def q(self) -> Tensor:
        """(S, A), what pairs are worth; the mean of both tables of double Q-learning."""
        if self.predicts:
            raise AttributeError(f"{self.method} learns what states are worth, not pairs")
        table = self.progress.table
        return table.mean(0) if table.ndim == 3 else table.clone()

    @property
    def values(self) -> Tensor:
        """(S,), what states are worth: V, or max_a Q(s, a)."""
        return self.progress.table[:, 0].clone() if self.predicts else self.q.amax(1)

    @property
    def policy(self) -> Tensor:
        """(S,), int64, the first of the best actions."""
        return self.q.argmax(1)

    @property
    def visits(self) -> Tensor:
        """How often each entry was learned from, (S, A) or (S,)."""
        visits = self.progress.visits
        return visits.sum(0) if visits.ndim == 3 else visits.squeeze(1) if self.predicts else visits

    @property
    def steps(self) -> int:
        """Steps taken."""
        return int(self.progress.at[4])

    @property
    def episodes(self) -> int:
        """Episodes that ended."""
        return int(self.progress.at[3])

    @property
    def returns(self) -> Tensor:
        """Undiscounted sums of rewards of the latest episodes, the oldest first."""
        return self._latest(self.progress.returns)

    @property
    def lengths(self) -> Tensor:
        """Steps of the latest episodes, the oldest first."""
        return self._latest(self.progress.lengths)

    def _latest(self, ring: Tensor) -> Tensor:
        count = self.episodes
        return ring[:count].clone() if count <= len(ring) else ring.roll(-(count % len(ring)))

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that changes, as tensors."""
        state = {f.name: getattr(self.progress, f.name).clone() for f in fields(Progress)}
        if self.settings.method == "monte-carlo":  # the room for an episode, not what is in it
            for name in ("keys", "rewards", "firsts"):
                state[name] = state[name][: int(self.progress.at[2])].clone()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what was saved by a learner with the same settings.

        Raises:
            DataError: It was saved by another method, for another table, or lacks something.
            RunError: It holds numbers of states, actions or entries that do not exist.
        """
        for f in fields(Progress):
            mine, given = getattr(self.progress, f.name), state.get(f.name)
            free = f.name in ("keys", "rewards", "firsts") and self.method.startswith("monte")
            if given is None or (given.shape != mine.shape and not free):
                found = "nothing" if given is None else f"shape {tuple(given.shape)}"
                raise DataError(f"{f.name} of {self.method} needs {tuple(mine.shape)}, got {found}")
        saved = Progress(**{
            f.name: state[f.name].to(getattr(self.progress, f.name).dtype).clone().contiguous()
            for f in fields(Progress)
        })  # fmt: skip
        try:
            saved.check(self.settings, self._policy)
        except KernelError as error:
            raise RunError(f"what was saved of {self.method} is damaged: {error}") from None
        self.progress = saved
        if not self.problem.exact:
            self._begin_anew()

    def _begin_anew(self) -> None:
        """Drop the episode that was going on: the environment's own state was not saved."""
        p = self.progress
        if not int(p.at[6]):
            p.table += p.pending if len(p.pending) else 0
            p.at[1:3], p.at[5], p.at[6] = torch.tensor([-1, 0]), 0, 1
            p.trace.zero_()
            p.pending.zero_()
            p.seen.zero_()

    def prediction(self) -> Prediction:
        """What was learned about a policy."""
        return Prediction(
            self.values, self.returns, self.lengths, self.steps, self.episodes, self
        )  # fmt: skip

    def control(self) -> Control:
        """What was learned about acting."""
        return Control(
            self.values, self.returns, self.lengths, self.steps, self.episodes, self,
            self.q, self.policy,
        )  # fmt: skip


def history_of(episodes: int | None, steps: int | None) -> int:
    """How many episodes' returns to keep: all of them, or the latest of a budget in steps.

    Raises:
        ConfigError: Neither is given, or one is not positive.
    """
    if episodes is None and steps is None:
        raise ConfigError("say how long to learn: episodes=, steps=, or both")
    for name, value in (("episodes", episodes), ("steps", steps)):
        if value is not None and value < 1:
            raise ConfigError(f"{name} must be 1 or more, got {value}")
    return episodes or min(steps or 1, _MOST_RETURNS)


def _exploration(
    epsilon: float | str | Schedule, temperature: float | str | Schedule | None
) -> Schedule:
    if temperature is None:
        return as_schedule("epsilon", epsilon)
    return as_schedule("temperature", temperature, high=float("inf"), open_low=True)


def _cumulated(policy: Tensor) -> Tensor:
    """(2, S, A): sums along a row, 1 from the last action that is ever taken on; and the policy."""
    sums = policy.cumsum(1)
    later = policy.flip(1).cumsum(1).flip(1)  # 0 where nothing more may follow
    after = torch.cat([later[:, 1:], torch.zeros_like(later[:, :1])], 1)
    return torch.stack([torch.where(after > 0, sums, torch.ones_like(sums)), policy])


def _initial(initial: Any, problem: Problem, width: int) -> Tensor:
    given = torch.as_tensor(initial, dtype=torch.float64)
    shape = (problem.states, width)
    if given.ndim and given.shape not in (shape, (problem.states,) if width == 1 else shape):
        wanted = (problem.states,) if width == 1 else shape
        raise ConfigError(
            f"initial is a number or a table {tuple(wanted)}, got shape {tuple(given.shape)}"
        )
    if not bool(torch.isfinite(given).all()):
        raise ConfigError("initial values must be finite")
    table = (given.reshape(shape) if given.ndim else given.expand(shape)).clone()
    table[problem.terminal] = 0.0
    return table.contiguous()
