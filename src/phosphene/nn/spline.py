"""The monotone rational-quadratic spline, as it is written: the page to read.

``spline_pass.py`` computes the same faster; it is tested against :meth:`RationalQuadratic.formula`
and :meth:`RationalQuadratic.inverse_formula`.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from phosphene.core.derivatives import transformed
from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.nn.spline_pass import spline_pass

__all__ = ["RationalQuadratic"]

SlopeName = Literal["softplus", "exp"]


class RationalQuadratic:
    """Increasing quotients of quadratics between K + 1 knots; the identity beyond [-B, B].

    By Gregory and Delbourgo (1982) and Durkan, Bekasov, Murray and Papamakarios (2019). In the bin
    of x, between knots (x0, y0) and (x1, y1) where the slopes are d0 and d1,

        z = (x - x0) / (x1 - x0),    s = (y1 - y0) / (x1 - x0),
        h(x) = y0 + (y1 - y0) (s z^2 + d0 z (1-z)) / (s + (d0 + d1 - 2 s) z (1-z)),
        h'(x) = s^2 (d1 z^2 + 2 s z (1-z) + d0 (1-z)^2) / (s + (d0 + d1 - 2 s) z (1-z))^2.

    Parameters are K for the widths of the bins, K for the heights (both through a softmax, with a
    floor), and K - 1 for the slopes at the inner knots; the outer ones are 1. The inverse takes
    whichever form of the quadratic's root does not cancel, so that no rounding makes it fail.
    First derivatives are computed by hand; higher ones, and ``torch.func``, take the formula.

    Args:
        bins: K.
        bound: B.
        min_width: The smallest width of a bin, as a fraction of 2 B.
        min_height: The smallest height of a bin, as a fraction of 2 B.
        min_slope: The smallest slope at a knot, where slopes are a softplus.
        slopes: ``softplus`` (min_slope + softplus(r + offset)) or ``exp`` (exp(r)).
        offset: What is added to r before the softplus; None for the number that makes the slope 1
            at r = 0, without which zero parameters are not the identity.
        limit: Bends each raw parameter r to r / (1 + |r| / limit), and those of widths and heights
            to twice that bend; 0 for none.

    Raises:
        ConfigError: A setting is out of its range, or nothing keeps a bin from vanishing.
        UnknownNameError: There is no such kind of slopes.

    Example:
        >>> spline = RationalQuadratic(bins=4, bound=2.0)
        >>> x = torch.tensor([-5.0, 0.3, 1.0])
        >>> y, log_slope = spline.forward(x, torch.zeros(3, spline.size))
        >>> torch.allclose(y, x), torch.allclose(log_slope, torch.zeros(3), atol=1e-6)
        (True, True)
    """

    def __init__(
        self,
        bins: int = 8,
        bound: float = 3.0,
        *,
        min_width: float = 1e-3,
        min_height: float = 1e-3,
        min_slope: float = 1e-3,
        slopes: SlopeName = "softplus",
        offset: float | None = None,
        limit: float = 0.0,
    ) -> None:
        if bins < 2:
            raise ConfigError(f"bins must be 2 or more, got {bins}")
        if not bound > 0:
            raise ConfigError(f"the spline's bound must be above 0, got {bound}")
        if limit < 0:
            raise ConfigError(f"the limit of raw parameters must be 0 (none) or more, got {limit}")
        for name, least in (("min_width", min_width), ("min_height", min_height)):
            if not 0 <= least * bins < 1:
                raise ConfigError(f"{name} must lie in [0, 1/bins = {1 / bins:g}), got {least}")
            if least == 0 and limit == 0:
                raise ConfigError(f"{name} is 0 and there is no limit: a bin could vanish")
        if not 0 <= min_slope < 1:
            raise ConfigError(f"min_slope must lie in [0, 1), got {min_slope}")
        if slopes not in ("softplus", "exp"):
            raise UnknownNameError("kind of slopes", slopes, ("softplus", "exp"))
        self.bins, self.bound, self.limit = bins, bound, limit
        self.size = 3 * bins - 1
        self.floors, self.min_slope, self.slopes = (min_width, min_height), min_slope, slopes
        self.unit = math.log(math.expm1(1 - min_slope)) if slopes == "softplus" else 0.0
        self.offset = self.unit if offset is None else offset
        self.made: dict[tuple[torch.device, torch.dtype], tuple[Tensor, Tensor]] = {}
        """What the fast pass has made of the settings, and uses again."""

    def forward(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """h(x) and log h'(x)."""
        params = params.to(x.dtype)
        if transformed():
            return self.formula(x, params)
        return spline_pass(x, params, self, inverse=False)

    def inverse(self, y: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """The x with h(x) = y, and -log h'(x)."""
        params = params.to(y.dtype)
        if transformed():
            return self.inverse_formula(y, params)
        return spline_pass(y, params, self, inverse=True)

    # -- the formula ------------------------------------------------------------------------

    def knots(self, params: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Places x_0..x_K, heights y_0..y_K and slopes d_0..d_K (..., K+1) of raw parameters."""
        width, height, slope = params.split((self.bins, self.bins, self.bins - 1), -1)
        if self.limit:
            width, height = (r / (1 + 2 * r.abs() / self.limit) for r in (width, height))
            slope = slope / (1 + slope.abs() / self.limit)
        x, y = (
            _edges(floor + (1 - self.bins * floor) * r.softmax(-1), self.bound)
            for r, floor in zip((width, height), self.floors, strict=True)
        )
        if self.slopes == "exp":
            d = (slope + self.offset).exp()
        else:
            d = self.min_slope + F.softplus(slope + self.offset)
        return x, y, F.pad(d, (1, 1), value=1.0)

    def formula(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """h(x) and log h'(x), in the letters of the class."""
        inside = x.clamp(-self.bound, self.bound)
        (x0, x1), (y0, y1), (d0, d1) = self._bin(inside, params, of=0)
        z = (inside - x0) / (x1 - x0)
        s = (y1 - y0) / (x1 - x0)
        y = y0 + (y1 - y0) * (s * z**2 + d0 * z * (1 - z)) / (s + (d0 + d1 - 2 * s) * z * (1 - z))
        within = x == inside
        return torch.where(within, y, x), torch.where(within, _slope(z, s, d0, d1).log(), 0.0)

    def inverse_formula(self, y: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """The x with h(x) = y by the root z of a z^2 + b z + c = 0, and -log h'(x)."""
        inside = y.clamp(-self.bound, self.bound)
        (x0, x1), (y0, y1), (d0, d1) = self._bin(inside, params, of=1)
        s = (y1 - y0) / (x1 - x0)
        a = (y1 - y0) * (s - d0) + (inside - y0) * (d0 + d1 - 2 * s)
        b = (y1 - y0) * d0 - (inside - y0) * (d0 + d1 - 2 * s)
        c = -s * (inside - y0)
        # Rounding may leave 0 or less, where a square root has no slope.
        root = (b**2 - 4 * a * c).clamp(min=torch.finfo(y.dtype).tiny).sqrt()
        # z = 2 c / (-b - root) = (root - b) / (2 a): that which adds numbers of one sign.
        z = torch.where(b < 0, root - b, -2 * c) / torch.where(b < 0, 2 * a, b + root)
        z = z + (z.clamp(0, 1) - z).detach()  # what rounding takes out of the bin comes back
        x = x0 + (x1 - x0) * z
        within = y == inside
        return torch.where(within, x, y), torch.where(within, -_slope(z, s, d0, d1).log(), 0.0)

    def _bin(self, inside: Tensor, params: Tensor, *, of: int) -> list[tuple[Tensor, Tensor]]:
        """The knots on both sides: of places, heights and slopes."""
        knots = self.knots(params.expand(*inside.shape, self.size))
        left = (inside[..., None] >= knots[of][..., 1:-1]).sum(-1, keepdim=True)
        return [(k.gather(-1, left).squeeze(-1), k.gather(-1, left + 1).squeeze(-1)) for k in knots]


def _edges(sizes: Tensor, bound: float) -> Tensor:
    """Where bins of these parts of [-B, B] begin and end (..., K+1)."""
    inner = 2 * bound * sizes[..., :-1].cumsum(-1) - bound
    return F.pad(F.pad(inner, (1, 0), value=-bound), (0, 1), value=bound)


def _slope(z: Tensor, s: Tensor, d0: Tensor, d1: Tensor) -> Tensor:
    """h'(x)."""
    above = d1 * z**2 + 2 * s * z * (1 - z) + d0 * (1 - z) ** 2
    return s**2 * above / (s + (d0 + d1 - 2 * s) * z * (1 - z)) ** 2
