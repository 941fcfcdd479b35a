"""Two functions of the plane that descent finds hard."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

__all__ = ["Quadratic", "Rosenbrock"]


@dataclass(frozen=True)
class Quadratic:
    """f(x, y) = (x^2 + kappa y^2) / 2: curvatures 1 and kappa, so that steps in y must be short.

    Args:
        kappa: The condition number.
    """

    kappa: float
    start: ClassVar[tuple[float, float]] = (-4.0, 1.5)
    best: ClassVar[tuple[float, float]] = (0.0, 0.0)

    def value(self, p: Tensor) -> Tensor:
        """f of points (..., 2)."""
        return 0.5 * (p[..., 0] ** 2 + self.kappa * p[..., 1] ** 2)

    def gradient(self, p: Tensor) -> Tensor:
        """Of one point (2,)."""
        return p * p.new_tensor([1.0, self.kappa])


@dataclass(frozen=True)
class Rosenbrock:
    """f(x, y) = (1 - x)^2 + 100 (y - x^2)^2 (Rosenbrock, 1960): a bent valley with a flat floor."""

    start: ClassVar[tuple[float, float]] = (-1.2, 1.0)
    best: ClassVar[tuple[float, float]] = (1.0, 1.0)

    def value(self, p: Tensor) -> Tensor:
        """f of points (..., 2)."""
        x, y = p[..., 0], p[..., 1]
        return (1 - x) ** 2 + 100 * (y - x**2) ** 2

    def gradient(self, p: Tensor) -> Tensor:
        """Of one point (2,)."""
        x, y = p.tolist()
        up = 200 * (y - x * x)
        return p.new_tensor([2 * (x - 1) - 2 * x * up, up])
