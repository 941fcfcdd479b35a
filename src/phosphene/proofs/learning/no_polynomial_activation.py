"""One hidden layer comes close to any function, unless its activation is a polynomial."""

import torch
from torch import Tensor

from phosphene.learning.backprop.universal import Function, fitted, interpolating_relus
from phosphene.proofs.proof import Proof, Wrong, above, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "For every continuous h and e > 0 some g(x) = sum_k c_k f(w_k x + b_k) + c_0 has sup |g - "
    "h| < e on an interval, if and only if f is no polynomial (Leshno et al., 1993). The notes "
    "ask for a nonlinear f, which x^2 is, and with which g = a x^2 + b x + c."
)
_LOW, _HIGH = -1.0, 1.0
_WIDTHS = (4, 8, 16, 32, 64)


def prove(seed: int = 0, *, formula: Function = torch.tanh) -> Proof:
    """Widen layers fitted by least squares, and layers of ReLUs that are constructed.

    The target is sin 3 x + |x| / 2, which is no polynomial.

    Args:
        seed: Of the inner weights.
        formula: The activation.

    Example:
        >>> prove().holds
        True
    """
    x = torch.linspace(_LOW, _HIGH, 4001, dtype=torch.float64)
    errors = {
        name: torch.tensor([_worst(f, width, x, seed) for width in _WIDTHS]).double()
        for name, f in (
            ("f", formula), ("relu", torch.relu), ("linear", _linear), ("square", torch.square)
        )
    }  # fmt: skip
    sine = torch.tensor([_straight(width, x) for width in _WIDTHS]).double()
    wide = _WIDTHS[-1]
    rows = [
        below(f"sup error at width {wide}", errors["f"][-1], 0.05),
        below(
            f"sup error at width {wide} over that at width 4", errors["f"][-1] / errors["f"][0], 0.2
        ),
        below(
            f"ReLUs, sup error at width {wide} over that at width 4",
            errors["relu"][-1] / errors["relu"][0],
            0.2,
        ),
        below(
            "constructed ReLUs for sin 3 x: sup error over M h^2 / 8, largest",
            (sine / _bounds()).max(),
            1.0,
            1e-9,
        ),
        equal(
            "the same, log2 of the fall from width 16 to 32, and to 64, mean",
            (sine[2:-1] / sine[3:]).log2().mean(),
            2,
            0.05,
        ),
        above(f"linear activation, sup error at width {wide}", errors["linear"][-1], 0.5),
        above(f"activation x^2, sup error at width {wide}", errors["square"][-1], 0.5),
        below(
            "activation x^2: distance of the layer from a parabola", _from_parabola(x, seed), 1e-7
        ),
    ]
    figure = {"x": torch.tensor(_WIDTHS).double().log2()} | {
        f"log10 sup error, {name}": values.log10() for name, values in errors.items()
    }
    return Proof("no-polynomial-activation", "Universal approximation", _STATEMENT, rows, figure)


def _target(x: Tensor) -> Tensor:
    return torch.sin(3 * x) + x.abs() / 2


def _linear(x: Tensor) -> Tensor:
    return x


def _worst(f: Function, width: int, x: Tensor, seed: int) -> float:
    """The largest error over three draws of the inner weights, the best of them."""
    layers = [fitted(_target, f, width, _LOW, _HIGH, seed=seed + k) for k in range(3)]
    return min(float((layer(x) - _target(x)).abs().max()) for layer in layers)


def _straight(width: int, x: Tensor) -> float:
    layer = interpolating_relus(_sine, width, _LOW, _HIGH)
    return float((layer(x) - _sine(x)).abs().max())


def _sine(x: Tensor) -> Tensor:
    return torch.sin(3 * x)


def _bounds() -> Tensor:
    step = (_HIGH - _LOW) / torch.tensor(_WIDTHS).double()
    return 9 * step.square() / 8  # |h''| <= 9


def _from_parabola(x: Tensor, seed: int) -> float:
    made = fitted(_target, torch.square, _WIDTHS[-1], _LOW, _HIGH, seed=seed)(x)
    powers = torch.stack((torch.ones_like(x), x, x.square()), 1)
    best = powers @ torch.linalg.lstsq(powers, made[:, None]).solution
    return float((best[:, 0] - made).abs().max())


WRONG = Wrong(
    "f(x) = x^2: nonlinear, which is all that the notes ask for, but a polynomial",
    {"formula": torch.square},
)
