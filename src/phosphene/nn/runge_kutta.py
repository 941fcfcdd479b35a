"""Explicit Runge-Kutta methods: their tables, and one step of each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = [
    "DOPRI5",
    "TABLEAUS",
    "Step",
    "Tableau",
    "Velocity",
    "beside",
    "equal_steps",
    "mix",
    "take_step",
]

Velocity = Callable[[Tensor, Tensor], Tensor]
"""v(y, t): y is (n, ...), t is (n,), the result is like y."""


@dataclass(frozen=True)
class Tableau:
    """An explicit Runge-Kutta method: k_i = v(y + h sum_j a_ij k_j, t + c_i h), y + h sum b_i k_i.

    ``error`` is b less the weights of an embedded method of one order less, which also uses
    v(y + h sum b_i k_i, t + h), the first stage of the next step.
    """

    order: int
    nodes: tuple[float, ...]
    rows: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]
    error: tuple[float, ...] = ()


DOPRI5 = Tableau(
    5,
    (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0),
    (
        (1 / 5,),
        (3 / 40, 9 / 40),
        (44 / 45, -56 / 15, 32 / 9),
        (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
        (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    ),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
    (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40),
)

TABLEAUS: dict[str, Tableau] = {
    "dopri5": DOPRI5,
    "rk4": Tableau(
        4, (0.5, 0.5, 1.0), ((0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6)
    ),
    "heun": Tableau(2, (1.0,), ((1.0,),), (0.5, 0.5)),
    "euler": Tableau(1, (), (), (1.0,)),
}


class Step(NamedTuple):
    """Where one step led: y, the slopes k_i, and the points (y, t) at which they were taken."""

    y: Tensor
    slopes: list[Tensor]
    points: list[tuple[Tensor, Tensor]]


def take_step(
    velocity: Velocity,
    tableau: Tableau,
    y: Tensor,
    t: Tensor,
    h: Tensor,
    first: Tensor | None = None,
) -> Step:
    """One step of size h (n,) from time t (n,); ``first`` is v(y, t) where it is known."""
    step = beside(h, y)
    slopes, points = [velocity(y, t) if first is None else first], [(y, t)]
    for c, row in zip(tableau.nodes, tableau.rows, strict=True):
        point, when = y + step * mix(slopes, row), t + c * h
        slopes.append(velocity(point, when))
        points.append((point, when))
    return Step(y + step * mix(slopes, tableau.weights), slopes, points)


def beside(h: Tensor, y: Tensor) -> Tensor:
    """Sizes (n,) that multiply y (n, ...)."""
    return h.view(-1, *[1] * (y.dim() - 1))


def mix(slopes: list[Tensor], weights: tuple[float, ...]) -> Tensor:
    """The sum of w_i k_i, by one product."""
    if len(slopes) == 1:
        return slopes[0] * weights[0]
    like = slopes[0]
    return torch.stack(slopes, -1) @ _numbers(weights, like.dtype, like.device)


@cache
def _numbers(weights: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.tensor(weights, dtype=dtype, device=device)


def equal_steps(y: Tensor, t0: float, t1: float, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Times and sizes (n,) of so many steps from t0 to t1."""
    size = (t1 - t0) / steps
    h = torch.full((len(y),), size, dtype=y.dtype, device=y.device)
    for k in range(steps):
        yield torch.full_like(h, t0 + k * size), h
