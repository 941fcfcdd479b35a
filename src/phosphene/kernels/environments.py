"""Steps of native environments: one call of the library for all of them, and their random numbers.

What an environment does is written down, readable, in ``phosphene.decision.environments``; here is
only the way into the library, and the generator that both share.
"""

import ctypes
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phosphene.core.environment import Step
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
    """Whether the library is there and holds environments."""
    library = backend().library
    return library is not None and hasattr(library, "ph_environments_step_f64")


class _Environments(ctypes.Structure):
    """What stays the same from step to step; mirrors the struct of environments.cpp."""

    _fields_ = [
        ("kind", ctypes.c_int64),
        ("n", ctypes.c_int64),
        ("limit", ctypes.c_int64),
        ("seed", ctypes.c_uint64),
        ("first", ctypes.c_uint64),
        ("option", ctypes.c_double * 4),
        ("state", ctypes.c_void_p),
        ("clock", ctypes.c_void_p),
        ("episode", ctypes.c_void_p),
        ("observation", ctypes.c_void_p),
        ("reward", ctypes.c_void_p),
        ("terminated", ctypes.c_void_p),
        ("truncated", ctypes.c_void_p),
        ("next", ctypes.c_void_p),
    ]


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
        library = backend().library
        assert library is not None, "ask environments_usable() first"
        n, mask = len(state), (1 << 64) - 1
        for array, kind, size in ((state, "f8", state.shape), (clock, "i8", n), (episode, "i8", n)):
            assert array.dtype == kind, "not of the type that the library reads"
            assert array.flags.c_contiguous, "not as the library reads it"
            assert array.shape == (size if isinstance(size, tuple) else (size,)), "sizes differ"
        self._kept = (state, clock, episode)  # the library holds their addresses
        self._shape = (n, *shape)
        self._seen = np.uint8 if name == "Catch" else np.float32
        self._struct = _Environments(
            kind=KINDS[name],
            n=n,
            limit=limit or 0,
            seed=seed & mask,
            first=first & mask,
            option=(ctypes.c_double * 4)(*options),
            state=state.ctypes.data,
            clock=clock.ctypes.data,
            episode=episode.ctypes.data,
        )
        self._address = ctypes.addressof(self._struct)
        self._step = library.ph_environments_step_f64
        self._reset = library.ph_environments_reset_f64
        for function in (self._step, self._reset):
            function.restype = ctypes.c_int64
        self._step.argtypes = (ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)
        self._reset.argtypes = (ctypes.c_void_p, ctypes.c_int64)
        size = n * (2 * math.prod(shape) * np.dtype(self._seen).itemsize + 6)
        self._rows = max(1, min(_ROWS, _BUDGET // size))
        self._row, self._answers = self._rows, list[Step]()

    def reset(self) -> Tensor:
        """Begin a new episode everywhere; the first observations."""
        row = self._row
        if row == self._rows:
            row = self._renew()
        status = self._reset(self._address, row)
        assert status == 0, f"the library refused to begin ({status})"
        self._row = row + 1
        return self._answers[row].observation

    def step(self, action: Tensor) -> Step | int:
        """Take actions, contiguous, (n,) int64 or (n, d) float32.

        Returns:
            The answers; or the number of the first environment that has no such action, and then
            nothing has been done.
        """
        row = self._row
        if row == self._rows:
            row = self._renew()
        status: int = self._step(self._address, row, action.data_ptr())
        if status:
            assert status > 0, f"the library knows no environment {self._struct.kind}"
            return status - 1
        self._row = row + 1
        return self._answers[row]

    def _renew(self) -> int:
        """Make the tensors of the next steps ready; the first row is 0."""
        rows, n = self._rows, self._shape[0]
        arrays = (
            np.empty((rows, *self._shape), self._seen),
            np.empty((rows, n), np.float32),
            np.empty((rows, n), np.bool_),
            np.empty((rows, n), np.bool_),
            np.empty((rows, *self._shape), self._seen),
        )
        names = ("observation", "reward", "terminated", "truncated", "next")
        for name, array in zip(names, arrays, strict=True):
            setattr(self._struct, name, array.ctypes.data)
        # Each a tensor of its own rather than a view of one: saved alone it is as small as it
        # looks, and autograd counts changes of each by itself.
        columns = (map(torch.from_numpy, array) for array in arrays)
        self._answers = [Step(*row) for row in zip(*columns, strict=True)]
        return 0
