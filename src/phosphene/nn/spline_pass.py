"""The rational-quadratic spline in one pass over its bins, with its own backward.

The fast path of ``spline.py``, which is the page to read: there the formula stands as in the paper,
this is tested against it, and higher derivatives and ``torch.func`` take it.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from phosphene.core.derivatives import again_wanted, gradients_again

if TYPE_CHECKING:
    from phosphene.nn.spline import RationalQuadratic

__all__ = ["knots_by_bin", "spline_pass"]


def spline_pass(
    x: Tensor, params: Tensor, spline: "RationalQuadratic", *, inverse: bool
) -> tuple[Tensor, Tensor]:
    """h(x) and log h'(x), or the x with h(x) = y and -log h'(x).

    Args:
        x: x or y, of any shape.
        params: (..., size), which broadcasts to that shape.
        spline: Its settings, and the formula.
        inverse: Which of the two.
    """
    return _Spline.apply(x, params, spline, inverse)  # type: ignore[no-any-return]


def knots_by_bin(raw: Tensor, spline: "RationalQuadratic") -> Tensor:
    """Places and heights (2, K + 1, N) of the knots of raw parameters (size, N)."""
    return _knots(_bent(raw, spline), spline)[0]


def _knots(bent: Tensor, spline: "RationalQuadratic") -> tuple[Tensor, Tensor]:
    """The knots, and the fractions p (2, K, N) of which they are sums."""
    k = spline.bins
    p = bent[: 2 * k].view(2, k, -1).softmax(1)
    start, total = _sums(spline, p)
    return torch.baddbmm(start, total, p), p


def _sums(spline: "RationalQuadratic", like: Tensor) -> tuple[Tensor, Tensor]:
    """C (2, K+1, 1) and M (2, K+1, K): knots are C + M p for fractions p of a softmax.

    Knot j is -B + 2 B sum_{i<j} (floor + (1 - K floor) p_i); the first and the last are exact,
    whatever p: their rows of M are zero.
    """
    key = (like.device, like.dtype)
    if key not in spline.made:
        k = spline.bins
        floor = torch.tensor(spline.floors, dtype=torch.float64)[:, None, None]
        before = torch.ones(k + 1, k, dtype=torch.float64).tril(-1)
        before[k] = 0
        steps = torch.arange(k + 1, dtype=torch.float64)[:, None]
        start = spline.bound * (2 * floor * steps - 1)
        start[:, k] = spline.bound
        scale = 2 * spline.bound * (1 - k * floor)
        spline.made[key] = (start.to(*key), (scale * before).to(*key))
    return spline.made[key]


def _bent(raw: Tensor, spline: "RationalQuadratic") -> Tensor:
    """The parameters (3 K - 1, N) that the limit bends, which the network gives raw."""
    return raw / (1 + raw.abs() * _bend(raw, spline)) if spline.limit else raw


def _bent_slope(raw: Tensor, spline: "RationalQuadratic") -> Tensor:
    """The derivative of :func:`_bent`."""
    return (1 + raw.abs() * _bend(raw, spline)).square().reciprocal()


def _bend(raw: Tensor, spline: "RationalQuadratic") -> Tensor:
    twice = torch.arange(spline.size, device=raw.device)[:, None] < 2 * spline.bins
    return (1 + twice.to(raw.dtype)) / spline.limit


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
        ctx: Any, x: Tensor, params: Tensor, spline: "RationalQuadratic", inverse: bool
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
                spline.inverse_formula if ctx.inverted else spline.formula,
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
        grad_p = torch.bmm(_sums(spline, g)[1].mT, at_all)
        grad = torch.empty_like(raw)
        shares = grad_p.mul_(p)
        first = grad[: 2 * k].view(2, k, n)
        torch.addcmul(shares, p, shares.sum(1, keepdim=True), value=-1, out=first)
        slope_grads = slope_grads * (slopes if spline.slopes == "exp" else at_knots.sigmoid())
        grad[2 * k :] = g.new_zeros(k + 1, n).scatter_(0, ends, slope_grads)[1:k]
        if spline.limit:
            grad *= _bent_slope(raw, spline)
        grad = grad.view(spline.size, *shape).movedim(0, -1)
        return grad_x, grad.sum_to_size(params.shape), None, None


def _evaluated(
    x: Tensor, params: Tensor, spline: "RationalQuadratic", inverse: bool
) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, ...]]:
    """y and log-slopes of h or its inverse, raw parameters, and what backward needs."""
    k, shape = spline.bins, x.shape
    x = x.reshape(-1)
    raw = params.expand(*shape, spline.size).movedim(-1, 0).reshape(spline.size, -1)
    bent = _bent(raw, spline)
    knots, p = _knots(bent, spline)
    kept = x.clamp(-spline.bound, spline.bound)
    outside = x != kept
    place = (kept >= knots[int(inverse), 1:k]).sum(0)
    ends = torch.stack((place, place + 1))
    low, high = knots.gather(1, ends.expand(2, -1, -1)).unbind(1)
    edge = bent.new_full((1, len(x)), spline.unit)
    at_knots = torch.cat((edge, bent[2 * k :] + spline.offset, edge)).gather(0, ends)
    slopes = at_knots.exp() if spline.slopes == "exp" else spline.min_slope + F.softplus(at_knots)
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
