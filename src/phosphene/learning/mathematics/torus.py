"""The torus as the zeros of its signed distance, sqrt((sqrt(x^2 + y^2) - R)^2 + z^2) - r.

The nearest point of the circle of radius R in the plane z = 0 is sqrt((rho - R)^2 + z^2) away, with
rho = sqrt(x^2 + y^2), and the surface is r away from that circle. A distance has a gradient of
length 1 (the eikonal equation), away from the circle and the axis. The volume is 2 pi^2 R r^2: the
disk's area times the way of its center (Pappus). Distances let a ray take long steps safely (Hart,
1996).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError

__all__ = ["enclosed_volume", "torus_distance", "torus_volume"]


def torus_distance(points: Tensor, major: float, minor: float) -> Tensor:
    """Signed distances (...) of points (..., 3), negative inside.

    Args:
        points: (..., 3).
        major: R, from the center to the middle of the tube.
        minor: r, of the tube, below R.

    Raises:
        ConfigError: r is not between 0 and R.

    Example:
        >>> points = torch.tensor([[3.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
        >>> torus_distance(points, 2.0, 0.5)
        tensor([ 0.5000, -0.5000,  1.5000])
    """
    _check(major, minor)
    rho = torch.linalg.vector_norm(points[..., :2], dim=-1)
    return torch.hypot(rho - major, points[..., 2]) - minor


def torus_volume(major: float, minor: float) -> float:
    """2 pi^2 R r^2.

    Example:
        >>> round(torus_volume(2.0, 0.5), 4)
        9.8696
    """
    _check(major, minor)
    return 2 * math.pi**2 * major * minor**2


def enclosed_volume(
    major: float,
    minor: float,
    cells: int = 96,
    *,
    distance: Callable[[Tensor, float, float], Tensor] = torus_distance,
) -> float:
    """The volume where the distance is negative, by a grid over the torus.

    A cell whose center is d from the surface counts clamp(1/2 - d / h, 0, 1), h being its edge: the
    part that a plane at that distance cuts off.

    Args:
        major: R.
        minor: r.
        cells: Along the longer axes.
        distance: Of points from the surface.
    """
    edge = 2.2 * (major + minor) / cells
    flat = (torch.arange(cells, dtype=torch.float64) + 0.5) * edge - 1.1 * (major + minor)
    high = flat[flat.abs() < minor + 2 * edge]
    grid = torch.stack(torch.meshgrid(flat, flat, high, indexing="ij"), -1)
    inside = (0.5 - distance(grid, major, minor) / edge).clamp(0, 1)
    return float(inside.sum()) * edge**3


def _check(major: float, minor: float) -> None:
    if not 0 < minor < major:
        raise ConfigError(
            f"minor radius must be above 0 and below the major one, {major:g}, got {minor:g}"
        )
