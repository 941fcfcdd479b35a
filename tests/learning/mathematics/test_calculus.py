"""Rules of differentiation, implicit derivatives, roots, gradients of expectations."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
import torch
from scipy import optimize

from phosphene.core.errors import ConfigError, DataError
from phosphene.learning.mathematics.derivative_rules import (
    chain_rule,
    inverse_rule,
    log_rule,
    product_rule,
    quotient_rule,
)
from phosphene.learning.mathematics.implicit_differentiation import (
    depth_gradient,
    implicit_derivative,
)
from phosphene.learning.mathematics.reparametrised import pathwise_gradients, score_gradients
from phosphene.learning.mathematics.secant import false_position, secant, secant_step


def test_derivative_rules_against_sympy():
    sympy = pytest.importorskip("sympy")
    x = sympy.symbols("x", positive=True)
    f, g = x**2 + 3 * x + 1, sympy.exp(x / 2) + sympy.sin(x)
    at = torch.linspace(0.1, 2, 50, dtype=torch.float64)

    def values(expression):
        return torch.from_numpy(np.asarray(sympy.lambdify(x, expression, "numpy")(at.numpy())))

    fv, dfv, gv, dgv = (values(e) for e in (f, sympy.diff(f), g, sympy.diff(g)))
    pairs = [
        (product_rule(fv, dfv, gv, dgv), f * g),
        (quotient_rule(fv, dfv, gv, dgv), f / g),
        (chain_rule(values(sympy.diff(f).subs(x, g)), dgv), f.subs(x, g)),
        (log_rule(fv, dfv), sympy.log(f)),
    ]
    for found, expression in pairs:
        assert (found - values(sympy.diff(expression))).abs().max() < 1e-10
    root = values(sympy.diff(sympy.sqrt(x)).subs(x, x**2))  # the inverse of x^2 at y = x^2
    assert (inverse_rule(2 * at) - root).abs().max() < 1e-10


def test_circle_and_system():
    for angle in (0.3, 1.0, 2.5):
        x, y = 5 * math.cos(angle), 5 * math.sin(angle)
        found = implicit_derivative(
            lambda x, y: x**2 + y**2 - 25,
            torch.tensor([x], dtype=torch.float64),
            torch.tensor([y], dtype=torch.float64),
        )
        assert float(found) == pytest.approx(-x / y, abs=1e-12)
    a = torch.tensor([[2.0, 1.0], [0.0, 3.0]])
    linear = implicit_derivative(lambda x, y: a @ y - x, torch.ones(2), torch.ones(2))
    assert (linear - torch.linalg.inv(a)).abs().max() < 1e-6


def test_depth_gradient_of_a_sphere():
    def sphere(point, center, radius):
        return torch.linalg.vector_norm(point - center) - radius

    origin = torch.tensor([0.3, -0.2, -4.0], dtype=torch.float64)
    direction = torch.tensor([0.0, 0.05, 1.0], dtype=torch.float64)
    direction = direction / torch.linalg.vector_norm(direction)
    theta = [torch.tensor([0.1, 0.0, 0.2], dtype=torch.float64), torch.tensor(1.0).double()]

    def depth(center, radius):
        away = origin - center
        b = away @ direction
        return -b - (b**2 - away @ away + radius**2).sqrt()

    at = [t.clone().requires_grad_() for t in theta]
    peer = torch.autograd.grad(depth(*at), at)
    found = depth_gradient(sphere, theta, origin, direction, depth(*theta))
    for own, other in zip(found, peer, strict=True):
        assert (own - other).abs().max() < 1e-12


def test_secant_has_the_golden_order():
    with localcontext() as context:
        context.prec = 300
        root = Decimal(2) ** (Decimal(1) / 3)
        cube = lambda x: x * x * x - 2  # noqa: E731
        found = secant(cube, Decimal(1), Decimal(2), tolerance=Decimal("1e-290"), steps=11)
        logs = [float(abs(x - root).ln()) for x in found]
    assert logs[-1] / logs[-2] == pytest.approx((1 + 5**0.5) / 2, abs=0.02)


@pytest.mark.parametrize(
    ("f", "a", "b"),
    [
        (lambda x: x**3 - 2, 1.0, 2.0),
        (lambda x: math.cos(x) - x, 0.0, 1.0),
        (lambda x: math.tanh(20 * (x - 0.7)), 0.0, 2.0),
        (lambda x: math.atan(x - 3), -50.0, 40.0),
        (lambda x: math.exp(x) - 1e-3, -30.0, 2.0),
    ],
)
def test_false_position_finds_what_brent_finds(f, a, b):
    found = false_position(f, a, b)
    assert all(a <= x <= b for x in found)
    assert found[-1] == pytest.approx(optimize.brentq(f, a, b), abs=1e-9)


def test_secant_leaves_where_false_position_stays():
    f = lambda x: math.tanh(20 * (x - 0.7))  # noqa: E731
    try:
        gone = max(abs(x) for x in secant(f, 0.3, 0.5, steps=4))
    except DataError:
        gone = math.inf
    assert gone > 10
    assert false_position(f, 0.3, 5.0)[-1] == pytest.approx(0.7)


def test_both_gradients_have_the_mean_of_the_truth():
    nodes, weights = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(20))
    weights = weights / math.sqrt(2 * math.pi)
    cube = lambda z: z**3  # noqa: E731  E z^3 = mu^3 + 3 mu s^2
    mu, s = 0.7, 1.3
    for gradients in (pathwise_gradients, score_gradients):
        by_mu, by_scale = gradients(cube, mu, s, nodes)
        assert float(weights @ by_mu) == pytest.approx(3 * mu**2 + 3 * s**2, abs=1e-9)
        assert float(weights @ by_scale) == pytest.approx(6 * mu * s, abs=1e-9)


@pytest.mark.parametrize(
    ("do", "error", "said"),
    [
        (lambda: secant_step(1.0, 2.0, 3.0, 3.0), DataError, "f is 3.0 at both 1.0 and 2.0"),
        (lambda: false_position(math.exp, 0.0, 1.0), ConfigError, "a change of sign, and f is 1"),
        (lambda: false_position(lambda x: math.nan, 0.0, 1.0), ConfigError, "a change of sign"),
        (
            lambda: implicit_derivative(lambda x, y: x - y**2, torch.zeros(1), torch.zeros(1)),
            DataError,
            "dF/dy has no inverse here",
        ),
        (
            lambda: depth_gradient(
                lambda p, r: p[0] - r,
                [torch.tensor(1.0)],
                torch.zeros(3),
                torch.tensor([0.0, 0.0, 1.0]),
                torch.tensor(1.0),
            ),
            DataError,
            "does not cross the surface",
        ),
    ],
)
def test_bad_input_is_one_sentence(do, error, said):
    with pytest.raises(error, match=said) as found:
        do()
    assert "\n" not in str(found.value)
