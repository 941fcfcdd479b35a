"""The rational-quadratic spline: exact inverse, slopes, peers' numbers, extremes."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.core.rng import generator
from phosphene.nn.spline import RationalQuadratic
from phosphene.nn.spline_pass import knots_by_bin

ZUKO = {"min_width": 0.0, "min_height": 0.0, "min_slope": 0.0, "slopes": "exp"}
KINDS: list[dict[str, Any]] = [
    {},
    {"offset": 0.0, "min_width": 1e-2},
    {**ZUKO, "limit": -math.log(1e-3)},
]


def numbers(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=dtype)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_zero_parameters_are_the_identity(kind: dict[str, Any]) -> None:
    spline = RationalQuadratic(6, 2.5, **kind)
    if "offset" in kind:
        return  # the knots' slopes are then log 2, as a peer has them
    x = 3 * numbers(50)
    y, log_slope = spline.forward(x, torch.zeros(50, spline.size))
    torch.testing.assert_close(y, x, rtol=0, atol=1e-12)
    torch.testing.assert_close(log_slope, torch.zeros(50).double(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_the_inverse_goes_back(kind: dict[str, Any], dtype: torch.dtype, limit: float) -> None:
    """Within what y's rounding makes of x, which a slope of 1/100 makes 100 times larger."""
    spline = RationalQuadratic(8, 3.0, **kind)
    x, params = 2 * numbers(400, 3, dtype=dtype), numbers(400, 3, spline.size, dtype=dtype)
    y, log_slope = spline.forward(x, params)
    back, minus = spline.inverse(y, params)
    assert float(((back - x).abs() * log_slope.exp().clamp(max=1.0)).max()) <= limit
    assert float((minus + log_slope).abs().max()) <= 100 * limit
    gentle = 0.3 * params
    back, _ = spline.inverse(spline.forward(x, gentle)[0], gentle)
    assert float((back - x).abs().max()) <= limit


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_both_directions_differentiate(kind: dict[str, Any]) -> None:
    spline = RationalQuadratic(4, 1.5, **kind)
    x = (1.2 * numbers(5, 2)).requires_grad_()
    params = numbers(5, 2, spline.size, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(spline.forward, (x, params))
    assert torch.autograd.gradcheck(spline.inverse, (x, params))
    shared = numbers(spline.size, seed=2).requires_grad_()  # broadcast over the batch
    assert torch.autograd.gradcheck(spline.forward, (x, shared))
    y, log_slope = spline.forward(x, params)
    (slope,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(slope.log(), log_slope)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("scale", [0.0, 1.0, 4.0])
def test_the_fast_pass_is_the_page(kind: dict[str, Any], inverse: bool, scale: float) -> None:
    """Values, log-slopes and the gradients of both; inside, in the tails and at the border."""
    spline = RationalQuadratic(6, 2.5, **kind)
    fast = spline.inverse if inverse else spline.forward
    page = spline.inverse_formula if inverse else spline.formula
    x = torch.cat((2 * numbers(200), torch.tensor([-2.5, 2.5, -40.0, 1e30]).double()))
    x.requires_grad_()
    params = (scale * numbers(204, spline.size, seed=1)).requires_grad_()
    found, wanted = fast(x, params), page(x, params)
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-10)
        weights = numbers(204, seed=2)
        both = (torch.autograd.grad(y, (x, params), weights, True) for y in (ours, theirs))
        for a, b in zip(*both, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_page_goes_back_and_has_its_own_slope(kind: dict[str, Any]) -> None:
    spline = RationalQuadratic(6, 2.5, **kind)
    x, params = (2 * numbers(300)).requires_grad_(), numbers(300, spline.size, seed=1)
    y, log_slope = spline.formula(x, params)
    (slope,) = torch.autograd.grad(y.sum(), x, retain_graph=True)
    torch.testing.assert_close(slope.log(), log_slope, rtol=0, atol=1e-9)
    back, minus = spline.inverse_formula(y, params)
    torch.testing.assert_close(back, x, rtol=0, atol=1e-10)
    torch.testing.assert_close(minus, -log_slope, rtol=0, atol=1e-9)


@pytest.mark.parametrize("bound", [1e-2, 5.0])
def test_it_increases_and_joins_its_tails(bound: float) -> None:
    spline = RationalQuadratic(7, bound)
    params = 3 * numbers(spline.size)
    x = bound * torch.linspace(-1.5, 1.5, 2001, dtype=torch.float64)
    y, log_slope = spline.forward(x, params.expand(2001, -1))
    assert bool((y.diff() > 0).all())
    out = x.abs() > bound
    assert torch.equal(y[out], x[out])
    assert not log_slope[out].any()
    # At the border both the value and the slope are the tail's.
    border = torch.tensor([-bound, bound], dtype=torch.float64)
    edge, log_edge = spline.forward(border, params.expand(2, -1))
    torch.testing.assert_close(edge, border, rtol=1e-12, atol=0)
    torch.testing.assert_close(log_edge, torch.zeros(2).double(), rtol=0, atol=1e-9)


def _places(spline: RationalQuadratic, params: Tensor, inverse: bool) -> Tensor:
    """Knots, numbers next to them, the borders, and far out: (n, k)."""
    knots = knots_by_bin(params.T, spline)[int(inverse)].T
    far = torch.tensor([-math.inf, -1e30, -1e4, 1e4, 1e30, math.inf]).to(params)
    near = [torch.nextafter(knots, torch.full_like(knots, v)) for v in (-math.inf, math.inf)]
    return torch.cat((knots, *near, far.expand(len(params), -1)), 1)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0, 1e6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extremes_stay_finite(kind: dict[str, Any], scale: float, dtype: torch.dtype) -> None:
    spline = RationalQuadratic(8, 3.0, **kind)
    params = scale * numbers(40, spline.size, dtype=dtype)
    ways = (spline.forward, spline.inverse, spline.formula, spline.inverse_formula)
    for way, inverse in zip(ways, (False, True, False, True), strict=True):
        x = _places(spline, params, inverse)
        wide = params[:, None].expand(-1, x.shape[1], -1).clone().requires_grad_()
        x = x.clone().requires_grad_()
        y, log_slope = way(x, wide)
        finite = x.isfinite()
        assert bool(y[finite].isfinite().all())
        assert bool(log_slope.isfinite().all())
        assert bool((y[finite].abs() <= 1.000001 * x[finite].abs().clamp(min=3.0)).all())
        grads = torch.autograd.grad(y[finite].sum() + log_slope.sum(), (x, wide))
        assert all(bool(g.isfinite().all()) for g in grads), "a gradient is not finite"


@pytest.mark.parametrize("scale", [10.0, 1e3])
def test_the_inverse_of_steep_splines(scale: float) -> None:
    """Where a root's usual form cancels: the error stays near what y's own rounding allows."""
    spline = RationalQuadratic(8, 3.0)
    y, params = 1.4 * numbers(5000), scale * numbers(5000, spline.size)
    x, log_slope = spline.inverse(y, params)
    again, _ = spline.forward(x, params)
    slope = (-log_slope).exp().clamp(min=1.0)
    assert float(((again - y).abs() / slope).max()) <= 1e-12


# In float32 the knots' own rounding, 3e-7, is multiplied by slopes: peers are as far from the exact
# numbers as we are. Gentle parameters keep that below 1e-5; in float64 they may be wild.
PRECISION = [(torch.float32, 0.3, 1e-5), (torch.float64, 2.0, 1e-10)]


def test_equal_to_zuko() -> None:
    zuko = pytest.importorskip("zuko.transforms")
    for dtype, scale, limit in PRECISION:
        spline = RationalQuadratic(8, 5.0, **ZUKO, limit=-math.log(1e-3))
        x, params = 3 * numbers(500, 2, dtype=dtype), scale * numbers(500, 2, 23, dtype=dtype)
        peer = zuko.MonotonicRQSTransform(*params.split((8, 8, 7), -1), bound=5.0, slope=1e-3)
        for ours, theirs in (
            (spline.forward(x, params), peer.call_and_ladj(x)),
            (spline.inverse(x, params), peer.inv.call_and_ladj(x)),
        ):
            for a, b in zip(ours, theirs, strict=True):
                assert float((a - b).abs().max()) <= limit


def test_equal_to_nflows() -> None:
    splines = pytest.importorskip("nflows.transforms.splines.rational_quadratic")
    for dtype, scale, limit in PRECISION:
        spline = RationalQuadratic(8, 4.0, offset=0.0)
        x, params = 2 * numbers(500, 2, dtype=dtype), scale * numbers(500, 2, 23, dtype=dtype)
        for inverse, ours in ((False, spline.forward), (True, spline.inverse)):
            theirs = splines.unconstrained_rational_quadratic_spline(
                x, *params.split((8, 8, 7), -1), inverse=inverse, tail_bound=4.0
            )
            for a, b in zip(ours(x, params), theirs, strict=True):
                assert float((a - b).abs().max()) <= limit


def test_parameters_may_be_strided() -> None:
    """Couplings give them parameter by parameter; nothing depends on how they lie."""
    spline = RationalQuadratic(5)
    x, params = numbers(6, 3), numbers(6, spline.size, 3).requires_grad_()
    y, _ = spline.forward(x, params.movedim(1, -1))
    (grad,) = torch.autograd.grad(y.sum(), params)
    dense = params.detach().movedim(1, -1).contiguous().requires_grad_()
    again, _ = spline.forward(x, dense)
    assert torch.equal(y, again)
    assert torch.equal(grad.movedim(1, -1), torch.autograd.grad(again.sum(), dense)[0])


def test_an_empty_batch() -> None:
    spline = RationalQuadratic(5)
    params = torch.zeros(0, 3, spline.size, requires_grad=True)
    y, log_slope = spline.forward(torch.zeros(0, 3), params)
    (y.sum() + log_slope.sum()).backward()
    assert params.grad is not None
    assert y.shape == log_slope.shape == (0, 3)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"bins": 1}, "bins must be 2 or more, got 1"),
        ({"bound": 0.0}, "bound must be above 0, got 0"),
        ({"min_width": 0.2}, "min_width must lie in"),
        ({"min_height": 0.0}, "a bin could vanish"),
        ({"min_slope": 1.0}, "min_slope must lie in"),
        ({"limit": -1.0}, "0 \\(none\\) or more, got -1"),
    ],
)
def test_bad_settings(bad: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        RationalQuadratic(**bad)
    with pytest.raises(UnknownNameError, match="softplus"):
        RationalQuadratic(slopes="softmax")  # type: ignore[arg-type]
