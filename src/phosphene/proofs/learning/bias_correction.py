"""Adam divides its averages by 1 - beta^t; and the problem that it fails all the same."""

from collections.abc import Callable
from functools import partial

import torch

from phosphene.core.rng import generator
from phosphene.learning.optimizers.adam import Adam, bias_correction
from phosphene.learning.optimizers.adamw import AdamW
from phosphene.learning.optimizers.amsgrad import (
    AMSGrad,
    play_counter_example,
    slope_of_counter_example,
)
from phosphene.proofs.proof import Proof, Row, Wrong, above, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2, m^ = m / (1 - b1^t), v^ = v / (1 - b2^t), "
    "theta <- theta - lr m^ / (sqrt(v^) + eps). The power is t, the number of the step: the "
    "weights of m^ and of v^ add up to 1 at every t, and the first step is lr sign(g). On C x, "
    "-x, -x in turn Adam goes to x = 1, the worst point of [-1, 1], and AMSGrad to -1, the best."
)
Correction = Callable[[float, int], float]


def prove(seed: int = 0, *, formula: Correction = bias_correction) -> Proof:
    """Take steps of our optimizers with the correction that is handed in, beside torch's.

    Kingma and Ba (2015); Reddi, Kale and Kumar (2018), theorem 1.

    Args:
        seed: Of the gradients.
        formula: What an average is divided by, from beta and t.

    Example:
        >>> prove().holds
        True
    """
    rows: list[Row] = [
        equal(
            f"weights of an average of {t} values, corrected", _weights(0.9, t, formula), 1, 1e-12
        )
        for t in (1, 2, 10)
    ]
    p = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    p.grad = torch.tensor([-3e3, -1e-3, 2e-6, 0.5, 70.0], dtype=torch.float64)
    _made(Adam, formula)([p], lr=0.25, eps=0.0).step()
    first = (p.detach() + 0.25 * p.grad.sign()).abs().max()
    rows.append(equal("first step less -lr sign(g)", first, 0, 1e-12))
    for kind, peer in (
        (Adam, torch.optim.Adam),
        (AdamW, torch.optim.AdamW),
        (AMSGrad, partial(torch.optim.Adam, amsgrad=True)),
    ):
        gap = _gap(seed, _made(kind, formula), peer)
        rows.append(equal(f"{kind.__name__} and torch's, 100 steps: gap", gap, 0, 1e-12))
    paths = [play_counter_example(_made(kind, formula), 3000) for kind in (Adam, AMSGrad)]
    round_ = sum(slope_of_counter_example(t) for t in (1, 2, 3))
    rows += [
        above("slope of three functions together: lowest at x = -1", round_, 0.5),
        above("Adam ends at x", paths[0][-1], 0.95),
        below("AMSGrad ends at x", paths[1][-1], -0.9),
    ]
    figure = {"x": torch.arange(3000), "Adam": paths[0], "AMSGrad": paths[1]}
    return Proof("bias-correction", "Adam", _STATEMENT, rows, figure)


def _weights(beta: float, t: int, formula: Correction) -> float:
    return sum((1 - beta) * beta**k for k in range(t)) / formula(beta, t)


def _made(kind: type[Adam], formula: Correction) -> type[Adam]:
    """The optimizer with the correction that is handed in."""
    return type(kind.__name__, (kind,), {"correction": staticmethod(formula)})


def _gap(seed: int, kind: type[Adam], peer: Callable[..., torch.optim.Optimizer]) -> float:
    ours, theirs = (torch.zeros(6, dtype=torch.float64, requires_grad=True) for _ in range(2))
    mine, its = kind([ours], lr=0.03), peer([theirs], lr=0.03)
    worst = 0.0
    for g in torch.randn(100, 6, generator=generator(seed), dtype=torch.float64):
        ours.grad, theirs.grad = g, g.clone()
        mine.step()
        its.step()
        worst = max(worst, float((ours - theirs).detach().abs().max()))
    return worst


def _without_the_power(beta: float, t: int) -> float:
    return 1 - beta


WRONG = Wrong(
    "m^ = m / (1 - b1), v^ = v / (1 - b2): the power t is lost, as the notes print it",
    {"formula": _without_the_power},
)
