"""Why a network that removes noise learns the score."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from phosphene.generative.diffusion.exact import Mixture, score
from phosphene.generative.diffusion.level import Level
from phosphene.generative.diffusion.path import Cosine
from phosphene.proofs.proof import Proof, Wrong, above, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "E |s(x_t) - grad log q(x_t | x_0)|^2 = E |s(x_t) - grad log p(x_t)|^2 + a constant that no "
    "s changes, with grad log q(x_t | x_0) = (alpha x_0 - x_t) / sigma^2 = -eps / sigma: denoising "
    "score matching is explicit score matching (Vincent, 2011). Its best s is (alpha E[x_0 | x_t] "
    "- x_t) / sigma^2 = grad log p(x_t) (Tweedie's formula)."
)
_DATA = Mixture(
    torch.tensor([[-1.0], [0.5], [1.2]], dtype=torch.float64),
    torch.tensor([0.2, 0.3, 0.1], dtype=torch.float64),
    torch.tensor([0.3, 0.5, 0.2], dtype=torch.float64),
)
_TIMES = (0.1, 0.3, 0.5, 0.8)
_NODES = 120

Score = Callable[[Tensor, Tensor, Level[Any]], Tensor]
_MODELS: dict[str, Callable[[Tensor], Tensor]] = {
    "0": torch.zeros_like,
    "-x": lambda x: -x,
    "-2 x + 0.3": lambda x: -2 * x + 0.3,
    "sin 3 x": lambda x: (3 * x).sin(),
    "-x^3": lambda x: -(x**3),
}
"""Functions that might have been learned."""


def prove(seed: int = 0, *, formula: Score = score) -> Proof:
    """Both losses by quadrature over data and noise, for functions that have nothing in common.

    Args:
        seed: Nothing here is random.
        formula: The score from x_0, or from its mean, x_t and the level.

    Example:
        >>> prove().holds
        True
    """
    constants, slopes, gaps, tweedie, least = [], [], [], [], []
    for t in _TIMES:
        level = Cosine().level(t)
        x_0, eps, share = _expectation()
        x_t = level.alpha * x_0 + level.sigma * eps
        target = formula(x_0, x_t, level)
        told = _slope(x_t, level)
        gaps.append((target + eps / level.sigma).abs().max())
        tweedie.append((formula(_DATA.estimate(x_t, level), x_t, level) - told).abs().max())

        def loss(s: Tensor, wanted: Tensor, share: Tensor = share) -> Tensor:
            return share @ (s - wanted).square()[:, 0]

        apart = [loss(s(x_t), target) - loss(s(x_t), told) for s in _MODELS.values()]
        constants.append(torch.stack(apart))
        best = loss(told, target)
        least.append(min(loss(s(x_t), target) - best for s in _MODELS.values()))
        slopes.append((share @ (x_t * (told - target))[:, 0]).abs())
    spread = torch.stack([c.max() - c.min() for c in constants])
    rows = [
        below(
            f"denoising less explicit loss, five functions s, t in {_TIMES}: worst spread",
            spread.max(),
            1e-9,
        ),
        below("slopes of both in the a of s = a x: worst gap", max(slopes), 1e-9),
        below("grad log q(x_t | x_0) against -eps / sigma, worst", max(gaps), 1e-9),
        below("Tweedie's formula against the slope of log p, worst", max(tweedie), 1e-9),
        equal(
            "the constant at t = 0.5 against 1 / sigma^2 - E |grad log p|^2",
            constants[2][0],
            _constant(0.5),
            1e-9,
        ),
        above("least that another s loses against grad log p", min(least), 0),
    ]
    line = torch.linspace(-3, 3, 121, dtype=torch.float64)[:, None]
    figure = {"x": line[:, 0]} | {
        f"score at t = {t:g}": _slope(line, Cosine().level(t))[:, 0] for t in _TIMES
    }
    return Proof("score-matching", "Denoising is score matching", _STATEMENT, rows, figure)


def _expectation() -> tuple[Tensor, Tensor, Tensor]:
    """x_0 (n, 1), eps (n, 1) and weights (n,) of quadrature over the data and the noise."""
    nodes, weights = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(_NODES))
    weights = weights / math.sqrt(2 * math.pi)
    x = _DATA.means + _DATA.stds[:, None] * nodes  # (k, nodes)
    of_data = (_DATA.weights[:, None] * weights).flatten()
    n = x.numel()
    return (
        x.reshape(-1, 1).repeat_interleave(_NODES, 0),
        nodes.repeat(n)[:, None],
        (of_data[:, None] * weights).flatten(),
    )


def _slope(x: Tensor, level: Level[float]) -> Tensor:
    """grad log p(x_t) by differentiation."""
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(_DATA.log_prob(x, level.alpha, level.sigma).sum(), x)
    return slope


def _constant(t: float) -> Tensor:
    level = Cosine().level(t)
    x_0, eps, share = _expectation()
    slope = _slope(level.alpha * x_0 + level.sigma * eps, level)
    return 1 / level.sigma**2 - share @ slope.square()[:, 0]


WRONG = Wrong(
    "grad log q(x_t | x_0) = (x_0 - x_t) / sigma^2: right where alpha = 1, and used for a process "
    "that shrinks the data",
    {"formula": lambda D, x, level: (D - x) / level.sigma**2},
)
