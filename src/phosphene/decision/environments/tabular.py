"""n copies of a decision process whose table is known, stepped together."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phosphene.core.environment import EnvSpec, Step
from phosphene.core.errors import ConfigError, DataError, UnknownNameError
from phosphene.core.event import Event
from phosphene.core.paths import expanded
from phosphene.data.limits import admit, regular, within_memory
from phosphene.decision.environments.actions import check_actions, refuse_impossible
from phosphene.decision.environments.boards import draw_grid, draw_states, draw_taxi
from phosphene.decision.environments.restoring import refuse_impossible_state, restored
from phosphene.decision.mdp.grid import BUILT_IN
from phosphene.decision.mdp.mdp import MDP
from phosphene.kernels.environments import uniform

__all__ = ["TabularEnvironment", "cliff_walking", "frozen_lake", "grid", "taxi"]


class TabularEnvironment:
    """Each step draws one outcome of (state, action) from the process's table.

    By the inverse of the cumulative distribution: with u uniform in [0, 1), the outcome is the
    first one whose cumulative probability is above u. u is a function of (seed, first + i, episode,
    step) alone. What is seen is the number of the state, (n, 1), int64.

    Args:
        mdp: The process; agents that want the table itself find it as ``mdp``.
        n: How many environments.
        seed: Of all random numbers.
        first: The number of the first of these environments among all.
        limit: Steps after which an episode is cut off; 0 for never, None for the process's own.
        name: What the user typed; the process's name by default.

    Example:
        >>> environment = TabularEnvironment(MDP.from_grid("S.G"), n=2)
        >>> environment.reset().tolist()
        [[0], [0]]
        >>> environment.step(torch.tensor([2, 0])).next.tolist()
        [[1], [0]]
    """

    exact = True

    def __init__(
        self,
        mdp: MDP,
        n: int = 1,
        *,
        seed: int = 0,
        first: int = 0,
        limit: int | None = None,
        name: str | None = None,
    ) -> None:
        if n < 1:
            raise ConfigError(f"there must be 1 environment or more, got n={n}")
        if limit is not None and limit < 0:
            raise ConfigError(f"limit must be 0 (for none) or more, got {limit}")
        limit = mdp.limit if limit is None else limit or None
        self.mdp, self.n, self.seed, self.first = mdp, n, seed, first
        seen = Event.tokens(1, max(mdp.states, 2))
        self.spec = EnvSpec(name or mdp.name, seen, mdp.actions, limit=limit)
        self._cumulative = _cumulative(mdp)
        self._start = np.cumsum(mdp.start)
        self._start /= self._start[-1]
        branching = int(np.diff(mdp.indptr).max())
        self._halvings = math.ceil(math.log2(branching)) if branching > 1 else 0
        self._index = np.arange(first, first + n)
        self._state, self._clock = np.zeros(n, np.int64), np.zeros(n, np.int64)
        self._episode = np.full(n, -1, np.int64)
        self._action: Tensor | None = None

    def reset(self) -> Tensor:
        """Begin a new episode everywhere; the first observations (n, 1)."""
        self._action = None
        self._begin(np.ones(self.n, np.bool_))
        return self.observe()

    def step(self, action: Tensor) -> Step:
        """Take actions (n,), int64.

        Raises:
            ConfigError: There is no such action, or :meth:`reset` has never been called.
        """
        action = check_actions(action, self.spec, self.n)
        refuse_impossible(action, self.spec)
        if self._episode.min() < 0:
            raise ConfigError(f"{self.spec.name}: call reset() before the first step()")
        mdp, self._action = self.mdp, action
        pair = self._state * mdp.actions + action.numpy()
        u = uniform(self.seed, self._index, self._episode, 1 + self._clock)
        outcome = self._outcome(mdp.indptr[pair], mdp.indptr[pair + 1] - 1, u)
        self._state = mdp.next[outcome].astype(np.int64)
        self._clock += 1
        terminated = np.asarray(mdp.ends[outcome], np.bool_)
        truncated = self._clock == (self.spec.limit or -1)
        after, over = self.observe(), terminated | truncated
        if over.any():
            self._begin(over)
        reward = torch.from_numpy(np.asarray(mdp.outcome_reward[outcome], np.float32))
        flags = torch.from_numpy(terminated), torch.from_numpy(truncated)
        return Step(self.observe(), reward, *flags, after)

    def restart(self, where: Tensor) -> Tensor:
        """Begin a new episode where (n,) is True; the present observations of all (n, 1)."""
        self._begin(where.numpy())
        return self.observe()

    def observe(self) -> Tensor:
        """The present observations (n, 1), as after a load."""
        return torch.from_numpy(self._state[:, None].copy())

    def render(self, index: int = 0) -> NDArray[np.uint8]:
        """The map with the agent on it, or all states in rows: (height, width, 3)."""
        if not 0 <= index < self.n:
            raise ConfigError(f"there are environments 0..{self.n - 1}, got index {index}")
        state, map_ = int(self._state[index]), self.mdp.grid
        if map_ is None and self.mdp.name.startswith("Taxi-") and self.mdp.states == 500:
            return draw_taxi(state)
        if map_ is None:
            return draw_states(state, self.mdp.states, self.mdp.terminal)
        acted = self._action is not None and self._clock[index] > 0
        action = int(self._action[index]) if acted and self._action is not None else None
        return draw_grid(state, action, map_.text, map_.directions)

    def state_dict(self) -> dict[str, Any]:
        """States, steps and numbers of the episodes, as tensors."""
        arrays = {"state": self._state, "clock": self._clock, "episode": self._episode}
        return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on, bit for bit, from what was saved; with the same seed and settings.

        Raises:
            RunError: It was saved of another number of environments, or holds states that are
                none.
        """
        names = ("state", "clock", "episode")
        saved = restored(self.spec, state, dict.fromkeys(names, (self.n,)))
        possible = (saved["state"] >= 0) & (saved["state"] < self.mdp.states)
        refuse_impossible_state(self.spec, saved["state"], possible)
        self._state, self._clock, self._episode = (saved[name].astype(np.int64) for name in names)
        self._action = None

    def close(self) -> None:
        """Nothing is held that must be freed."""

    def _begin(self, where: NDArray[np.bool_]) -> None:
        """Begin new episodes in some environments."""
        self._clock[where] = 0
        self._episode[where] += 1
        u = uniform(self.seed, self._index[where], self._episode[where], 0)
        self._state[where] = np.searchsorted(self._start, u, side="right")

    def _outcome(
        self, low: NDArray[np.int64], high: NDArray[np.int64], u: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """The first outcome in low..high whose cumulative probability is above u, by halving."""
        for _ in range(self._halvings):
            middle = (low + high) // 2
            above = self._cumulative[middle] > u
            low, high = np.where(above, low, middle + 1), np.where(above, middle, high)
        return low


def _cumulative(mdp: MDP) -> NDArray[np.float64]:
    """Probabilities summed within each (state, action), exactly 1 from the last possible one on."""
    whole = np.cumsum(mdp.probability)
    before = np.concatenate(([0.0], whole))[mdp.indptr[:-1]]
    count = np.diff(mdp.indptr)
    if count.max() <= 64:  # summed from each row's own beginning: no digits are lost
        summed = np.zeros(len(whole))
        for k in range(int(count.max())):
            at = (mdp.indptr[:-1] + k)[count > k]
            summed[at] = mdp.probability[at] + (summed[at - 1] if k else 0.0)
    else:
        summed = whole - np.repeat(before, count)
    last = np.repeat(summed[np.maximum(mdp.indptr[1:] - 1, 0)], count)
    return np.where(summed >= last, 1.0, summed / last)


def frozen_lake(
    *,
    map_name: str = "4x4",
    is_slippery: bool = True,
    success_rate: float = 1 / 3,
) -> MDP:
    """FrozenLake-v1 of gymnasium: over the ice to the goal; holes end the episode; 1 at the goal.

    Args:
        map_name: ``4x4`` or ``8x8``.
        is_slippery: Whether one may slide to the sides.
        success_rate: Probability of going where one meant to.

    Example:
        >>> frozen_lake(map_name="8x8").states
        64
    """
    maps = {name.removeprefix("frozen-lake-") for name in BUILT_IN if "lake" in name}
    if map_name not in maps:
        raise UnknownNameError("map of FrozenLake", map_name, maps)
    if not 0 <= success_rate <= 1:
        raise ConfigError(f"success_rate must be a probability, got {success_rate}")
    side = (1 - success_rate) / 2
    slip = (side, success_rate, side) if is_slippery else 0.0
    return MDP.from_grid(f"frozen-lake-{map_name}", slip=slip)


def cliff_walking(*, is_slippery: bool = False) -> MDP:
    """CliffWalking-v1 of gymnasium: -1 a step, -100 and back to the start for a fall.

    Args:
        is_slippery: Whether one slides to each side a third of the time.

    Example:
        >>> cliff_walking()
        MDP('cliff', 48 states, 4 actions, 1 terminal)
    """
    return MDP.from_grid("cliff", slip=(1 / 3, 1 / 3, 1 / 3) if is_slippery else 0.0)


def taxi(*, is_rainy: bool = False) -> MDP:
    """Taxi-v4 of gymnasium (Dietterich, 2000): pick a passenger up and set them down.

    Args:
        is_rainy: Whether moves may go astray.
    """
    return MDP.from_gym("Taxi-v4", is_rainy=is_rainy)


_CELL = 4096
"""Bytes that a cell of a map becomes while its moves are listed, where each may go three ways."""


@within_memory
def grid(
    source: str,
    *,
    slip: float | None = None,
    step: float | None = None,
    goal: float | None = None,
    hole: float | None = None,
    cliff: float | None = None,
    order: str | None = None,
) -> MDP:
    """A map: the name of one that is built in, or a text file with a line for each row.

    Args:
        source: Name or path.
        slip: Probability of sliding to each side.
        step: Reward of a step.
        goal: Reward of the step into a goal.
        hole: Reward of the step into a hole.
        cliff: Reward of the step off a cliff.
        order: What the actions are: ``left-down-right-up``, for example.

    Raises:
        UnknownNameError: There is neither such a map nor such a file.
        DataError: The file cannot be read as text.
    """
    given: dict[str, Any] = {"slip": slip, "step": step, "goal": goal, "hole": hole, "cliff": cliff}
    turns = None if order is None else order.replace("-", " ").replace(",", " ")
    path = expanded(source)
    if source in BUILT_IN or not path.exists():
        if source not in BUILT_IN and ("/" in source or path.suffix):
            raise DataError(f"the map {source!r} does not exist")
        if source not in BUILT_IN:
            raise UnknownNameError("map or file", source, BUILT_IN)
        return MDP.from_grid(source, order=turns, **given)
    admit(source, _CELL * regular(path), "its cells and moves", "give a smaller map")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the map {source!r} cannot be read as text: {error}") from error
    try:
        return MDP.from_grid(text, order=turns, name=path.stem, **given)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from error
