"""Gymnasium's spaces as events and actions; those with no counterpart are refused."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from phosphene.core.errors import ConfigError
from phosphene.core.event import Event
from phosphene.decision.environments.compound import Part, choices_of, parts_of, short

__all__ = ["Acting", "Seeing", "acting_of", "seeing_of"]

_STATES = 10_000  # of a compound observation, up to which it is the number of a state
_ACTIONS = 4_096  # of a compound action, up to which its combinations are counted
_GIVE = "and give the function that makes it as module:function"


@dataclass(frozen=True)
class Seeing:
    """How an observation is read.

    Args:
        event: What it becomes.
        shape: Of what the environment gives.
        first: The number of the first state, where it is the number of one.
        last: The channels of a picture come last, and are moved to the front.
        parts: Of a compound observation, what it is made of.
    """

    event: Event
    shape: tuple[int, ...]
    first: int = 0
    last: bool = False
    parts: tuple[Part, ...] = ()

    def __call__(self, raw: Any) -> NDArray[Any]:
        """One observation as an array of the event's shape."""
        if self.parts:
            return self._compound(raw)
        if self.event.kind == "tokens":
            return self._state(int(raw) - self.first)
        array = np.asarray(raw)
        if array.shape != self.shape:
            raise ValueError(
                f"the observation has shape {array.shape}, the space says {self.shape}"
            )
        if self.event.kind == "real":
            return array.reshape(self.event.shape)
        array = array.astype(np.uint8, copy=False)
        if array.ndim == 2:
            return array[None]
        return np.moveaxis(array, -1, 0) if self.last else array

    def _state(self, state: int) -> NDArray[Any]:
        levels = self.event.levels or 0
        if not 0 <= state < levels:
            most = self.first + levels - 1
            raise ValueError(
                f"the observation is {state + self.first}, the space says {self.first}..{most}"
            )
        return np.array([state], np.int64)

    def _compound(self, raw: Any) -> NDArray[Any]:
        if self.event.kind == "real":
            return np.concatenate([part.numbers(raw) for part in self.parts])
        state = 0
        for part in self.parts:
            for count, digit in zip(part.counts, part.digits(raw), strict=True):
                state = state * count + digit
        return np.array([state], np.int64)


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
        counts: Of a compound action, how many choices each of its parts has.
        write: Makes a compound action of the choices of its parts.
    """

    actions: int | None = None
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    shape: tuple[int, ...] = ()
    kind: str = "float32"
    first: int = 0
    counts: tuple[int, ...] = ()
    write: Callable[[list[int]], Any] | None = None

    def __call__(self, actions: NDArray[Any]) -> list[Any]:
        """Actions (m,) or (m, d), each as the environment takes it."""
        if self.write is not None:
            return [self.write(self._digits(int(action))) for action in actions]
        if self.actions is not None:
            return list((actions + self.first).tolist())
        return list(self._rounded(actions).reshape(-1, *self.shape))

    def _rounded(self, actions: NDArray[Any]) -> NDArray[Any]:
        """In the space's type. What lies beyond a bound by float32's rounding alone is the bound.

        A float64 bound such as 0.1 is no number of float32, and the nearest one may lie outside.
        """
        values = actions.astype(self.kind)
        for bound, beyond in ((self.low, np.less), (self.high, np.greater)):
            edge = np.asarray(bound, self.kind)
            near = np.abs(values - edge) <= np.spacing(np.abs(edge).astype(np.float32))
            values = np.where(beyond(values, edge) & near, edge, values)
        return values

    def _digits(self, action: int) -> list[int]:
        digits = []
        for count in reversed(self.counts):
            action, digit = divmod(action, count)
            digits.append(digit)
        return digits[::-1]


def seeing_of(space: Any, name: str) -> Seeing:
    """Read an observation space.

    A Dict or a Tuple, and a MultiDiscrete space, becomes the number of a state where all its parts
    are choices and it has 10,000 combinations at most; otherwise, as a MultiBinary one, a vector:
    choices one-hot, pictures on the scale 0..1.

    Raises:
        ConfigError: It is none that can be an event.

    Example:
        >>> from gymnasium.spaces import Box, Dict, Discrete, Tuple
        >>> seeing_of(Box(0, 255, (48, 64, 3), np.uint8), "game").event
        Event(kind='image', shape=(3, 48, 64), levels=256)
        >>> seeing_of(Tuple([Discrete(3), Discrete(4)]), "game").event
        Event(kind='tokens', shape=(1,), levels=12)
        >>> seeing_of(Dict(place=Box(-1, 1, (2,)), key=Discrete(3)), "game").event
        Event(kind='real', shape=(5,), levels=None)
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
        if math.prod(shape) > 0:
            return Seeing(Event.real(math.prod(shape)), shape)
    parts = parts_of(space)
    if not sum(part.size for part in parts):
        raise ConfigError(
            f"{name} has the observation space {short(space)}; agents see numbers, choices and "
            "pictures (Box, Discrete, MultiDiscrete, MultiBinary, and Dict and Tuple of these): "
            f"wrap it into gymnasium.wrappers.TransformObservation {_GIVE}"
        )
    combinations = math.prod(count for part in parts for count in part.counts)
    if all(part.counts for part in parts) and combinations <= _STATES:
        return Seeing(Event.tokens(1, max(2, combinations)), (), parts=parts)
    return Seeing(Event.real(sum(part.size for part in parts)), (), parts=parts)


def acting_of(space: Any, name: str) -> Acting:
    """Read an action space.

    A MultiDiscrete or MultiBinary space, a bounded Box of whole numbers, and a Dict or Tuple of
    Discrete ones become one number of choices, that of all combinations, up to 4,096 of them.

    Raises:
        ConfigError: It is neither a number of choices nor bounded numbers.

    Example:
        >>> from gymnasium.spaces import Discrete, MultiDiscrete
        >>> acting_of(Discrete(4), "game").actions
        4
        >>> acting_of(MultiDiscrete([3, 2]), "game")(np.array([5]))
        [array([2, 1])]
    """
    kind = type(space).__name__
    if kind == "Discrete":
        return Acting(actions=int(space.n), first=int(space.start))
    if kind == "Box" and np.issubdtype(space.dtype, np.floating) and space.low.size:
        low, high = space.low.ravel(), space.high.ravel()
        with np.errstate(over="ignore"):
            span = high.astype(np.float32) - low.astype(np.float32)
        if np.isfinite(span).all():
            bounds = tuple(map(float, low)), tuple(map(float, high))
            return Acting(None, *bounds, tuple(space.shape), str(space.dtype))
        _refuse(space, name, "which is not bounded; actions need finite bounds")
    choices = choices_of(space)
    if choices is None:
        _refuse(space, name, "and agents act by choices or by a bounded Box of floats")
    counts, write = choices
    combinations = math.prod(counts)
    if combinations > _ACTIONS:
        _refuse(
            space, name,
            f"which has {combinations:,} combinations; agents choose among {_ACTIONS:,} at most",
        )  # fmt: skip
    return Acting(actions=combinations, counts=counts, write=write)


def _refuse(space: Any, name: str, why: str) -> NoReturn:
    raise ConfigError(
        f"{name} has the action space {short(space)}, {why}: wrap it into gymnasium.wrappers."
        f"TransformAction, which takes the space that agents shall act in, {_GIVE}"
    )
