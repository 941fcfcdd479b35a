"""The chain of small steps of noise, and its closed form."""

import math
from collections.abc import Callable

import torch

from phosphene.core.rng import generator
from phosphene.generative.diffusion.level import Level
from phosphene.generative.diffusion.schedule import (
    SCHEDULES,
    Between,
    Schedule,
    between,
    build_schedule,
    marginal,
)
from phosphene.proofs.proof import Proof, Row, Wrong, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "q(x_t | x_{t-1}) = N(sqrt(1 - beta_t) x_{t-1}, beta_t), t = 1..T, gives q(x_t | x_0) = "
    "N(sqrt(alpha_bar_t) x_0, 1 - alpha_bar_t), alpha_bar_t = prod_{s <= t} (1 - beta_s) "
    "(Sohl-Dickstein et al., 2015; Ho, Jain and Abbeel, 2020)."
)
_STEPS, _DRAWS = 1000, 20_000

Kernel = Callable[[Level[float], Level[float]], Between]


def prove(seed: int = 0, *, formula: Kernel = between) -> Proof:
    """Compose the kernels of one step, in numbers and by drawing, and compare with the closed form.

    Args:
        seed: Of the draws.
        formula: The step between two levels, the noisier first.

    Example:
        >>> prove().holds
        True
    """
    rows = [row for name in SCHEDULES for row in _composed(name, formula)]
    linear = build_schedule("linear", _STEPS)
    rows.append(
        equal("linear, beta 1e-4 to 0.02: alpha_bar_1000", linear.alpha_bar[-1], 4.0e-5, 5e-7)
    )
    rows += _drawn(build_schedule("cosine", 50), formula, seed)
    t = torch.arange(_STEPS + 1, dtype=torch.float64)
    figure = {"x": t} | {
        f"alpha_bar, {name}": build_schedule(name, _STEPS).alpha_bar for name in SCHEDULES
    }
    return Proof("forward-process", "The forward process", _STATEMENT, rows, figure)


def _composed(name: str, formula: Kernel) -> list[Row]:
    chain = build_schedule(name, _STEPS)
    mean, variance = 1.0, 0.0
    worst, own = [0.0, 0.0], [0.0, 0.0]
    for t, beta in enumerate(chain.betas.tolist(), 1):
        step = formula(chain.level(t), chain.level(t - 1))
        own[0] = max(own[0], abs(step.alpha - math.sqrt(1 - beta)))
        own[1] = max(own[1], abs(step.variance - beta))
        mean, variance = step.alpha * mean, step.alpha**2 * variance + step.variance
        told, std = marginal(chain, torch.ones((), dtype=torch.float64), t)
        worst[0] = max(worst[0], abs(mean - float(told)))
        worst[1] = max(worst[1], abs(variance - std**2))
    return [
        below(f"{name}: one step against sqrt(1 - beta_t), worst of {_STEPS}", own[0], 1e-12),
        below(f"{name}: its variance against beta_t", own[1], 1e-12),
        below(f"{name}: composed steps against sqrt(alpha_bar_t)", worst[0], 1e-12),
        below(f"{name}: their variance against 1 - alpha_bar_t", worst[1], 1e-12),
    ]


def _drawn(chain: Schedule, formula: Kernel, seed: int) -> list[Row]:
    """Draws that take the chain's steps one by one, at the middle of it."""
    g, start, t = generator(seed), 2.0, chain.steps // 2
    x = torch.full((_DRAWS,), start, dtype=torch.float64)
    for k in range(1, t + 1):
        step = formula(chain.level(k), chain.level(k - 1))
        eps = torch.randn(_DRAWS, generator=g, dtype=torch.float64)
        x = step.alpha * x + step.variance**0.5 * eps
    level = chain.level(t)
    root = math.sqrt(_DRAWS)
    return [
        equal(
            f"mean of {_DRAWS:,} draws after {t} steps from x_0 = 2 (5 s.e.)",
            x.mean(),
            level.alpha * start,
            5 * level.sigma / root,
        ),
        equal(
            "their variance (5 s.e.)",
            x.var(),
            level.sigma**2,
            5 * level.sigma**2 * math.sqrt(2) / root,
        ),
    ]


WRONG = Wrong(
    "q(x_t | x_{t-1}) = N(sqrt(1 - beta) x_{t-1}, beta_t): beta without its t, as it is garbled in "
    "the notes; here that of the last step",
    {"formula": lambda s, t: between(s, t)._replace(alpha=math.sqrt(1 - 0.02))},
)
