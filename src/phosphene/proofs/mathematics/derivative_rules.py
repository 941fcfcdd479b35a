"""The product, quotient, chain, inverse and log rules (Leibniz, 1684)."""

from collections.abc import Callable

import torch
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.learning.mathematics.derivative_rules import (
    chain_rule,
    inverse_rule,
    log_rule,
    product_rule,
    quotient_rule,
)
from phosphene.proofs.proof import Proof, Wrong, below

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "(f g)' = f' g + f g', (f / g)' = (f' g - f g') / g^2, f(g)' = f'(g) g', (f^-1)'(y) = 1 / "
    "f'(x) with f(x) = y, (log f)' = f' / f."
)
Function = Callable[[Tensor], Tensor]
Rule = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def prove(seed: int = 0, *, formula: Rule = quotient_rule) -> Proof:
    """Compare with automatic differentiation and with central differences.

    f = x^3 + 2 x + 5 and g = 2 + sin x + exp(x / 3), on (0.2, 3).

    Args:
        seed: Of the points.
        formula: The quotient rule, from f, f', g and g'.

    Example:
        >>> prove().holds
        True
    """
    x = 0.2 + 2.8 * torch.rand(200, generator=generator(seed), dtype=torch.float64)
    f, g = _f(x), _g(x)
    df, dg = 3 * x.square() + 2, x.cos() + (x / 3).exp() / 3
    rules: dict[str, tuple[Tensor, Function]] = {
        "product": (product_rule(f, df, g, dg), lambda x: _f(x) * _g(x)),
        "quotient": (formula(f, df, g, dg), lambda x: _f(x) / _g(x)),
        "chain": (chain_rule(3 * g.square() + 2, dg), lambda x: _f(_g(x))),
        "log": (log_rule(f, df), lambda x: _f(x).log()),
    }
    rows = []
    for name, (found, function) in rules.items():
        rows.append(
            below(
                f"{name}: against automatic differentiation",
                _gap(found, _slope(function, x)),
                1e-10,
            )
        )
        rows.append(
            below(
                f"{name}: against central differences", _gap(found, _difference(function, x)), 1e-6
            )
        )
    # The inverse of f has no formula: it is found by bisection.
    rows.append(
        below(
            "inverse: against differences of f^-1, by bisection",
            _gap(inverse_rule(df), _difference(_inverse, f)),
            1e-6,
        )
    )
    rows.append(
        below(
            "inverse: of exp, whose inverse is log, at y = f",
            _gap(inverse_rule(f.log().exp()), _slope(torch.log, f)),
            1e-10,
        )
    )
    line = torch.linspace(0.2, 3, 100, dtype=torch.float64)
    figure = {"x": line, "f": _f(line), "g": _g(line), "f / g": _f(line) / _g(line)}
    return Proof("derivative-rules", "Rules of differentiation", _STATEMENT, rows, figure)


def _f(x: Tensor) -> Tensor:
    return x**3 + 2 * x + 5


def _g(x: Tensor) -> Tensor:
    return 2 + x.sin() + (x / 3).exp()


def _inverse(y: Tensor) -> Tensor:
    low, high = torch.zeros_like(y), torch.full_like(y, 4.0)
    for _ in range(60):
        middle = (low + high) / 2
        above = _f(middle) > y
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    return (low + high) / 2


def _slope(function: Function, x: Tensor) -> Tensor:
    at = x.clone().requires_grad_()
    return torch.autograd.grad(function(at).sum(), at)[0]


def _difference(function: Function, x: Tensor) -> Tensor:
    h = 1e-5
    return (function(x + h) - function(x - h)) / (2 * h)


def _gap(a: Tensor, b: Tensor) -> float:
    return float(((a - b).abs() / b.abs().clamp(min=1)).max())


WRONG = Wrong(
    "(f / g)' = (f g' - f' g) / g^2: the terms in each other's place",
    {"formula": lambda f, df, g, dg: (f * dg - df * g) / g.square()},
)
