"""Universal approximation: one hidden layer suffices, if its activation is no polynomial.

    g(x) = sum_k c_k f(w_k x + b_k) + c_0

comes as near as one likes to any continuous function on a closed interval, with enough units, if
and only if f is not a polynomial (Leshno, Lin, Pinkus and Schocken, 1993; Cybenko, 1989, and
Hornik, 1991, for sigmoids). That f is not *linear* is not enough: with f(x) = x^2, g is a parabola,
whatever its width.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError
from phosphene.core.rng import generator

__all__ = ["HiddenLayer", "fitted", "interpolating_relus"]

Function = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class HiddenLayer:
    """g(x) = sum_k c_k f(w_k x + b_k) + c_0, of one variable.

    Args:
        f: The activation.
        slopes: w (units,).
        shifts: b (units,).
        outer: c (units,).
        level: c_0.
    """

    f: Function
    slopes: Tensor
    shifts: Tensor
    outer: Tensor
    level: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """G at points (n,)."""
        found: Tensor = self.f(x[:, None] * self.slopes + self.shifts) @ self.outer + self.level
        return found


def interpolating_relus(target: Function, width: int, low: float, high: float) -> HiddenLayer:
    """A layer of ReLUs that meets the target at ``width + 1`` points and is straight between them.

    Unit k begins at knot x_k, and its outer weight is the change of slope there. Where the target's
    second derivative is at most M, it is nowhere further off than M h^2 / 8, with h = (high - low)
    / width: this is the theorem for ReLUs, with a rate.

    Args:
        target: A function of points (n,).
        width: Hidden units.
        low: Of the interval.
        high: Above ``low``.

    Raises:
        ConfigError: The width is below 1, or the interval is empty.

    Example:
        >>> layer = interpolating_relus(torch.square, 2, 0.0, 1.0)
        >>> layer(torch.tensor([0.0, 0.25, 1.0]))
        tensor([0.0000, 0.1250, 1.0000], dtype=torch.float64)
    """
    _check(width, low, high)
    knots = torch.linspace(low, high, width + 1, dtype=torch.float64)
    values = target(knots)
    slope = values.diff() / knots.diff()
    outer = torch.cat((slope[:1], slope.diff()))
    return HiddenLayer(torch.relu, torch.ones_like(outer), -knots[:-1], outer, values[0])


def fitted(
    target: Function,
    f: Function,
    width: int,
    low: float,
    high: float,
    *,
    points: int = 1000,
    seed: int = 0,
) -> HiddenLayer:
    """A layer with random inner weights and least-squares outer ones: no descent, no local optimum.

    The units turn at places spread over the interval, with random slopes that grow with the width.

    Args:
        target: A function of points (n,).
        f: The activation.
        width: Hidden units.
        low: Of the interval.
        high: Above ``low``.
        points: Where the squares are taken.
        seed: Of the inner weights.

    Raises:
        ConfigError: The width is below 1, or the interval is empty.
    """
    _check(width, low, high)
    g = generator(seed, width)
    places = low + (high - low) * torch.rand(width, generator=g, dtype=torch.float64)
    size = 4 * max(width, 4) ** 0.5 / (high - low)
    slopes = size * torch.randn(width, generator=g, dtype=torch.float64)
    x = torch.linspace(low, high, points, dtype=torch.float64)
    units = torch.cat((f(slopes * (x[:, None] - places)), torch.ones(points, 1).double()), 1)
    # Columns of length 1, so that what is cut off as rounding is so in every column alike.
    long = torch.linalg.vector_norm(units, dim=0).clamp(min=1e-300)
    solved = torch.linalg.lstsq(units / long, target(x)[:, None], rcond=1e-13, driver="gelsd")
    c = solved.solution[:, 0] / long
    return HiddenLayer(f, slopes, -slopes * places, c[:-1], c[-1])


def _check(width: int, low: float, high: float) -> None:
    if width < 1:
        raise ConfigError(f"width must be at least 1, got {width}")
    if not low < high:
        raise ConfigError(f"the interval must have low < high, got {low:g} and {high:g}")
