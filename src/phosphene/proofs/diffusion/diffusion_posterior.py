"""One step of the chain taken back, where the data are known."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.generative.diffusion.schedule import Schedule, build_schedule, posterior
from phosphene.proofs.proof import Proof, Wrong, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "q(x_{t-1} | x_t, x_0) = N(mu, beta~_t), mu = sqrt(alpha_bar_{t-1}) beta_t / (1 - alpha_bar_t) "
    "x_0 + sqrt(alpha_t) (1 - alpha_bar_{t-1}) / (1 - alpha_bar_t) x_t = (x_t - (1 - alpha_t) / "
    "sqrt(1 - alpha_bar_t) eps) / sqrt(alpha_t), and beta~_t = beta_t (1 - alpha_bar_{t-1}) / "
    "(1 - alpha_bar_t), alpha_t = 1 - beta_t (Ho, Jain and Abbeel, 2020)."
)
_STEPS = 100
_AT = (2, 3, 10, 50, 100)

Posterior = Callable[[Schedule, Tensor, Tensor, int], tuple[Tensor, float]]


def prove(seed: int = 0, *, formula: Posterior = posterior) -> Proof:
    """Compare with Bayes' rule on a fine grid, and the form in x_0 with that in eps.

    Args:
        seed: Of the examples.
        formula: Mean and standard deviation, of a schedule, x_t, x_0 and t.

    Example:
        >>> prove().holds
        True
    """
    chain = build_schedule("linear", _STEPS)
    g = generator(seed)
    means, stds, forms = [], [], []
    for t in _AT:
        x_0, eps = torch.randn(2, 8, generator=g, dtype=torch.float64)
        level = chain.level(t)
        x_t = level.alpha * x_0 + level.sigma * eps
        mean, std = formula(chain, x_t, x_0, t)
        by_bayes = _bayes(chain, x_t, x_0, t)
        means.append((mean - by_bayes[0]).abs().max())
        stds.append((by_bayes[1] - std).abs().max())
    for t in range(1, _STEPS + 1):
        x_0, eps = torch.randn(2, 8, generator=g, dtype=torch.float64)
        level, beta = chain.level(t), float(chain.betas[t - 1])
        x_t = level.alpha * x_0 + level.sigma * eps
        by_noise = (x_t - beta / level.sigma * eps) / math.sqrt(1 - beta)
        forms.append((formula(chain, x_t, x_0, t)[0] - by_noise).abs().max())
    one = torch.ones(1, dtype=torch.float64)
    found = [formula(chain, one, one, t)[1] ** 2 for t in range(1, _STEPS + 1)]
    each = torch.tensor(found, dtype=torch.float64)
    bars = chain.alpha_bar
    beta_tilde = chain.betas * (1 - bars[:-1]) / (1 - bars[1:])
    rows = [
        below(f"mean against Bayes on a grid, t in {_AT}, worst", max(means), 1e-6),
        below("standard deviation against it, worst", max(stds), 1e-6),
        below("form in x_0 against form in eps, all t, worst", max(forms), 1e-12),
        below("variance against beta~_t, all t, worst", (each - beta_tilde).abs().max(), 1e-12),
        equal("variance at t = 1, where x_0 is all that is left", each[0], 0, 0),
        below("largest beta~_t / beta_t", (each / chain.betas).max(), 1),
    ]
    figure = {
        "x": torch.arange(1, _STEPS + 1).double(),
        "beta_t": chain.betas,
        "beta~_t": each,
    }
    return Proof("diffusion-posterior", "One step back", _STATEMENT, rows, figure)


def _bayes(chain: Schedule, x_t: Tensor, x_0: Tensor, t: int) -> tuple[Tensor, Tensor]:
    """Mean and deviation of q(x_t | x) q(x | x_0), normalized over a grid of x = x_{t-1}."""
    level, beta = chain.level(t - 1), float(chain.betas[t - 1])
    line = torch.linspace(-12, 12, 4001, dtype=torch.float64)
    grid = level.alpha * x_0[:, None] + level.sigma * line  # 12 deviations to either side
    log = -(x_t[:, None] - math.sqrt(1 - beta) * grid).square() / (2 * beta) - line.square() / 2
    share = log.softmax(1)
    mean = (share * grid).sum(1)
    return mean, (share * (grid - mean[:, None]).square()).sum(1).sqrt()


def _one_step_on(chain: Schedule, x_t: Tensor, x_0: Tensor, t: int) -> tuple[Tensor, float]:
    mean, std = posterior(chain, x_t, x_0, t)
    level, before = chain.level(t), chain.level(t - 1)
    beta = float(chain.betas[t - 1])
    return mean + (level.alpha - before.alpha) * beta / level.sigma**2 * x_0, std


WRONG = Wrong(
    "sqrt(alpha_bar_t) beta_t / (1 - alpha_bar_t) as the part of x_0: alpha_bar is one step on",
    {"formula": _one_step_on},
)
