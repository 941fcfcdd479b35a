"""The secant method: its order, where it fails, and the bracket that holds."""

import math
from decimal import Decimal, localcontext
from typing import Any

import torch

from phosphene.core.errors import DataError
from phosphene.learning.mathematics.secant import false_position, secant, secant_step
from phosphene.proofs.proof import Proof, Wrong, above, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "x_(k+1) = x_k - f(x_k) (x_k - x_(k-1)) / (f(x_k) - f(x_(k-1))) has errors e_(k+1) ~ c "
    "e_k^phi, "
    "phi = (1 + sqrt 5) / 2 = 1.618, near a simple root (Ostrowski, 1966). It has no bracket: "
    "where "
    "f is flat it leaves; the false position with the Illinois rule stays (Dowell and Jarratt, "
    "1971)."
)
_DIGITS = 400


def prove(seed: int = 0, *, formula: Any = secant_step) -> Proof:
    """Fit the order on x^3 - 2 in 400 digits, and follow a ray through a surface that is flat.

    The flat function is 1 / (1 + exp(-40 (x - 0.7))) - 1/2, the occupancy along a ray.

    Args:
        seed: Not used; proofs have one.
        formula: The step, from two points and the values there.

    Example:
        >>> prove().holds
        True
    """
    errors = _errors(formula)
    order, fit = errors[-1] / errors[-2] if len(errors) > 1 else 0.0, _slope(errors)
    kept = false_position(_cube, 1.0, 2.0)
    found = false_position(_occupancy, 0.0, 2.0)
    run = secant(_occupancy, 0.3, 0.5, steps=30, step=_stopping(formula))
    outside = max(abs(x) for x in run)
    rows = [
        equal(
            "x^3 - 2: slope of log e_(k+1) over log e_k, last six",
            fit,
            (1 + math.sqrt(5)) / 2,
            0.02,
        ),
        equal("x^3 - 2: last ratio of logarithms of errors", order, (1 + math.sqrt(5)) / 2, 0.02),
        above("x^3 - 2: digits that are right after 12 steps", -errors[-1] / math.log(10), 100),
        above(
            "flat f, secant: farthest that it goes from a root at 0.7 and points 0.3, 0.5",
            outside,
            10,
        ),
        equal("flat f, two points where it is level: refused (1 yes)", _refused(), 1, 0),
        equal("flat f, false position from 0 and 2", found[-1], 0.7, 1e-9),
        below(
            "flat f, false position: farthest from the middle of the bracket",
            max(abs(x - 1) for x in found),
            1.0,
        ),
        equal("x^3 - 2, false position", kept[-1], 2 ** (1 / 3), 1e-12),
        below("x^3 - 2, false position: steps", len(kept), 12),
    ]
    figure = {
        "x": torch.arange(len(errors)).double(),
        "log10 error of the secant method": torch.tensor(errors).double() / math.log(10),
    }
    return Proof("secant-method", "The secant method", _STATEMENT, rows, figure)


def _errors(step: Any) -> list[float]:
    """Logarithms of the errors of 12 steps on x^3 - 2, from 1 and 2, in 400 digits."""
    with localcontext() as context:
        context.prec = _DIGITS
        root = Decimal(2) ** (Decimal(1) / 3)
        found: list[Any] = secant(
            _cube,
            Decimal(1),
            Decimal(2),
            tolerance=Decimal(10) ** (20 - _DIGITS),
            steps=12,
            step=step,
        )
        logs = [float(abs(x - root).ln()) for x in found if x != root]
    return logs


def _slope(logs: list[float]) -> float:
    """Of the line through the last six pairs of successive logarithms."""
    x, y = torch.tensor(logs[-7:-1]).double(), torch.tensor(logs[-6:]).double()
    return float(
        ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum().clamp(min=1e-30)
    )


def _cube(x: Any) -> Any:
    return x * x * x - 2


def _occupancy(x: float) -> float:
    return 0.5 * math.tanh(20 * (x - 0.7))


def _stopping(step: Any) -> Any:
    """The step, which stays where it is once the function is level, as no step is to be had."""

    def taken(a: float, b: float, fa: float, fb: float) -> float:
        return b if fa == fb else step(a, b, fa, fb)

    return taken


def _refused() -> float:
    try:
        secant(_occupancy, 3.0, 4.0)
    except DataError:
        return 1.0
    return 0.0


def _other_value(a: Any, b: Any, fa: Any, fb: Any) -> Any:
    return b - fa * (b - a) / (fb - fa) if fa != fb else b


WRONG = Wrong(
    "x_(k+1) = x_k - f(x_(k-1)) (x_k - x_(k-1)) / (f(x_k) - f(x_(k-1))): the older value of f",
    {"formula": _other_value},
)
