"""A perceptron comes to rest on separable classes, within Novikoff's bound, and never on XOR."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.learning.linear.perceptron import Perceptron, mistake_bound
from phosphene.proofs.proof import Proof, Wrong, above, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "If y u.x >= gamma > 0 for a unit vector u, and |x| <= R, then a perceptron, w += y x on each "
    "mistake, makes at most k = (R / gamma)^2 of them (Novikoff, 1962): k gamma <= u.w <= |w| <= "
    "R sqrt k. Where there is no such u it never rests; on whole numbers its weights recur."
)
_SETS = 200

Bound = Callable[[Tensor, Tensor, Tensor], float]


def prove(seed: int = 0, *, formula: Bound = mistake_bound) -> Proof:
    """Count mistakes on separable sets, on orthogonal examples, and on XOR.

    On n orthogonal examples of length 1 the bound is n, and every example is a mistake once: the
    bound cannot be less than it is.

    Args:
        seed: Of the sets.
        formula: The bound, from examples (n, d), signs and a separating direction.

    Example:
        >>> prove().holds
        True
    """
    counts, bounds, rested = [], [], 0
    for k in range(_SETS):
        x, y, direction = _separable(seed, k)
        learner = Perceptron(fit_intercept=False, max_iter=100_000).fit(x, y)
        counts.append(learner.mistakes_)
        bounds.append(formula(x, y, direction))
        rested += learner.converged_
    used = torch.tensor(counts) / torch.tensor(bounds, dtype=torch.float64)
    n = 50
    eye = torch.eye(n, dtype=torch.float64)
    y = torch.where(torch.arange(n) % 2 == 0, 1.0, -1.0).double()
    tight = Perceptron(fit_intercept=False).fit(eye, y)
    xor_x, xor_y = [[-1, -1], [-1, 1], [1, -1], [1, 1]], [-1, 1, 1, -1]
    xor = Perceptron(max_iter=1000).fit(xor_x, xor_y)
    start, period = xor.cycle_ or (0, 0)
    again = [Perceptron(max_iter=start + k * period).fit(xor_x, xor_y) for k in (1, 2)]
    apart = abs(again[0].coef_ - again[1].coef_).max() if period else float(len(xor_x))
    rows = [
        equal(f"separable sets of {_SETS} on which it comes to rest", rested, _SETS, 0),
        below(
            f"mistakes over (R / gamma)^2, largest of {_SETS} separable sets",
            used.max(),
            1.0,
            1e-9,
        ),
        equal(
            f"mistakes on {n} orthogonal examples, (R / gamma)^2 = {n}",
            tight.mistakes_,
            formula(eye, y, y),
            1e-9,
        ),
        equal("XOR: comes to rest (1 yes, 0 no)", float(xor.converged_), 0, 0),
        above("XOR: passes after which the weights are the same again", period, 0),
        below("XOR: difference of the weights one period later", apart, 0.0, 1e-12),
    ]
    figure = {"x": torch.arange(_SETS).double(), "mistakes / bound": used.sort().values}
    return Proof("perceptron-convergence", "The perceptron's mistakes", _STATEMENT, rows, figure)


def _separable(seed: int, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """Examples, signs, and a direction with a margin of about a tenth of the examples' length."""
    g = generator(seed, k)
    n, d = 20 + k % 80, 2 + k % 9
    x = torch.randn(n, d, generator=g, dtype=torch.float64)
    direction = torch.randn(d, generator=g, dtype=torch.float64)
    direction /= torch.linalg.vector_norm(direction)
    y = torch.where(x @ direction > 0, 1.0, -1.0).double()
    return x + 0.1 * y[:, None] * direction, y, direction


def _without_the_square(x: Tensor, y: Tensor, direction: Tensor) -> float:
    return math.sqrt(mistake_bound(x, y, direction))


WRONG = Wrong(
    "k <= R / gamma: the square is lost, though |w| grows as R sqrt k only",
    {"formula": _without_the_square},
)
