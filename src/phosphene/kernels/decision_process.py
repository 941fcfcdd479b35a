"""A finite decision process as kernels take it: its outcomes in rows, looked at once."""

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phosphene.core.errors import KernelError
from phosphene.kernels.declaration import Array, Kernel, Range, Real, Rule, Size
from phosphene.kernels.gate import gate

__all__ = ["RISE", "SPACE", "TABLES", "Floats", "Integers", "Process", "dense", "tensor_of"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
SPACE = (Size("S"), Size("A"))
TABLES = (
    *SPACE,
    Array("indptr", ("S*A + 1",), "int64"),
    Array("next", ("K",), "int32"),
    Array("weight", ("K",), "float64"),
    Array("rewards", ("S", "A"), "float64"),
    Real("gamma", -1e30, 1e30),
)
RISE = "int(indptr[0]) == 0 and int(indptr[-1]) == K and bool((indptr[1:] {} indptr[:-1]).all())"
_process = gate(
    Kernel(
        "dp",
        TABLES,
        rules=(
            Rule(RISE.format(">"), "indptr must rise from 0 to {K}, and no row be empty"),
            Range("next", "0", "S"),
        ),
    ),
    "dp_process",
)


@dataclass(frozen=True)
class Process:
    """A finite decision process, its outcomes in rows s * actions + a; no row is empty.

    Args:
        states: How many.
        actions: How many.
        indptr: (states * actions + 1,), int64.
        next: int32, one for each outcome.
        weight: Its probability, 0 where nothing follows.
        rewards: (states, actions).
        gamma: The discount.

    What is given is looked at once, here: the process holds it read-only.

    Raises:
        KernelError: A shape or a type is not as said here, or a next state does not exist.
    """

    states: int
    actions: int
    indptr: Integers
    next: NDArray[np.int32]
    weight: Floats
    rewards: Floats
    gamma: float
    arguments: tuple[Any, ...] = field(init=False, repr=False, compare=False)
    """As kernels take them."""

    def __post_init__(self) -> None:
        tables = []
        for name in ("indptr", "next", "weight", "rewards"):
            array = dense(getattr(self, name)).view()
            tables.append(tensor_of(array))
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        arguments = (self.states, self.actions, *tables, self.gamma)
        _process(*arguments)
        for name, kind in (("states", int), ("actions", int), ("gamma", float)):
            object.__setattr__(self, name, kind(getattr(self, name)))
        object.__setattr__(self, "arguments", arguments)

    def q(self, v: Floats) -> Floats:
        """(states, actions): r + gamma sum of weight times v, in numpy."""
        total = np.add.reduceat(self.weight * v[self.next], self.indptr[:-1])
        return self.rewards + self.gamma * total.reshape(self.states, self.actions)


def dense(array: Any) -> NDArray[Any]:
    """The array without gaps, of the shape that it has."""
    given = np.asarray(array)
    return np.ascontiguousarray(given).reshape(given.shape)  # alone it makes a row of a number


def tensor_of(array: NDArray[Any]) -> Tensor:
    """The array's memory as a tensor; kernels write only to arrays that were made for them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        try:
            return torch.from_numpy(array)
        except (TypeError, ValueError) as error:
            raise KernelError(f"tables must be arrays of numbers: {error}") from None
