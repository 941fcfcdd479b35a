"""What gymnasium's spaces are as an event and as actions, and which of them cannot be."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phosphene.core.errors import ConfigError
from phosphene.core.event import Event

__all__ = ["Acting", "Seeing", "acting_of", "seeing_of"]

_WRAP = "wrap it into one of these (gymnasium.wrappers) and give the function as module:function"


@dataclass(frozen=True)
class Seeing:
    """How an observation is read.

    Args:
        event: What it becomes.
        shape: Of what the environment gives.
        first: The number of the first state, where it is the number of one.
        last: The channels of a picture come last, and are moved to the front.
    """

    event: Event
    shape: tuple[int, ...]
    first: int = 0
    last: bool = False

    def __call__(self, raw: Any) -> NDArray[Any]:
        """One observation as an array of the event's shape."""
        if self.event.kind == "tokens":
            return np.array([int(raw) - self.first], np.int64)
        array = np.asarray(raw)
        if array.shape != self.shape:
            raise ValueError(
                f"the observation has shape {array.shape}, the space says {self.shape}"
            )
        if self.event.kind == "real":
            return array
        array = array.astype(np.uint8, copy=False)
        if array.ndim == 2:
            return array[None]
        return np.moveaxis(array, -1, 0) if self.last else array


@dataclass(frozen=True)
class Acting:
    """How an action is written.

    Args:
        actions: How many there are, or None.
        low: Least values of continuous ones.
        high: Greatest values.
        shape: Of one continuous action.
        kind: Its type in NumPy.
        first: The number of the first discrete action.
    """

    actions: int | None = None
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    shape: tuple[int, ...] = ()
    kind: str = "float32"
    first: int = 0

    def __call__(self, actions: NDArray[Any]) -> list[Any]:
        """Actions (m,) or (m, d), each as the environment takes it."""
        if self.actions is not None:
            return list((actions + self.first).tolist())
        return list(actions.astype(self.kind).reshape(-1, *self.shape))


def seeing_of(space: Any, name: str) -> Seeing:
    """Read an observation space.

    Raises:
        ConfigError: It is none that can be an event.

    Example:
        >>> from gymnasium.spaces import Box
        >>> seeing_of(Box(0, 255, (48, 64, 3), np.uint8), "game").event
        Event(kind='image', shape=(3, 48, 64), levels=256)
    """
    kind = type(space).__name__
    if kind == "Discrete":
        return Seeing(Event.tokens(1, max(2, int(space.n))), (), first=int(space.start))
    if kind == "Box":
        shape = tuple(int(size) for size in space.shape)
        picture = space.dtype == np.uint8 or space.dtype == np.bool_
        if picture and len(shape) in (2, 3):
            levels = max(2, int(space.high.max()) + 1)
            if len(shape) == 2:
                return Seeing(Event.image(1, (shape[0], shape[1]), levels), shape)
            last = shape[2] <= shape[0]  # the channels are the few
            height, width, channels = shape if last else (*shape[1:], shape[0])
            return Seeing(Event.image(channels, (height, width), levels), shape, last=last)
        if len(shape) == 1 and shape[0] > 0:
            return Seeing(Event.real(*shape), shape)
    raise ConfigError(
        f"{name} has the observation space {_short(space)}; agents see a Box of one dimension, a "
        f"picture (a Box of uint8 or bool), or a Discrete state: {_WRAP}"
    )


def acting_of(space: Any, name: str) -> Acting:
    """Read an action space.

    Raises:
        ConfigError: It is neither a number of choices nor bounded numbers.

    Example:
        >>> from gymnasium.spaces import Discrete
        >>> acting_of(Discrete(4), "game").actions
        4
    """
    kind = type(space).__name__
    if kind == "Discrete":
        return Acting(actions=int(space.n), first=int(space.start))
    if kind == "Box" and np.issubdtype(space.dtype, np.floating) and space.low.size:
        low, high = space.low.ravel(), space.high.ravel()
        if np.isfinite(low).all() and np.isfinite(high).all():
            bounds = tuple(map(float, low)), tuple(map(float, high))
            return Acting(None, *bounds, tuple(space.shape), str(space.dtype))
        raise ConfigError(
            f"{name} has the action space {_short(space)}, which is not bounded; actions need "
            f"finite bounds: gymnasium.wrappers.RescaleAction or ClipAction gives them"
        )
    raise ConfigError(
        f"{name} has the action space {_short(space)}; agents act by a Discrete choice or a "
        f"bounded Box of floats: {_WRAP}"
    )


def _short(space: Any) -> str:
    text = " ".join(str(space).split())
    return text if len(text) <= 120 else f"{text[:117]}..."
