"""Roots without derivatives: the secant method, and a bracketed one that cannot run away.

    x_{k+1} = x_k - f(x_k) (x_k - x_{k-1}) / (f(x_k) - f(x_{k-1}))

Near a simple root the error obeys e_{k+1} ~ C e_k e_{k-1}, so that e_{k+1} ~ c e_k^phi with
phi^2 = phi + 1, phi = 1.618 (Ostrowski, 1966). Far from one, or where f is flat, it may jump
anywhere. The false position keeps two points between which f changes sign; the Illinois rule halves
the value at a point that was kept twice, without which one end would never move (Dowell and
Jarratt, 1971). Renderers of implicit surfaces need the bracketed one.
"""

import math
from collections.abc import Callable
from typing import Any, TypeVar

from phosphene.core.errors import ConfigError, DataError

__all__ = ["false_position", "secant", "secant_step"]

N = TypeVar("N", bound=float)  # anything that is added, multiplied and divided as numbers are


def secant_step(a: N, b: N, fa: N, fb: N) -> N:
    """Where the line through (a, f(a)) and (b, f(b)) is 0: b - f(b) (b - a) / (f(b) - f(a)).

    Raises:
        DataError: f(a) = f(b): that line is flat.

    Example:
        >>> secant_step(0.0, 1.0, -1.0, 3.0)
        0.25
    """
    if fa == fb:
        raise DataError(f"f is {fa} at both {a} and {b}: the secant is flat, and meets 0 nowhere")
    return b - fb * (b - a) / (fb - fa)  # type: ignore[return-value]


def secant(
    f: Callable[[N], N],
    a: N,
    b: N,
    *,
    tolerance: Any = 1e-14,
    steps: int = 50,
    step: Callable[[N, N, N, N], N] = secant_step,
) -> list[N]:
    """The iterates of the secant method, the two first ones included.

    Args:
        f: Of numbers: floats, or decimals of any precision.
        a: One point.
        b: Another.
        tolerance: Stop when a step is as short, relative to the iterate.
        steps: The most steps.
        step: The formula.

    Raises:
        DataError: Two iterates have the same f.

    Example:
        >>> round(secant(lambda x: x**3 - 2, 1.0, 2.0)[-1], 12)
        1.259921049895
    """
    found = [a, b]
    fa, fb = f(a), f(b)
    for _ in range(steps):
        if fb == 0:
            break
        found.append(step(a, b, fa, fb))
        a, fa, b = b, fb, found[-1]
        if abs(b - a) <= tolerance * abs(b):
            break
        fb = f(b)
    return found


def false_position(
    f: Callable[[float], float],
    a: float,
    b: float,
    *,
    tolerance: float = 1e-14,
    steps: int = 200,
) -> list[float]:
    """The iterates of the false position with the Illinois rule; each lies between a and b.

    Args:
        f: Continuous, with f(a) and f(b) of different sign.
        a: One end.
        b: The other.
        tolerance: Stop when the bracket, or a step, is as short, relative to the iterate.
        steps: The most steps.

    Raises:
        ConfigError: f has the same sign at both ends: there may be no root between.

    Example:
        >>> round(false_position(lambda x: x**3 - 2, 1.0, 2.0)[-1], 12)
        1.259921049895
    """
    fa, fb = f(a), f(b)
    if not (math.isfinite(fa) and math.isfinite(fb)) or fa * fb > 0:
        raise ConfigError(
            f"a bracket needs a change of sign, and f is {fa:.3g} at {a:g} and {fb:.3g} at {b:g}"
        )
    found = []
    side = 0
    for _ in range(steps):
        if fa == 0 or fb == 0:
            found.append(a if fa == 0 else b)
            break
        x = secant_step(a, b, fa, fb)
        # Rounding, or ends of very different height, may put it on an end: then halve.
        x = x if min(a, b) < x < max(a, b) else (a + b) / 2
        found.append(x)
        fx = f(x)
        close = abs(b - a) <= tolerance * abs(x) or (
            len(found) > 1 and abs(x - found[-2]) <= tolerance * abs(x)
        )
        if fx == 0 or close:
            break
        if fx * fb > 0:
            b, fb = x, fx
            fa = fa / 2 if side == 1 else fa
            side = 1
        else:
            a, fa = x, fx
            fb = fb / 2 if side == -1 else fb
            side = -1
    return found
