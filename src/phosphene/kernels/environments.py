"""Steps of native environments: one call of the library for all of them, and their random numbers.

What an environment does is written down, readable, in ``phosphene.decision.environments``; here is
only the way into the library, and the generator that both share.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phosphene.core.environment import Step
from phosphene.core.errors import KernelError
from phosphene.kernels.declaration import (
    Array,
    Bound,
    Choice,
    Kernel,
    Real,
    Rule,
    Size,
    Type,
    Whole,
)
from phosphene.kernels.gate import gate, memory_of
from phosphene.kernels.library import backend

__all__ = ["KINDS", "NativeSteps", "environments_usable", "mix_counters", "uniform"]

KINDS = {
    "CartPole-v1": 0,
    "Acrobot-v1": 1,
    "MountainCar-v0": 2,
    "MountainCarContinuous-v0": 3,
    "Pendulum-v1": 4,
    "Catch": 5,
}
"""Names of the environments that the library holds, and their numbers in environments.cpp."""
_CONTINUOUS = (3, 4)
_PIXELS = 1 << 24
_environments = gate(
    Kernel(
        "environments",
        (
            Choice("kind", KINDS),
            Whole("limit", 0, 1 << 62),
            Whole("seed", 0, (1 << 64) - 1),
            Whole("first", 0, (1 << 64) - 1),
            *(Real(f"option{i}", -1e30, 1e30) for i in range(4)),
            Type("seen"),
            Array("state", ("n", "size"), "float64", written=True),
            Array("clock", ("n",), "int64", written=True),
            Array("episode", ("n",), "int64", written=True),
            Array("observation", ("rows", "n", "width"), "seen", written=True),
            Array("reward", ("rows", "n"), "float32", written=True),
            Array("terminated", ("rows", "n"), "bool", written=True),
            Array("truncated", ("rows", "n"), "bool", written=True),
            Array("next", ("rows", "n", "width"), "seen", written=True),
        ),
        "kind n limit seed first option0 option1 option2 option3 state clock episode observation"
        " reward terminated truncated next",
        (
            Rule("size == (4, 4, 2, 2, 2, 3)[kind]", "there cannot be {size} numbers a state"),
            Rule(f"kind != 5 or (2 <= option0 <= {_PIXELS} and 2 <= option1 <= {_PIXELS})",
                 "a board must be 2 by 2 or larger, got {option0} by {option1}"),
            Rule("width == (4, 6, 2, 2, 3, int(option0) * int(option1))[kind]",
                 "there cannot be {width} numbers an observation"),
            Rule("seen is (torch.uint8 if kind == 5 else torch.float32)",
                 "observations cannot be {seen}"),
        ),
        suffix="f64",
        returns="structure",
    )
)  # fmt: skip
_STEP = (Bound("environments"), Size("n"))
_PLACE = (Size("row"), Size("rows"))
_WITHIN = Rule("row < rows", "there are {rows} rows, not {row}")
_steps = {
    False: gate(
        Kernel(
            "environments_step",
            (*_STEP, *_PLACE, Array("action", ("n",), "int64")),
            "environments row action", (_WITHIN,), ("row",), suffix="f64", returns="status",
        )
    ),
    True: gate(
        Kernel(
            "environments_step",
            (*_STEP, *_PLACE, Array("action", ("n", 1), "float32")),
            "environments row action", (_WITHIN,), ("row",), suffix="f64", returns="status",
        ),
        "environments_step_continuous",
    ),
}  # fmt: skip
_reset = gate(
    Kernel(
        "environments_reset", (Bound("environments"), *_PLACE), "environments row", (_WITHIN,),
        ("row",), suffix="f64", returns="status",
    )
)  # fmt: skip
_BUDGET = 1 << 18
"""Bytes of answers that are made ready at a time; a step's own are never used twice."""
_ROWS = 64
"""Steps that are made ready at a time, at most."""

Counter = int | NDArray[Any]


def mix_counters(*counters: Counter) -> NDArray[np.uint64]:
    """Hash counters as :func:`phosphene.core.rng.mix` does, over arrays, and keep all 64 bits.

    Example:
        >>> from phosphene.core.rng import mix
        >>> int(mix_counters(3, np.arange(2))[1] >> np.uint64(1)) == mix(3, 1)
        True
    """
    state = np.zeros((), np.uint64)
    with np.errstate(over="ignore"):
        for counter in counters:
            state = (state ^ _unsigned(counter)) + np.uint64(0x9E3779B97F4A7C15)
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state = state ^ (state >> np.uint64(31))
    return np.asarray(state)


