"""Problems of tabular methods: a decision process, or an environment with gymnasium's interface."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from phosphene.core.environment import EnvSpec
from phosphene.core.errors import ConfigError, DataError
from phosphene.core.rng import mix
from phosphene.decision.mdp.mdp import MDP
from phosphene.kernels.tabular import TableWorld, World

__all__ = ["GymWorld", "Problem", "as_policy", "as_problem", "numbering"]


@dataclass(frozen=True)
class Problem:
    """What a learner acts in.

    Args:
        world: It answers to actions.
        states: How many states.
        actions: How many actions.
        limit: Steps after which an episode is cut off; None for no limit, or where the environment
            sees to it.
        terminal: (S,), bool: states known to be worth 0.
        name: What it is called.
    """

    world: World
    states: int
    actions: int
    limit: int | None
    terminal: Tensor
    name: str

    @property
    def exact(self) -> bool:
        """Whether a run can go on from anywhere; otherwise it begins a new episode."""
        return isinstance(self.world, TableWorld)


def as_problem(source: Any, seed: int) -> Problem:
    """A decision process, or an environment with ``reset`` and ``step`` and countable spaces.

    Of our own environments the process itself is used. Many learners can share a problem.

    Raises:
        ConfigError: It is neither.
    """
    if isinstance(source, Problem):
        return source
    if isinstance(source, MDP):
        return _from_mdp(source)
    spec = getattr(source, "spec", None)
    if isinstance(spec, EnvSpec) and isinstance(getattr(source, "mdp", None), MDP):
        return replace(_from_mdp(source.mdp), limit=spec.limit)
    spaces = ("observation_space", "action_space", "reset", "step")
    missing = [name for name in spaces if not hasattr(source, name)]
    if missing:
        raise ConfigError(
            f"tabular methods learn in an MDP or a gymnasium environment, not in a "
            f"{type(source).__name__} (it has no {missing[0]})"
        )
    states, number = numbering(source.observation_space)
    actions, _ = numbering(source.action_space)
    first = int(getattr(source.action_space, "start", 0))
    name = getattr(spec, "id", type(source).__name__)
    world = GymWorld(source, number, first, seed)
    return Problem(world, states, actions, None, torch.zeros(states, dtype=torch.bool), name)


def _from_mdp(mdp: MDP) -> Problem:
    terminal = torch.from_numpy(np.asarray(mdp.terminal, dtype=bool).copy())
    cumulative = _cumulated(mdp.probability, mdp.indptr)
    start = _cumulated(mdp.start, np.array([0, mdp.states]))
    world = TableWorld(
        mdp.actions,
        torch.from_numpy(np.ascontiguousarray(mdp.indptr, dtype=np.int64)),
        torch.from_numpy(np.ascontiguousarray(mdp.next, dtype=np.int32)),
        torch.from_numpy(cumulative),
        torch.from_numpy(np.ascontiguousarray(mdp.outcome_reward, dtype=np.float64)),
        torch.from_numpy(np.ascontiguousarray(mdp.ends, dtype=np.uint8)),
        torch.from_numpy(start),
    )
    return Problem(world, mdp.states, mdp.actions, mdp.limit, terminal, mdp.name)


def _cumulated(probability: NDArray[np.float64], indptr: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sums within rows, which are 1 from the last outcome that can happen on.

    Rows of one length are summed together; differences of one long sum would lose digits.
    """
    lengths = np.diff(indptr)
    assert lengths.min() > 0, "a pair without outcomes"
    sums = np.empty_like(probability, dtype=np.float64)
    for length in np.unique(lengths):
        at = indptr[:-1][lengths == length, None] + np.arange(length)
        sums[at] = probability[at].cumsum(1)
    possible = np.flatnonzero(probability > 0)
    row = np.repeat(np.arange(len(lengths)), lengths)
    last = np.zeros(len(lengths), dtype=np.int64)
    np.maximum.at(last, row[possible], possible)
    sums[np.arange(len(sums)) >= last[row]] = 1.0
    return sums


class GymWorld:
    """An environment with gymnasium's interface, whose states are numbered.

    Args:
        environment: Its episode i begins with a seed that is a function of ``seed`` and i.
        number: The number of an observation.
        first_action: What the environment calls action 0.
        seed: Decides all episodes.
    """

    def __init__(
        self, environment: Any, number: Callable[[Any], int], first_action: int, seed: int
    ) -> None:
        self.environment, self.number = environment, number
        self.first_action, self.seed = first_action, seed

    def begin(self, u: float, episode: int) -> int:
        """Reset; the environment draws its own numbers, and ``u`` is not used."""
        observation, _ = self.environment.reset(seed=mix(self.seed, episode) >> 32)
        return self.number(observation)

    def step(self, state: int, action: int, u: float) -> tuple[float, int, bool, bool]:
        """Reward, next state, terminated, truncated."""
        observation, reward, terminated, truncated, _ = self.environment.step(
            action + self.first_action
        )
        reward = float(reward)
        if not math.isfinite(reward):
            raise DataError(f"the environment gave the reward {reward} in state {state}")
        return reward, self.number(observation), bool(terminated), bool(truncated)


def numbering(space: Any) -> tuple[int, Callable[[Any], int]]:
    """How many elements a space of gymnasium has, and what number each has.

    Discrete spaces, MultiDiscrete ones and tuples of Discrete ones can be counted.

    Raises:
        ConfigError: The space is none of them.
    """
    parts = getattr(space, "spaces", None)
    if hasattr(space, "nvec"):
        sizes = [int(n) for n in np.asarray(space.nvec).ravel()]
        first = [int(n) for n in np.asarray(getattr(space, "start", 0 * space.nvec)).ravel()]
    elif isinstance(parts, list | tuple) and all(hasattr(p, "n") for p in parts):
        sizes, first = [int(p.n) for p in parts], [int(getattr(p, "start", 0)) for p in parts]
    elif hasattr(space, "n") and np.ndim(space.n) == 0 and type(space).__name__ == "Discrete":
        start = int(getattr(space, "start", 0))
        return int(space.n), lambda x: int(x) - start
    else:
        raise ConfigError(f"states and actions of a table must be countable, not {space}")

    def number(x: Any) -> int:
        total = 0
        for value, low, size in zip(np.ravel(x).tolist(), first, sizes, strict=True):
            total = total * size + int(value) - low
        return total

    return math.prod(sizes), number


def as_policy(policy: "ArrayLike | Tensor", states: int, actions: int) -> Tensor:
    """Probabilities of actions (S, A), float64, from those or from one action a state (S,).

    Raises:
        ConfigError: Another shape, or rows that are no distributions.
    """
    given = torch.as_tensor(policy)
    if given.shape == (states,) and not given.is_floating_point():
        if bool((given < 0).any()) or bool((given >= actions).any()):
            raise ConfigError(f"a policy of actions must hold numbers 0 to {actions - 1}")
        return torch.nn.functional.one_hot(given.long(), actions).double()
    if given.shape != (states, actions):
        raise ConfigError(
            f"a policy is probabilities ({states}, {actions}) or actions ({states},), "
            f"got shape {tuple(given.shape)}"
        )
    given = given.to(torch.float64)
    bad = ~((given >= 0).all(1) & ((given.sum(1) - 1).abs() <= 1e-6))
    if bool(bad.any()):
        state = int(bad.nonzero()[0])
        raise ConfigError(f"the policy of state {state} is no distribution: {given[state]}")
    return given / given.sum(1, keepdim=True)
