"""Derivatives of what an equation defines: a circle, three unknowns, and the depth of a ray."""

from collections.abc import Callable

import torch
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.learning.mathematics.implicit_differentiation import (
    depth_gradient,
    implicit_derivative,
)
from phosphene.learning.mathematics.secant import false_position
from phosphene.proofs.proof import Proof, Wrong, below

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "F(x, y(x)) = 0 gives dy/dx = -(dF/dy)^-1 dF/dx; on x^2 + y^2 = r^2 it is -x / y. Where a ray "
    "o + t w meets f = level, dt/dtheta = -(df/dtheta) / (grad f . w) (Niemeyer et al., 2020)."
)
_Equation = Callable[[Tensor, Tensor], Tensor]
Derivative = Callable[[_Equation, Tensor, Tensor], Tensor]


def prove(seed: int = 0, *, formula: Derivative = implicit_derivative) -> Proof:
    """Compare with known slopes, and with differences of solutions that are found anew.

    The field of the ray is a soft ball with a dent: 1 / (1 + exp(8 (|p - c| - r))) and a wave; its
    surface is found by the bracketed secant of the same chapter.

    Args:
        seed: Of the points.
        formula: dy/dx from the equation and a solution.

    Example:
        >>> prove().holds
        True
    """
    angle = torch.linspace(0.2, 2.9, 20, dtype=torch.float64)
    x, y = 5 * angle.cos(), 5 * angle.sin()
    circle = torch.stack(
        [formula(_circle, a[None], b[None])[0, 0] for a, b in zip(x, y, strict=True)]
    )
    inputs, unknowns = _system(seed)
    found = formula(_three, inputs, unknowns)
    theta = [torch.tensor([0.1, -0.05, 0.2]).double(), torch.tensor(1.0).double()]
    origin, direction = (
        torch.tensor([0.2, 0.1, -3.0]).double(),
        torch.tensor([0.0, 0.1, 1.0]).double(),
    )
    depth = _depth(theta, origin, direction)
    by_center, by_radius = depth_gradient(_field, theta, origin, direction, depth)
    whole = formula(
        lambda t, d: (_field(origin + d * direction, t[:3], t[3]) - 0.5).reshape(1),
        torch.cat((theta[0], theta[1][None])),
        depth[None],
    )[0]
    differences = _depth_differences(theta, origin, direction)
    rows = [
        below("circle: dy/dx against -x / y, 20 points", _gap(circle, -x / y), 1e-12),
        below(
            "3 equations, 2 inputs: against differences of solutions",
            _gap(found, _differences(inputs, unknowns)),
            1e-6,
        ),
        below(
            "ray: depth by center and radius against differences of depths",
            _gap(whole, differences),
            1e-6,
        ),
        below(
            "ray: the same from -(df/dtheta) / (grad f . w)",
            _gap(torch.cat((by_center, by_radius[None])), whole),
            1e-10,
        ),
    ]
    figure = {"x": angle, "dy/dx": circle, "-x / y": -x / y}
    return Proof("implicit-differentiation", "Implicit differentiation", _STATEMENT, rows, figure)


def _circle(x: Tensor, y: Tensor) -> Tensor:
    return x.square() + y.square() - 25


def _three(x: Tensor, y: Tensor) -> Tensor:
    """Three equations in y (3,), given x (2,)."""
    turned = torch.stack((y[1], y[2], y[0]))
    return y + 0.3 * torch.sin(turned * x[0]) - x[1] * torch.tensor([1.0, 2.0, -1.0]).double()


def _solved(x: Tensor, y: Tensor) -> Tensor:
    """By Newton's method, near y."""
    for _ in range(20):
        jacobian = torch.autograd.functional.jacobian(lambda v: _three(x, v), y)
        y = y - torch.linalg.solve(jacobian, _three(x, y))
    return y


def _system(seed: int) -> tuple[Tensor, Tensor]:
    x = 0.5 + torch.rand(2, generator=generator(seed), dtype=torch.float64)
    return x, _solved(x, torch.zeros(3, dtype=torch.float64))


def _differences(x: Tensor, y: Tensor) -> Tensor:
    h = 1e-5
    steps = h * torch.eye(2, dtype=torch.float64)
    return torch.stack([(_solved(x + s, y) - _solved(x - s, y)) / (2 * h) for s in steps], 1)


def _field(point: Tensor, center: Tensor, radius: Tensor) -> Tensor:
    from_center = point - center
    ball = torch.sigmoid(8 * (radius - torch.linalg.vector_norm(from_center)))
    return ball + 0.1 * torch.sin(3 * from_center[0]) * ball * (1 - ball)


def _depth(theta: list[Tensor], origin: Tensor, direction: Tensor) -> Tensor:
    def gap(t: float) -> float:
        return float(_field(origin + t * direction, *theta)) - 0.5

    return torch.tensor(false_position(gap, 0.5, 3.0)[-1], dtype=torch.float64)


def _depth_differences(theta: list[Tensor], origin: Tensor, direction: Tensor) -> Tensor:
    h, found = 1e-5, []
    for k in range(4):
        ends = []
        for step in (h, -h):
            flat = torch.cat((theta[0], theta[1][None]))
            flat[k] += step
            ends.append(_depth([flat[:3], flat[3]], origin, direction))
        found.append((ends[0] - ends[1]) / (2 * h))
    return torch.stack(found)


def _gap(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())


WRONG = Wrong(
    "dy/dx = (dF/dy)^-1 dF/dx: the sign is lost, and the circle's tangent points outward",
    {"formula": lambda equation, x, y: -implicit_derivative(equation, x, y)},
)
