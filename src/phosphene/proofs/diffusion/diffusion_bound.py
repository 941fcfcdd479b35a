"""The bound of a chain of steps, on data of which everything is known."""

import math
from collections.abc import Callable

import torch

from phosphene.generative.diffusion.bound import normal_log_prob, prior_kl, step_cost
from phosphene.generative.diffusion.exact import normal_estimate
from phosphene.generative.diffusion.schedule import Between, between, build_schedule
from phosphene.proofs.proof import Proof, Wrong, above, equal

__all__ = ["GAPS", "WRONG", "gap", "prove"]

_STATEMENT = (
    "log p(x) >= E log p(x_0 | x_1) - KL(q(x_T | x_0) || p(x_T)) - sum_{t >= 2} E KL(q(x_{t-1} | "
    "x_t, x_0) || p(x_{t-1} | x_t)). On data from N(1.5, 0.25), with the best estimate of x_0, its "
    "gap falls as 1 / T for the variance beta_t. With beta~_t the steps near the data lose sum_{t "
    ">= 2} (1/r - 1 + log r) / 2, r = beta~_t / beta_t: .456 nats a dimension at T = 1000, and "
    "half of Euler's constant, .289, in the limit (Sohl-Dickstein et al., 2015; Ho, Jain and "
    "Abbeel, 2020)."
)
_EULER = 0.5772156649015329
MEAN, VARIANCE = 1.5, 0.25
GAPS = {50: 0.0220, 100: 0.0110, 1000: 0.00114, 4000: 0.00032}
"""Nats by which the bound falls short, by T."""

Cost = Callable[[Between, str], tuple[float, float]]


def gap(
    steps: int,
    variance: str,
    *,
    formula: Cost = step_cost,
    mean: float = MEAN,
    spread: float = VARIANCE,
) -> float:
    """-bound - entropy in nats, the expectation over normal data in closed form.

    Every term of the bound is quadratic in x_0 and D, so that a rule of three points, exact up to
    the fifth power, takes its expectation over data and noise.

    Args:
        steps: T, of the linear schedule.
        variance: ``beta`` or ``posterior``.
        formula: What a step costs: the parts of |x_0 - D|^2, and the rest.
        mean: Of the data.
        spread: Their variance.
    """
    chain = build_schedule("linear", steps)
    nodes = torch.tensor([-math.sqrt(3), 0.0, math.sqrt(3)], dtype=torch.float64)
    weight = torch.tensor([1, 4, 1], dtype=torch.float64) / 6
    x = mean + math.sqrt(spread) * nodes.repeat_interleave(3)[:, None]
    eps = nodes.repeat(3)[:, None]
    share = (weight[:, None] * weight).flatten()
    estimate = normal_estimate(mean, spread)
    total = float(share @ prior_kl(x, chain.level(steps)))
    for t in range(1, steps + 1):
        level = chain.level(t)
        D = estimate(level.alpha * x + level.sigma * eps, level)
        if t == 1:
            total -= float(share @ normal_log_prob(x, D, level.sigma))
        else:
            w, c = formula(between(level, chain.level(t - 1)), variance)
            total += w * float(share @ (x - D).square()[:, 0]) + c
    return total - 0.5 * math.log(2 * math.pi * math.e * spread)


def prove(seed: int = 0, *, formula: Cost = step_cost) -> Proof:
    """Sum the bound over all steps in closed form, and take the entropy from it.

    Args:
        seed: Nothing here is random.
        formula: What a step costs.

    Example:
        >>> prove().holds
        True
    """
    found = {T: gap(T, "beta", formula=formula) for T in GAPS}
    posterior = gap(1000, "posterior", formula=formula)
    rows = [
        equal(f"T = {T}, variance beta_t: gap, nats", found[T], told, 0.005 * told)
        for T, told in GAPS.items()
    ]
    rows += [
        above("least gap", min(found.values()), 0.0),
        equal("gap at T = 50 over that at 100", found[50] / found[100], 2, 0.02),
        equal("T = 1000, variance beta~_t: gap, nats", posterior, 0.456, 0.0005),
        equal(
            "the sum at T = 1000, against what beta~_t loses more than beta_t",
            _lost(1000),
            posterior - found[1000],
            0.015,
        ),
        equal(
            "the sum at T = 4000, against the same",
            _lost(4000),
            gap(4000, "posterior", formula=formula) - found[4000],
            0.005,
        ),
        equal("the sum at T = 1,000,000, against half of Euler's constant", _lost(10**6),
              _EULER / 2, 0.001),
    ]  # fmt: skip
    T = torch.tensor([10, 20, 50, 100, 200, 500])
    figure = {
        "x": T.double(),
        "gap, beta": torch.tensor([gap(int(t), "beta", formula=formula) for t in T]),
        "gap, posterior": torch.tensor([gap(int(t), "posterior", formula=formula) for t in T]),
    }
    return Proof("diffusion-bound", "The bound of a chain", _STATEMENT, rows, figure)


def _lost(steps: int) -> float:
    """KL(N(m, beta_t) || N(m, beta~_t)) summed over t >= 2."""
    chain = build_schedule("linear", steps)
    r = (1 - chain.alpha_bar[1:-1]) / (1 - chain.alpha_bar[2:])
    return float((1 / r - 1 + r.log()).sum() / 2)


def _means_alone(step: Between, variance: str) -> tuple[float, float]:
    return step_cost(step, variance)[0], 0.0


WRONG = Wrong(
    "KL = |mu_q - mu_p|^2 / (2 beta_t): what the two variances beta~_t and beta_t cost is left "
    "out, and the bound lies above the log-likelihood",
    {"formula": _means_alone},
)
