"""The base of native environments: dynamics of n states at once, and a picture."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from phosphene.core.environment import EnvSpec
from phosphene.core.event import Event

__all__ = ["Array", "Dynamics"]

Array = NDArray[np.float64]


class Dynamics(ABC):
    """The formula of one environment; it holds no state, only settings.

    The constructor's keyword arguments are the options that a name takes:
    ``Pendulum-v1?g=9.81``.
    """

    name: ClassVar[str]
    limit: ClassVar[int | None]
    """Steps after which an episode is cut off, unless the user says otherwise."""
    size: ClassVar[int]
    """Numbers in one state."""
    draws: ClassVar[int]
    """Uniform numbers that a new episode takes."""
    actions: ClassVar[int | None] = None
    low: ClassVar[tuple[float, ...]] = ()
    high: ClassVar[tuple[float, ...]] = ()

    event: Event

    @property
    def options(self) -> tuple[float, ...]:
        """The settings as the native library takes them."""
        return ()

    def spec(self, name: str, limit: int | None) -> EnvSpec:
        """The specification, under the name that the user typed."""
        return EnvSpec(name, self.event, self.actions, self.low, self.high, limit)

    @abstractmethod
    def start(self, u: Array) -> Array:
        """First states (n, size) as a function of uniform numbers (n, draws)."""

    @abstractmethod
    def move(self, state: Array, action: NDArray[Any]) -> tuple[Array, Array, NDArray[np.bool_]]:
        """Next states (n, size), rewards (n,) and whether they are terminal (n,)."""

    def possible(self, state: Array) -> NDArray[np.bool_]:
        """Which states (n, size) there can be between two steps: (n,)."""
        return np.asarray(np.isfinite(state).all(1))

    @abstractmethod
    def observe(self, state: Array) -> NDArray[Any]:
        """What is seen of states: (n, ...), float32, or uint8 for a picture."""

    @abstractmethod
    def draw(self, state: Array, action: NDArray[Any] | None) -> NDArray[np.uint8]:
        """A picture of one state (size,) and the action that led to it, if there was one."""
