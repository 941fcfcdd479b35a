"""Nesterov's theta and torch's parameters are a change of variables apart."""

from collections.abc import Callable

import torch
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.learning.optimizers.nesterov import Nesterov, look_ahead, nesterov_step
from phosphene.proofs.proof import Proof, Wrong, above, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "v <- a v - e g(theta + a v), theta <- theta + v. torch.optim.SGD(nesterov=True) holds the "
    "point ahead, phi = theta + a v, at every step, and takes its gradient there; with it, and v "
    "= -e b, its step b <- a b + g(phi), phi <- phi - e (g(phi) + a b) is the same step, while e "
    "stays."
)
_A, _E, _STEPS = 0.9, 0.05, 100


def prove(
    seed: int = 0, *, formula: Callable[[Tensor, Tensor, float], Tensor] = look_ahead
) -> Proof:
    """Go down one bent function in three ways.

    Nesterov (1983); Sutskever, Martens, Dahl and Hinton (2013).

    Args:
        seed: Of where they begin.
        formula: torch's parameters from theta, v and momentum.

    Example:
        >>> prove().holds
        True
    """
    start = torch.randn(6, generator=generator(seed), dtype=torch.float64)
    theta, v = start, torch.zeros_like(start)
    phi, own = (start.clone().requires_grad_() for _ in range(2))
    torchs = torch.optim.SGD([phi], lr=_E, momentum=_A, nesterov=True)
    paper = Nesterov([own], lr=_E, momentum=_A, form="sutskever")

    def closure() -> float:
        own.grad = _slope(own.detach())
        return 0.0

    ahead, same, apart = 0.0, 0.0, 0.0
    for _ in range(_STEPS):
        phi.grad = _slope(phi.detach())
        torchs.step()
        theta, v = nesterov_step(theta, v, _slope, lr=_E, momentum=_A)
        paper.step(closure)
        ahead = max(ahead, float((phi.detach() - formula(theta, v, _A)).abs().max()))
        same = max(same, float((own.detach() - theta).abs().max()))
        apart = max(apart, float((phi.detach() - theta).abs().max()))
    rows = [
        equal("torch's phi less theta + a v, 100 steps", ahead, 0, 1e-12),
        equal("our optimizer in the paper's form less theta", same, 0, 1e-12),
        above("torch's phi less theta: they are not the same point", apart, 1e-3),
    ]
    return Proof("look-ahead", "Nesterov's two forms", _STATEMENT, rows)


def _slope(x: Tensor) -> Tensor:
    """Of sum cosh(x - 0.3) + (sum x)^2 / 20."""
    return torch.sinh(x - 0.3) + 0.1 * x.sum()


def _the_same_point(theta: Tensor, v: Tensor, momentum: float) -> Tensor:
    return theta


WRONG = Wrong(
    "phi = theta: torch's parameters taken for the theta of the notes", {"formula": _the_same_point}
)