def uniform(*counters: Counter) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1): the upper 53 bits of the hash of the counters.

    Example:
        >>> u = uniform(0, np.arange(100_000))
        >>> bool(abs(u.mean() - 0.5) < 0.005), bool(u.min() >= 0), bool(u.max() < 1)
        (True, True, True)
    """
    return np.asarray((mix_counters(*counters) >> np.uint64(11)) * 2.0**-53)


def _unsigned(counter: Counter) -> NDArray[np.uint64]:
    if isinstance(counter, int):
        return np.asarray(counter & (1 << 64) - 1, np.uint64)
    return counter.astype(np.uint64)


def environments_usable() -> bool:
    """Whether the library is there."""
    return backend().library is not None


@dataclass(frozen=True)
class _Answers:
    """Memory of the next steps' answers, and where the library finds it."""

    structure: Any
    address: int
    steps: list[Step]


class NativeSteps:
    """Steps n environments whose state the caller holds, by one call of the library a step.

    The arrays ``state``, ``clock`` and ``episode`` are read and written in place, and stay the
    caller's. Every answer is memory of its own, which is never written again: tensors for some
    dozens of steps are made ready together, because making them costs more than a step.

    Args:
        name: One of :data:`KINDS`.
        state: (n, size), float64.
        clock: (n,), int64, steps since the episode began.
        episode: (n,), int64, the number of the episode, -1 before the first.
        shape: Of one observation.
        seed: First counter of all random numbers.
        first: The number of the first of these environments among all.
        limit: Steps after which an episode is cut off; None for no limit.
        options: At most four numbers that the dynamics take.

    Raises:
        KernelError: A shape, a type or an option is none that the environment has.
    """

    def __init__(
        self,
        name: str,
        state: NDArray[np.float64],
        clock: NDArray[np.int64],
        episode: NDArray[np.int64],
        shape: Sequence[int],
        *,
        seed: int,
        first: int,
        limit: int | None,
        options: Sequence[float] = (),
    ) -> None:
        n, mask = len(state), (1 << 64) - 1
        seen = np.uint8 if name == "Catch" else np.float32
        self._shape, self._seen = (n, *shape), seen
        padded = [float(x) for x in options] + [0.0] * (4 - len(options))
        if len(padded) != 4:
            raise KernelError(f"there are at most 4 options, got {len(options)}")
        own = tuple(_shared(array) for array in (state, clock, episode))
        dtype = torch.uint8 if name == "Catch" else torch.float32
        self._given = (name, limit or 0, seed & mask, first & mask, *padded, dtype, *own)
        size = n * (2 * math.prod(shape) * np.dtype(seen).itemsize + 6)
        self._rows = max(1, min(_ROWS, _BUDGET // max(size, 1)))
        self._answers = self._renew()
        self._row = 0
        self._take = _steps[KINDS[name] in _CONTINUOUS]

    def reset(self) -> Tensor:
        """Begin a new episode everywhere; the first observations."""
        answers, row = self._next()
        status = _reset(answers.address, row, self._rows)
        assert status == 0, f"the library refused to begin ({status})"
        self._row = row + 1
        return answers.steps[row].observation

    def step(self, action: Tensor) -> Step | int:
        """Take actions, (n,) int64 or (n, 1) float32.

        Returns:
            The answers; or the number of the first environment that has no such action, and then
            nothing has been done.

        Raises:
            KernelError: The actions are of another shape or type, or a state is none of this
                environment's; nothing has been done.
        """
        row = self._row
        answers = self._answers
        if row == self._rows:
            answers, row = self._next()
        status: int = self._take(answers.address, self._shape[0], row, self._rows, action)
        if status:
            if status < 0:
                raise KernelError("a state is none of this environment's")
            return status - 1
        self._row = row + 1
        return answers.steps[row]

    def _next(self) -> tuple[_Answers, int]:
        """Where the next answer goes."""
        if self._row == self._rows:
            self._answers, self._row = self._renew(), 0
        return self._answers, self._row

    def _renew(self) -> _Answers:
        """Make the tensors of the next steps ready."""
        rows, n = self._rows, self._shape[0]
        arrays = (
            np.empty((rows, *self._shape), self._seen),
            np.empty((rows, n), np.float32),
            np.empty((rows, n), np.bool_),
            np.empty((rows, n), np.bool_),
            np.empty((rows, *self._shape), self._seen),
        )
        flat = (a if a.ndim == 2 else a.reshape(rows, n, -1) for a in arrays)
        structure = _environments(*self._given, *map(torch.from_numpy, flat))
        assert structure is not None, "ask environments_usable() first"
        # Each a tensor of its own rather than a view of one: saved alone it is as small as it
        # looks, and autograd counts changes of each by itself.
        columns = (map(torch.from_numpy, array) for array in arrays)
        steps = [Step(*row) for row in zip(*columns, strict=True)]
        return _Answers(structure, memory_of(structure), steps)


def _shared(array: NDArray[Any]) -> Tensor:
    """The memory of an array that the library reads and writes."""
    if not array.flags.writeable or not array.flags.c_contiguous:
        raise KernelError("arrays of environments must be contiguous and open to writing")
    return torch.from_numpy(array)
