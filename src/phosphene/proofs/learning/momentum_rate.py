"""Momentum: two forms that agree while lr stays, and the rate on quadratics."""

from collections.abc import Callable

import torch
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.learning.optimizers.momentum import (
    Momentum,
    best_for_quadratics,
    polyak_step,
    torch_step,
)
from phosphene.proofs.proof import Proof, Row, Wrong, above, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "v <- a v - e g, theta <- theta + v, so that v_t = -sum_s a^(t-s) e_s g_s: each gradient with "
    "the lr of its own time. torch has v <- a v + g, theta <- theta - e v, which is the same only "
    "while e stays. On quadratics with condition kappa, a = rate^2 and rate = (sqrt kappa - 1) / "
    "(sqrt kappa + 1) a step, where plain descent has (kappa - 1) / (kappa + 1) at best."
)
Step = Callable[..., tuple[Tensor, Tensor]]


def prove(seed: int = 0, *, formula: Step = polyak_step) -> Proof:
    """Compare with the sum, with torch at a constant lr, and with the eigenvalues of a step.

    Polyak (1964).

    Args:
        seed: Of the gradients and of where descent begins.
        formula: A step of momentum: theta and v from theta, v, g.

    Example:
        >>> prove().holds
        True
    """
    rows = [
        _is_the_sum(seed, formula),
        equal(
            "torch.optim.SGD, constant lr, 100 steps: gap", _gap_to_torch(seed, formula), 0, 1e-12
        ),
        below(
            "the optimizer and the formula, changing lr: gap", _gap_to_class(seed, formula), 1e-12
        ),
    ]
    for kappa in (10.0, 100.0):
        rows += _rates(kappa, formula)
    return Proof("momentum-rate", "Momentum", _STATEMENT, rows)


def _gradients(seed: int, steps: int) -> Tensor:
    return torch.randn(steps, 5, generator=generator(seed), dtype=torch.float64)


def _falling(t: int) -> float:
    return 0.1 / (1 + t / 4)


def _is_the_sum(seed: int, formula: Step) -> Row:
    gradients, a = _gradients(seed, 20), 0.9
    theta = v = torch.zeros(5, dtype=torch.float64)
    for t, g in enumerate(gradients):
        theta, v = formula(theta, v, g, lr=_falling(t), momentum=a)
    weights = torch.tensor([a ** (19 - s) * _falling(s) for s in range(20)], dtype=torch.float64)
    gap = (v + (weights[:, None] * gradients).sum(0)).abs().max()
    return equal("changing lr: v_20 + sum_s a^(20-s) e_s g_s", gap, 0, 1e-12)


def _gap_to_torch(seed: int, formula: Step) -> float:
    p = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    peer = torch.optim.SGD([p], lr=0.05, momentum=0.9)
    theta = v = torch.zeros(5, dtype=torch.float64)
    worst = 0.0
    for g in _gradients(seed, 100):
        p.grad = g
        peer.step()
        theta, v = formula(theta, v, g, lr=0.05, momentum=0.9)
        worst = max(worst, float((p.detach() - theta).abs().max()))
    return worst


def _gap_to_class(seed: int, formula: Step) -> float:
    p = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    optimizer = Momentum([p], momentum=0.9)
    theta = v = torch.zeros(5, dtype=torch.float64)
    for t, g in enumerate(_gradients(seed, 20)):
        p.grad = g
        optimizer.param_groups[0]["lr"] = _falling(t)
        optimizer.step()
        theta, v = formula(theta, v, g, lr=_falling(t), momentum=0.9)
    return float((p.detach() - theta).abs().max())


def _rates(kappa: float, formula: Step) -> list[Row]:
    """The largest eigenvalue of (theta, v) -> a step, over curvatures from 1 to kappa."""
    lr, momentum, best = best_for_quadratics(1.0, kappa)
    plain = (kappa - 1) / (kappa + 1)
    radius = 0.0
    for curvature in torch.linspace(1, kappa, 21, dtype=torch.float64):
        columns = [
            torch.stack(formula(theta, v, curvature * theta, lr=lr, momentum=momentum))
            for theta, v in torch.eye(2, dtype=torch.float64)
        ]
        radius = max(radius, float(torch.linalg.eigvals(torch.stack(columns, 1)).abs().max()))
    # At both ends the eigenvalue is double: rounding moves it by the root of 1e-16.
    return [
        equal(f"kappa = {kappa:g}: factor a step", radius, best, 1e-6),
        above(f"kappa = {kappa:g}: that of descent", plain, best),
    ]


WRONG = Wrong(
    "v <- a v + g taken for v <- a v - e g: torch's form in the place of the notes'",
    {"formula": torch_step},
)
