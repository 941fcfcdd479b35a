"""A torus by its signed distance: slope 1 (Hart, 1996), and the volume of Pappus."""

from collections.abc import Callable

import torch
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.learning.mathematics.torus import enclosed_volume, torus_distance, torus_volume
from phosphene.proofs.proof import Proof, Wrong, above, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "f(p) = sqrt((sqrt(x^2 + y^2) - R)^2 + z^2) - r is the signed distance to the torus: |grad "
    "f| = 1 away from its circle and axis, f = 0 on the surface, and f < 0 encloses 2 pi^2 R r^2."
)
_MAJOR, _MINOR = 1.0, 0.35

Field = Callable[[Tensor, float, float], Tensor]


def prove(seed: int = 0, *, formula: Field = torus_distance) -> Proof:
    """Compare with the nearest of many points of the surface, slopes with 1, and the volume.

    Args:
        seed: Of the points.
        formula: The distance of points from a torus of radii R and r.

    Example:
        >>> prove().holds
        True
    """
    points = 1.5 * torch.randn(400, 3, generator=generator(seed), dtype=torch.float64)
    at = points.clone().requires_grad_()
    distance = formula(at, _MAJOR, _MINOR)
    slope = torch.autograd.grad(distance.sum(), at)[0]
    distance = distance.detach()
    surface = _surface(300, 300)
    nearest = torch.cdist(points, surface).amin(1)
    volume = enclosed_volume(_MAJOR, _MINOR, distance=formula)
    rows = [
        below(
            "| |grad f| - 1 | at 400 points, worst",
            (torch.linalg.vector_norm(slope, dim=1) - 1).abs().max(),
            1e-10,
        ),
        below(
            "|f| on the surface, worst of 90,000 points",
            formula(surface, _MAJOR, _MINOR).abs().max(),
            1e-12,
        ),
        above(
            "distance of the nearest of them, less |f|, least",
            (nearest - distance.abs()).min(),
            0.0,
            1e-12,
        ),
        below("the same, most: they are 0.02 apart", (nearest - distance.abs()).max(), 0.02),
        equal(
            "volume where f < 0, on a grid, over 2 pi^2 R r^2",
            volume / torus_volume(_MAJOR, _MINOR),
            1,
            1e-3,
        ),
        equal(
            "f at the center, R - r",
            formula(torch.zeros(1, 3).double(), _MAJOR, _MINOR)[0],
            _MAJOR - _MINOR,
            1e-12,
        ),
    ]
    line = torch.linspace(-2, 2, 201, dtype=torch.float64)
    ray = torch.stack((line, 0 * line, 0 * line), 1)
    figure = {"x": line, "f along the x axis": formula(ray, _MAJOR, _MINOR)}
    return Proof("torus-distance", "The torus", _STATEMENT, rows, figure)


def _surface(around: int, across: int) -> Tensor:
    u = torch.arange(around, dtype=torch.float64) * 2 * torch.pi / around
    v = torch.arange(across, dtype=torch.float64) * 2 * torch.pi / across
    u, v = torch.meshgrid(u, v, indexing="ij")
    ring = _MAJOR + _MINOR * v.cos()
    return torch.stack((ring * u.cos(), ring * u.sin(), _MINOR * v.sin()), -1).reshape(-1, 3)


def _polynomial(points: Tensor, major: float, minor: float) -> Tensor:
    rho = torch.linalg.vector_norm(points[..., :2], dim=-1)
    found: Tensor = (rho - major).square() + points[..., 2].square() - minor**2
    return found


WRONG = Wrong(
    "f = (sqrt(x^2 + y^2) - R)^2 + z^2 - r^2: the same surface, but no distance: its slope is "
    "not 1",
    {"formula": _polynomial},
)
