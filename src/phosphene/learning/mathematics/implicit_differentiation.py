"""Derivatives of what an equation defines: F(x, y(x)) = 0 gives dy/dx = -(dF/dy)^-1 dF/dx.

On the circle x^2 + y^2 = r^2 it is -x / y. Differentiable volumetric rendering (Niemeyer et al.,
2020) differentiates so through the depth t at which a ray o + t w meets the surface of a field:

    f(o + t w; theta) = level   =>   dt / dtheta = -(df / dtheta) / (grad f . w)

No step of the search for t is differentiated, and none is remembered.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from phosphene.core.errors import DataError

__all__ = ["depth_gradient", "implicit_derivative"]


def implicit_derivative(
    equation: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor
) -> Tensor:
    """-(dF/dy)^-1 dF/dx where F(x, y) = 0.

    Args:
        equation: F, from (n,) and (m,) to (m,).
        x: What y is a function of (n,).
        y: A solution (m,).

    Returns:
        dy/dx (m, n).

    Raises:
        DataError: dF/dy has no inverse: near x, the equation does not say what y is.

    Example:
        >>> circle = lambda x, y: x**2 + y**2 - 25
        >>> implicit_derivative(circle, torch.tensor([3.0]), torch.tensor([4.0]))
        tensor([[-0.7500]])
    """
    by_x, by_y = torch.autograd.functional.jacobian(equation, (x, y))
    found, info = torch.linalg.solve_ex(by_y, by_x)
    if int(info) != 0 or not bool(found.isfinite().all()):
        raise DataError("dF/dy has no inverse here: the equation does not say what y is near x")
    slope: Tensor = -found
    return slope


def depth_gradient(
    field: Callable[..., Tensor],
    parameters: Sequence[Tensor],
    origin: Tensor,
    direction: Tensor,
    depth: Tensor,
) -> tuple[Tensor, ...]:
    """The gradient of the depth at which a ray meets a surface, for each parameter of the field.

    Args:
        field: f(point, *parameters), a number.
        parameters: theta, each of any shape.
        origin: o (3,).
        direction: w (3,).
        depth: t, where the field is at its level.

    Raises:
        DataError: The ray touches the surface along itself: grad f . w is 0.

    Example:
        >>> sphere = lambda p, radius: torch.linalg.vector_norm(p) - radius
        >>> towards, at = torch.tensor([0.0, 0.0, -3.0]), torch.tensor([0.0, 0.0, 1.0])
        >>> depth_gradient(sphere, [torch.tensor(1.0)], towards, at, torch.tensor(2.0))
        (tensor(-1.),)
    """
    point = (origin + depth * direction).detach().requires_grad_()
    theta = [p.detach().requires_grad_() for p in parameters]
    with torch.enable_grad():
        slope, *by_theta = torch.autograd.grad(field(point, *theta), [point, *theta])
    along = slope @ direction
    if float(along) == 0.0:
        raise DataError("the ray does not cross the surface: the field's slope along it is 0")
    return tuple(-g / along for g in by_theta)
