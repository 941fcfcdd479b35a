"""Interfaces of environments: the specification, one step, many environments at once."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from phosphene.core.config import tagged
from phosphene.core.errors import ConfigError
from phosphene.core.event import Event

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["EnvSpec", "Environment", "Step", "called", "env_is_own"]


@tagged
@dataclass(frozen=True)
class EnvSpec:
    """What an agent sees and what it may do; an agent is built for one, as a model for an event.

    Args:
        name: The environment, with its options: ``CartPole-v1``, ``FrozenLake-v1?map_name=8x8``.
        observation: What one observation is: ``Event.real(4)``; ``Event.tokens(1, 16)`` where it is
            the number of a state; an image event, channels first, where it is a picture.
        actions: How many discrete actions there are; None where actions are continuous.
        low: The least value of each component of a continuous action.
        high: The greatest value of each component.
        limit: Steps after which an episode is cut off (truncated); None for no limit.
        masked: Whether the last ``actions`` numbers of an observation say which actions are allowed
            (1) and which are not (0).

    Example:
        >>> EnvSpec("CartPole-v1", Event.real(4), actions=2, limit=500).discrete
        True
        >>> EnvSpec("Pendulum-v1", Event.real(3), low=(-2.0,), high=(2.0,)).action_dim
        1
    """

    name: str
    observation: Event
    actions: int | None = None
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    limit: int | None = None
    masked: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", tuple(float(v) for v in self.low))
        object.__setattr__(self, "high", tuple(float(v) for v in self.high))
        if (self.actions is None) != bool(self.low):
            raise ConfigError(f"{self.name}: actions are either a number, or bounds low and high")
        if len(self.low) != len(self.high):
            raise ConfigError(f"{self.name}: low and high have {len(self.low)}, {len(self.high)}")

    @property
    def discrete(self) -> bool:
        """Whether an action is one of a number of choices."""
        return self.actions is not None

    @property
    def action_dim(self) -> int:
        """Components of a continuous action; 1 for a discrete one."""
        return len(self.low) or 1

    @property
    def states(self) -> int | None:
        """How many states an observation can name; None where it is not a number of a state."""
        event = self.observation
        return event.levels if event.kind == "tokens" and event.shape == (1,) else None

    def observation_example(self, n: int) -> "Tensor":
        """Zeros in the shape and type of n observations."""
        import torch

        kinds = {"real": torch.float32, "tokens": torch.int64}
        event = self.observation
        return torch.zeros(n, *event.shape, dtype=kinds.get(event.kind, torch.uint8))

    def __str__(self) -> str:
        acts = f"{self.actions} actions" if self.discrete else f"{self.action_dim}-d actions"
        return f"{self.name} ({self.observation}; {acts})"


@dataclass
class Step:
    """What n environments answer to n actions.

    Args:
        observation: Where to act next (n, ...); the first of a new episode where one ended.
        reward: (n,), float32.
        terminated: (n,), bool: a terminal state was reached, after which nothing can be earned.
        truncated: (n,), bool: the episode was cut off, by its time limit, where it might go on.
        next: What the actions led to (n, ...), before a new episode began. It differs from
            ``observation`` only where an episode ended; a value beyond a truncation is its value.
    """

    observation: "Tensor"
    reward: "Tensor"
    terminated: "Tensor"
    truncated: "Tensor"
    next: "Tensor"

    @property
    def done(self) -> "Tensor":
        """(n,), bool: the episode ended, for either reason."""
        return self.terminated | self.truncated


class Environment(Protocol):
    """n environments side by side, which begin a new episode by themselves when one ends.

    Environment i draws its random numbers from (seed, first + i, episode): a process that holds
    some of the environments meets the same episodes as one that holds them all.
    """

    spec: EnvSpec
    n: int
    exact: bool
    """Whether ``state_dict`` holds all of the state, so that a resumed run goes on bit for bit."""

    def reset(self) -> "Tensor":
        """Begin a new episode everywhere; the first observations (n, *shape)."""
        ...

    def step(self, action: "Tensor") -> Step:
        """Take actions: (n,) int64 for discrete ones, (n, d) float32 for continuous ones."""
        ...

    def restart(self, where: "Tensor") -> "Tensor":
        """Begin a new episode where (n,) is True; the present observations of all (n, *shape)."""
        ...

    def render(self, index: int = 0) -> "NDArray[np.uint8]":
        """A picture of environment ``index``: (height, width, 3), codes 0..255."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """What must be saved: tensors and plain numbers."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what was saved."""
        ...

    def close(self) -> None:
        """Free what the environments hold."""
        ...


def called(env: Any) -> str:
    """The name of an environment: itself where it is text.

    What can be imported is called ``module:name``, by which a run finds it again; what cannot (a
    function of a script or a notebook, an instance) by its own name.

    Example:
        >>> called("CartPole-v1"), called(lambda: None), called(dict)
        ('CartPole-v1', 'lambda', 'builtins:dict')
    """
    if isinstance(env, str):
        return env
    if not callable(env):
        spec = getattr(env, "spec", None)
        return str(getattr(spec, "id", None) or type(env).__name__)
    name = str(getattr(env, "__qualname__", type(env).__name__))
    module = getattr(env, "__module__", None) or "__main__"
    if module != "__main__" and getattr(sys.modules.get(module), name, None) is env:
        return f"{module}:{name}"
    return name.rpartition(".")[2].strip("<>")


def env_is_own(env: Any) -> bool:
    """Whether an environment is known to the program alone that handed it over.

    Example:
        >>> env_is_own("CartPole-v1"), env_is_own(dict), env_is_own(lambda: None)
        (False, False, True)
    """
    return not isinstance(env, str) and (not callable(env) or ":" not in called(env))
