"""Solvers of the probability flow: Euler's, the midpoint and Heun's."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from phosphene.core.errors import UnknownNameError
from phosphene.generative.diffusion.level import Level
from phosphene.generative.diffusion.samplers.table import Row, Table

__all__ = ["COORDINATES", "euler", "heun", "midpoint"]

_Coordinate = Callable[[Level[float]], tuple[float, float]]

COORDINATES: dict[str, _Coordinate] = {
    "ratio": lambda level: (1 / level.alpha, level.sigma / level.alpha),
    "straight": lambda level: (
        1 / (level.alpha + level.sigma),
        level.sigma / (level.alpha + level.sigma),
    ),
}
"""k and u at a level: solvers take straight steps of k x over u.

``ratio`` is x / alpha over sigma / alpha (Karras et al., 2022), in which the flow's slope is eps;
``straight`` is x / (alpha + sigma) over sigma / (alpha + sigma), in which it is eps - D, and which
is finite where alpha is 0.
"""


def euler(levels: Sequence[Level[float]]) -> Table:
    """x_t = (sigma_t / sigma_s) x_s + (alpha_t - alpha_s sigma_t / sigma_s) D.

    Euler's method, which holds eps and D for a step: the same in either coordinate, and DDIM
    without noise. On straight paths it is x + (t - s) v.

    Example:
        >>> euler([Level(1.0, 0.0, 1.0), Level(0.5, 0.5, 0.5)]).rows[0][2:4]
        (0.5, 0.5)
    """
    return Table([Row(s, t, *_line(s, t)) for s, t in pairwise(levels)])


def heun(levels: Sequence[Level[float]], *, coordinate: str = "ratio") -> Table:
    """Euler's step, then one by the mean of the slopes at both ends (Karras et al., 2022).

    A step that ends at the data is Euler's: there is no slope at its end. So N steps ask 2N - 1
    times.

    Args:
        levels: From noise to data.
        coordinate: One of ``COORDINATES``.

    Raises:
        UnknownNameError: There is no such coordinate.
    """
    return _two_stage(levels, lambda s, t: t, coordinate)


def midpoint(
    levels: Sequence[Level[float]],
    middle: Callable[[Level[float], Level[float]], Level[float]],
    *,
    coordinate: str = "straight",
) -> Table:
    """Half a step by the slope at its start, then the whole step by the slope there.

    Where the middle in time is not that of the coordinate, the two slopes are weighted so that the
    method keeps its order, 2 (Ralston, 1962). N steps ask 2N times.

    Args:
        levels: From noise to data.
        middle: The level halfway between two.
        coordinate: One of ``COORDINATES``.
    """
    return _two_stage(levels, middle, coordinate)


def _two_stage(
    levels: Sequence[Level[float]],
    at: Callable[[Level[float], Level[float]], Level[float]],
    coordinate: str,
) -> Table:
    if coordinate not in COORDINATES:
        raise UnknownNameError("coordinate", coordinate, COORDINATES)
    place = COORDINATES[coordinate]
    rows: list[Row] = []
    for s, t in pairwise(levels):
        inner = at(s, t)
        if inner.sigma in (0.0, s.sigma):  # it ends at the data, or begins beside them
            rows.append(Row(s, t, *_line(s, t)))
            continue
        (ks, us), (_, ui), (kt, ut) = place(s), place(inner), place(t)
        to_x, to_data = _line(s, inner)
        rows.append(Row(s, inner, to_x, to_data, whole=False))
        second = (ut - us) / (2 * (ui - us))  # the weight of the inner slope
        first = 1 - second
        (a, b), (c, d) = _slope(s, coordinate), _slope(inner, coordinate)
        h = ut - us
        # k_t x_t = k_s x_s + h (first (a x_s + b D) + second (c x_i + d D_i)), x_s by x_i and D.
        of_s = ks + h * first * a
        of_inner = h * second * c + of_s / to_x
        of_first = h * first * b - of_s * to_data / to_x
        rows.append(Row(inner, t, of_inner / kt, h * second * d / kt, of_first / kt))
    return Table(rows)


def _line(s: Level[float], t: Level[float]) -> tuple[float, float]:
    """Of x and D in the step that holds eps and D."""
    of_x = t.sigma / s.sigma
    return of_x, t.alpha - s.alpha * of_x


def _slope(level: Level[float], coordinate: str) -> tuple[float, float]:
    """Of x and D in the slope of k x over u: eps, or eps - D, where eps = (x - alpha D) / sigma."""
    of_x, of_data = 1 / level.sigma, -level.alpha / level.sigma
    return of_x, of_data - (coordinate == "straight")
