"""Composite spaces (dictionaries, tuples, several choices): their parts, in a fixed order."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Part", "choices_of", "parts_of", "short"]

Choices = tuple[tuple[int, ...], Callable[[list[int]], Any]]
"""How many choices each part has, and what makes an action of them."""


@dataclass(frozen=True)
class Part:
    """A part of a compound observation.

    Args:
        path: Keys and places that lead to it.
        shape: Of what is there.
        counts: How many choices each of its numbers has; none where they are not choices.
        first: The least number of each.
        scale: What other numbers are multiplied by.
    """

    path: tuple[str | int, ...]
    shape: tuple[int, ...]
    counts: tuple[int, ...] = ()
    first: tuple[int, ...] = ()
    scale: float = 1.0

    @property
    def size(self) -> int:
        """How many numbers it is in a vector."""
        return sum(self.counts) or math.prod(self.shape)

    def digits(self, raw: Any) -> list[int]:
        """Its choices, each counted from 0."""
        values = self._there(raw).ravel().tolist()
        found = [int(value) - first for value, first in zip(values, self.first, strict=True)]
        for value, digit, count in zip(values, found, self.counts, strict=True):
            if not 0 <= digit < count:
                raise ValueError(f"{self._called} is {value}, the space has {count} choices there")
        return found

    def numbers(self, raw: Any) -> NDArray[np.float32]:
        """It as a vector: choices one-hot, other numbers scaled."""
        if not self.counts:
            return np.asarray(self._there(raw), np.float32).ravel() * np.float32(self.scale)
        out = np.zeros(self.size, np.float32)
        begins = np.cumsum((0, *self.counts[:-1]))
        out[begins + self.digits(raw)] = 1.0
        return out

    @property
    def _called(self) -> str:
        return "".join(f"[{key!r}]" for key in self.path) or "the observation"

    def _there(self, raw: Any) -> NDArray[Any]:
        for key in self.path:
            raw = raw[key]
        found = np.asarray(raw)
        if found.shape != self.shape:
            raise ValueError(f"{self._called} has shape {found.shape}, the space says {self.shape}")
        return found


def parts_of(space: Any) -> tuple[Part, ...]:
    """The parts of an observation space; none where one of them is neither numbers nor choices.

    Example:
        >>> from gymnasium.spaces import Dict, Discrete, MultiBinary
        >>> [part.size for part in parts_of(Dict(a=Discrete(3), b=MultiBinary(4)))]
        [3, 4]
    """
    try:
        return tuple(_parts(space, ()))
    except _UnsupportedSpaceError:
        return ()


class _UnsupportedSpaceError(Exception):
    """A space that is neither numbers nor choices."""


def _parts(space: Any, path: tuple[str | int, ...]) -> Iterator[Part]:
    kind = type(space).__name__
    if kind in ("Dict", "Tuple"):
        for key, inner in _inner(space):
            yield from _parts(inner, (*path, key))
    elif kind == "Discrete":
        yield Part(path, (), (int(space.n),), (int(space.start),))
    elif kind == "MultiDiscrete":
        counts, first = _whole(space.nvec), _whole(space.start)
        yield Part(path, tuple(space.nvec.shape), counts, first)
    elif kind in ("MultiBinary", "Box"):
        picture = kind == "Box" and space.dtype == np.uint8 and len(space.shape) > 1
        yield Part(path, tuple(space.shape), scale=1 / 255 if picture else 1.0)
    else:
        raise _UnsupportedSpaceError


def choices_of(space: Any) -> Choices | None:
    """The choices of an action space; None where it has others than choices.

    Example:
        >>> from gymnasium.spaces import Discrete, Tuple
        >>> counts, write = choices_of(Tuple([Discrete(3), Discrete(2, start=5)]))
        >>> counts, write([2, 1])
        ((3, 2), (2, 6))
    """
    kind = type(space).__name__
    if kind == "Discrete":
        start = int(space.start)
        return (int(space.n),), lambda digits: start + digits[0]
    if kind == "MultiDiscrete":
        return _of_array(_whole(space.nvec), space.start, space)
    if kind == "MultiBinary":
        shape = tuple(np.atleast_1d(space.shape).tolist())
        return _of_array((2,) * math.prod(shape), np.zeros(shape), space)
    if kind == "Box" and np.issubdtype(space.dtype, np.integer) and space.low.size:
        low, high = space.low.astype(np.int64), space.high.astype(np.int64)
        return _of_array(_whole(high - low + 1), low, space)
    if kind in ("Dict", "Tuple"):
        return _of_several(space)
    return None


def _of_array(counts: tuple[int, ...], start: Any, space: Any) -> Choices:
    shape, dtype = tuple(space.shape), space.dtype
    first = np.asarray(start, np.int64).ravel()
    return counts, lambda digits: (first + digits).astype(dtype).reshape(shape)


def _of_several(space: Any) -> Choices | None:
    keys, found = [], []
    for key, inner in _inner(space):
        choices = choices_of(inner)
        if choices is None:
            return None
        keys.append(key)
        found.append(choices)
    cuts = np.cumsum([0, *(len(counts) for counts, _ in found)]).tolist()

    def write(digits: list[int]) -> Any:
        values = [
            make(digits[a:b]) for (_, make), a, b in zip(found, cuts[:-1], cuts[1:], strict=True)
        ]
        named = type(space).__name__ == "Dict"
        return dict(zip(keys, values, strict=True)) if named else tuple(values)

    return tuple(count for counts, _ in found for count in counts), write


def _inner(space: Any) -> list[tuple[Any, Any]]:
    spaces = space.spaces
    return list(spaces.items()) if hasattr(spaces, "items") else list(enumerate(spaces))


def _whole(values: Any) -> tuple[int, ...]:
    return tuple(int(value) for value in np.ravel(values))


def short(space: Any) -> str:
    """A space in a sentence.

    Example:
        >>> short("Box(-inf,   inf, (3,))")
        'Box(-inf, inf, (3,))'
    """
    text = " ".join(str(space).split())
    return text if len(text) <= 120 else f"{text[:117]}..."
