"""The monotone rational-quadratic spline, in one pass over its bins and with its own backward."""

import math
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from phosphene.core.derivatives import again_wanted, gradients_again, transformed
from phosphene.core.errors import ConfigError, UnknownNameError

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
        self._sums: dict[tuple[torch.device, torch.dtype], tuple[Tensor, Tensor]] = {}

    def forward(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """h(x) and log h'(x)."""
        return self._at(x, params.to(x.dtype), inverse=False)

    def inverse(self, y: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        """The x with h(x) = y, and -log h'(x)."""
        return self._at(y, params.to(y.dtype), inverse=True)

    def _at(self, x: Tensor, params: Tensor, *, inverse: bool) -> tuple[Tensor, Tensor]:
        if transformed():
            return _evaluated(x, params, self, inverse)[:2]
        return _Spline.apply(x, params, self, inverse)  # type: ignore[no-any-return]

    def sums(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """C (2, K+1, 1) and M (2, K+1, K): knots are C + M p for fractions p of a softmax.

        Knot j is -B + 2 B sum_{i<j} (floor + (1 - K floor) p_i); the first and the last are exact,
        whatever p: their rows of M are zero.
        """
        key = (like.device, like.dtype)
        if key not in self._sums:
            k = self.bins
            floor = torch.tensor(self.floors, dtype=torch.float64)[:, None, None]
            before = torch.ones(k + 1, k, dtype=torch.float64).tril(-1)
            before[k] = 0
            steps = torch.arange(k + 1, dtype=torch.float64)[:, None]
            start = self.bound * (2 * floor * steps - 1)
            start[:, k] = self.bound
            scale = 2 * self.bound * (1 - k * floor)
            found = (start.to(*key), (scale * before).to(*key))
            if transformed():  # what a transform has touched does not outlive it
                return found
            self._sums[key] = found
        return self._sums[key]

    def bent(self, raw: Tensor) -> Tensor:
        """The parameters (3 K - 1, N) that the limit bends, which the network gives raw."""
        return raw / (1 + raw.abs() * self._bend(raw)) if self.limit else raw

    def bent_slope(self, raw: Tensor) -> Tensor:
        """The derivative of :meth:`bent`."""
        return (1 + raw.abs() * self._bend(raw)).square().reciprocal()

    def _bend(self, raw: Tensor) -> Tensor:
        twice = torch.arange(self.size, device=raw.device)[:, None] < 2 * self.bins
        return (1 + twice.to(raw.dtype)) / self.limit

    def knot_slopes(self, raw: Tensor) -> Tensor:
        """d of raw parameters."""
        return raw.exp() if self.slopes == "exp" else self.min_slope + F.softplus(raw)

    def knot_slopes_slope(self, raw: Tensor, slopes: Tensor) -> Tensor:
        """The derivative of :meth:`knot_slopes`."""
        return slopes if self.slopes == "exp" else raw.sigmoid()


class _Bin(NamedTuple):
    """The bin of each x, and h there; each (N,).

    With u = 1 - z: a = s z + d0 u and b = d1 z + s u, so that m = a u + b z is h' s^-2 below^2, and
    h(x) = y0 + h z a / below, below = s + (d0 + d1 - 2 s) z u. All are sums of positive numbers.
    """

    z: Tensor
    s: Tensor
    e: Tensor
    w: Tensor
    h: Tensor
    a: Tensor
    b: Tensor
    m: Tensor
    below: Tensor


class _Spline(torch.autograd.Function):
    """h or its inverse, with the logarithm of the slope; one dimension of bins before N numbers.

    The bins come first since a softmax over few contiguous numbers is an order of magnitude slower
    than one over rows of many.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, params: Tensor, spline: RationalQuadratic, inverse: bool
    ) -> tuple[Tensor, Tensor]:
        y, log_slope, raw, parts = _evaluated(x, params, spline, inverse)
        ctx.save_for_backward(x, params, raw, *parts)
        ctx.spline, ctx.inverted = spline, inverse
        return y, log_slope

    @staticmethod
    def backward(
        ctx: Any, grad_y: Tensor, grad_log: Tensor
    ) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, params, raw, p, ends, at_knots, slopes, outside, *parts = ctx.saved_tensors
        spline, shape = ctx.spline, x.shape
        if again_wanted(grad_y, grad_log):
            grads = gradients_again(
                lambda x, params: _evaluated(x, params, spline, ctx.inverted)[:2],
                (x, params), (grad_y, grad_log), ctx.needs_input_grad[:2],
            )  # fmt: skip
            return grads[0], grads[1], None, None
        outer = grad_y.reshape(-1)
        grad_y = outer.masked_fill(outside, 0)
        grad_log = grad_log.reshape(-1).masked_fill(outside, 0)
        if ctx.inverted:
            grad_log = grad_log.neg_()
        grad_x, g, slope_grads = _gradients(_Bin(*parts), grad_y, grad_log, ctx.inverted)
        grad_x = torch.where(outside, outer, grad_x).view(shape)
        if not ctx.needs_input_grad[1]:
            return grad_x, None, None, None
        k, n = spline.bins, len(outside)
        at_all = g.new_zeros(2, k + 1, n).scatter_(1, ends.expand(2, -1, -1), g)
        grad_p = torch.bmm(spline.sums(g)[1].mT, at_all)
        grad = torch.empty_like(raw)
        shares = grad_p.mul_(p)
        first = grad[: 2 * k].view(2, k, n)
        torch.addcmul(shares, p, shares.sum(1, keepdim=True), value=-1, out=first)
        slope_grads = slope_grads * spline.knot_slopes_slope(at_knots, slopes)
        grad[2 * k :] = g.new_zeros(k + 1, n).scatter_(0, ends, slope_grads)[1:k]
        if spline.limit:
            grad *= spline.bent_slope(raw)
        grad = grad.view(spline.size, *shape).movedim(0, -1)
        return grad_x, grad.sum_to_size(params.shape), None, None


def _evaluated(
    x: Tensor, params: Tensor, spline: RationalQuadratic, inverse: bool
) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, ...]]:
    """y and log-slopes of h or its inverse, raw parameters, and what backward needs.

    Nothing here is written twice, so that it is also the formula that torch differentiates.
    """
    k, shape = spline.bins, x.shape
    x = x.reshape(-1)
    raw = params.expand(*shape, spline.size).movedim(-1, 0).reshape(spline.size, -1)
    bent = spline.bent(raw)
    p = bent[: 2 * k].view(2, k, -1).softmax(1)
    start, total = spline.sums(x)
    knots = torch.baddbmm(start, total, p)
    kept = x.clamp(-spline.bound, spline.bound)
    outside = x != kept
    place = (kept >= knots[int(inverse), 1:k]).sum(0)
    ends = torch.stack((place, place + 1))
    low, high = knots.gather(1, ends.expand(2, -1, -1)).unbind(1)
    edge = bent.new_full((1, len(x)), spline.unit)
    at_knots = torch.cat((edge, bent[2 * k :] + spline.offset, edge)).gather(0, ends)
    slopes = spline.knot_slopes(at_knots)
    here = _bin_of(kept, low, high - low, slopes, inverse)
    log_slope = ((here.s / here.below).square() * here.m).log().masked_fill(outside, 0)
    if inverse:
        log_slope = -log_slope
        y = torch.addcmul(low[0], here.z, here.w)
    else:
        y = torch.addcmul(low[1], here.h, here.z * here.a / here.below)
    y, log_slope = torch.where(outside, x, y).view(shape), log_slope.view(shape)
    return y, log_slope, raw, (p, ends, at_knots, slopes, outside, *here)


def _bin_of(kept: Tensor, low: Tensor, size: Tensor, slopes: Tensor, inverse: bool) -> _Bin:
    """Where x (or y) lies in its bin, of corner (x0, y0), size (w, h) and slopes (d0, d1)."""
    (w, h), (d0, d1) = size, slopes
    s = h / w
    e = torch.sub(d0 + d1, s, alpha=2)
    z = _root(kept - low[1], s, d0, e, h) if inverse else (kept - low[0]) / w
    a, b = torch.lerp(d0, s, z), torch.lerp(s, d1, z)
    below = torch.addcmul(s, e, z * (1 - z))
    return _Bin(z, s, e, w, h, a, b, torch.lerp(a, b, z), below)


def _root(v: Tensor, s: Tensor, d0: Tensor, e: Tensor, h: Tensor) -> Tensor:
    """The z in [0, 1] where h(x) = y0 + v: a root of a z^2 + b z - s v.

    Of the two forms 2 s v / (b + r) and (r - b) / (2 a), r^2 = b^2 + 4 a s v, that is taken which
    adds numbers of one sign. Where b < 0, a > 0 follows: a + b - s v = s (h - v) >= 0.
    """
    move = v * e
    a = torch.addcmul(move, h, s - d0)
    b = h * d0 - move
    c = s * v
    r = torch.addcmul(b * b, a, c, value=4).clamp(min=0).sqrt()
    down = b < 0
    above = torch.where(down, r - b, c + c)
    below = torch.where(down, a + a, b + r)
    return (above / below).clamp(0, 1)


def _gradients(
    here: _Bin, grad_y: Tensor, grad_log: Tensor, inverse: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients for x (or y), the knots ((x0, x1), (y0, y1)) and the slopes (d0, d1).

    With Q = z a / below, of which h(x) = y0 + h Q:

        dQ/dz = s m / below^2,          dQ/ds = (z^2 - Q (1 - 2 z u)) / below,
        dQ/dd0 = z u (1 - Q) / below,   dQ/dd1 = -z u Q / below,

    and those of log h' = 2 log s + log m - 2 log below.

    Of the inverse, x = g(y): dx = (dy - dh at fixed x) / h', so that its gradients are those of h
    for another grad_y, that which brings x back to where it was.
    """
    z, s, e, w, h, a, b, m, below = here
    u = 1 - z
    by_m = grad_log / m
    by_below = grad_log / below
    by_below += by_below
    log_z = torch.mul(e, z - u).mul_(by_below).addcmul_(by_m, b - a, value=2)
    slope = m * s / below / below  # dQ/dz; times s, h'
    if inverse:
        grad_x = (grad_y + log_z / w) / (s * slope)
        grad_y = -grad_x
    q, zz = z * u, z * z
    by_q = grad_y * h
    grad_z = torch.addcmul(log_z, by_q, slope)
    by_q = by_q / below
    quotient = z * a / below
    v = torch.addcmul(by_below, by_q, quotient)
    grad_s = (by_q * zz).addcmul_(by_m, q, value=2).addcdiv_(grad_log, s, value=2)
    grad_s.sub_(v).addcmul_(v, q, value=2)
    if not inverse:
        grad_x = grad_z / w
    back = grad_z / w if inverse else grad_x
    by_w = grad_s / w
    grad_x0 = (s * by_w).addcmul_(u, back, value=-1)
    grad_h = torch.addcmul(by_w, grad_y, quotient)
    knots = (grad_x0, -(grad_x0 + back), grad_y - grad_h, grad_h)
    at_ends = ((by_m * u).mul_(u).addcmul_(q, by_q - v), (by_m * zz).addcmul_(q, v, value=-1))
    return grad_x, torch.stack(knots).view(2, 2, -1), torch.stack(at_ends)
