"""The simple loss is the bound with other weights."""

from collections.abc import Callable

import torch
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.generative.diffusion.bound import continuous_rate, step_cost
from phosphene.generative.diffusion.level import Level
from phosphene.generative.diffusion.path import Cosine
from phosphene.generative.diffusion.schedule import between, build_schedule
from phosphene.generative.diffusion.target import TARGETS, build_target
from phosphene.generative.diffusion.weighting import Weighting, build_weighting
from phosphene.proofs.proof import Proof, Row, Wrong, above, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "|eps - m|^2 = SNR |x_0 - D|^2, SNR = (alpha / sigma)^2. The bound costs lambda_t |eps - m|^2 "
    "at step t, lambda_t = beta_t / (2 alpha_t (1 - alpha_bar_t)) for the variance beta_t; the "
    "simple loss puts 1 in the place of lambda_t, which is largest near the data (Ho, Jain and "
    "Abbeel, 2020). min-SNR is min(SNR, 5) on the error in the data, = min(1, 5 / SNR) on that in "
    "eps (Hang et al., 2023). In continuous time the bound's weight is -SNR'(t) / 2 on the error "
    "in the data (Kingma et al., 2021)."
)
_STEPS = 1000


def prove(seed: int = 0, *, formula: Callable[[str], Weighting] = build_weighting) -> Proof:
    """Errors of every target under each weighting, and the weights of all steps of a chain.

    Args:
        seed: Of the data, the noise and the errors.
        formula: The weighting of that name.

    Example:
        >>> prove().holds
        True
    """
    chain = build_schedule("linear", _STEPS)
    t = torch.arange(2, _STEPS + 1)
    steps = [between(chain.level(int(k)), chain.level(int(k) - 1)) for k in t]
    on_data = {
        v: torch.tensor([step_cost(step, v)[0] for step in steps], dtype=torch.float64)
        for v in ("beta", "posterior")
    }
    bars, beta = chain.alpha_bar, chain.betas[1:]
    snr = bars / (1 - bars)
    on_noise = on_data["beta"] / snr[2:]
    by_hand = beta / (2 * (1 - beta) * (1 - bars[2:]))
    fall = 0.5 * (snr[1:-1] - snr[2:])
    rows = [
        below("lambda_t against the cost of a step, t = 2..1000, worst ratio - 1",
              (on_noise / by_hand - 1).abs().max(), 1e-9),
        below("variance beta~_t: weight on the data against (SNR_{t-1} - SNR_t) / 2",
              (on_data["posterior"] / fall - 1).abs().max(), 1e-9),
        above("lambda_2 / lambda_1000: what the simple loss flattens", on_noise[0] / on_noise[-1],
              20),
        above("share of the bound's weight on eps in the first tenth of the steps",
              on_noise[:99].sum() / on_noise.sum(), 0.3),
        *_errors(formula, seed),
        *_limit(formula),
    ]  # fmt: skip
    figure = {"x": t.double(), "lambda_t": on_noise, "simple": torch.ones_like(on_noise)}
    return Proof("simple-loss-weighting", "The simple loss", _STATEMENT, rows, figure)


def _errors(formula: Callable[[str], Weighting], seed: int) -> list[Row]:
    """What an error in the data costs, by each weighting, of whatever the network gives."""
    g = generator(seed)
    level = Cosine().at(torch.linspace(0.02, 0.98, 49, dtype=torch.float64))
    level = Level(*(n[:, None] for n in level))
    x, eps, off = torch.randn(3, 49, 1, dtype=torch.float64, generator=g)
    x_t, D = level.alpha * x + level.sigma * eps, x + off
    snr = (level.alpha / level.sigma).square()
    cost: dict[str, list[Tensor]] = {}
    for name in TARGETS:
        target = build_target(name)
        p, q = target.linear(level)
        square = ((D - p * x_t) / q - target.of(x, eps, level)).square()
        for weighting in ("simple", "min-snr", "variational", "edm"):
            made = formula(weighting)(level, q) * square / off.square()
            cost.setdefault(weighting, []).append(made)
    named = dict(zip(TARGETS, cost["simple"], strict=True))
    least = snr.clamp(max=5)
    return [
        below("simple loss of eps against SNR on the data, worst ratio - 1",
              (named["noise"] / snr - 1).abs().max(), 1e-9),
        below("simple loss of v against SNR + 1 on the data",
              (named["v"] / (snr + 1) - 1).abs().max(), 1e-9),
        *(
            below(f"{w}: every target costs the same, worst ratio - 1", _apart(cost[w]), 1e-9)
            for w in ("min-snr", "variational", "edm")
        ),
        below("min-SNR on eps against min(1, 5 / SNR)",
              (cost["min-snr"][0] / snr - least / snr).abs().max(), 1e-9),
    ]  # fmt: skip


def _apart(costs: list[Tensor]) -> Tensor:
    return torch.stack([(c / costs[0] - 1).abs().max() for c in costs]).max()


def _limit(formula: Callable[[str], Weighting]) -> list[Row]:
    """Many steps of a path cost what the continuous weight does, between two times."""
    path, n = Cosine(), 4000
    times = torch.linspace(0.1, 0.9, n + 1, dtype=torch.float64)
    level = path.at(times)
    snr = (level.alpha / level.sigma).square()
    error = 1 / (1 + snr)  # of the best estimate of data from N(0, 1)
    steps = float((0.5 * (snr[:-1] - snr[1:]) * error[1:]).sum())
    one = torch.ones_like(times)
    rate = formula("variational")(level, one) * error
    own = continuous_rate(error.sqrt()[:, None], torch.zeros(n + 1, 1).double(), level)
    return [
        equal("4,000 steps against the integral of the variational weight, nats", steps,
              torch.trapezoid(rate, times), 0.002),
        below("that weight against the bound's own rate, worst", (rate / own - 1).abs().max(),
              1e-9),
    ]  # fmt: skip


def _of_any_target(name: str) -> Weighting:
    if name != "min-snr":
        return build_weighting(name)
    return lambda level, q: (level.alpha / level.sigma).square().clamp(max=5.0) + 0 * q


WRONG = Wrong(
    "min(SNR, 5) |eps - m|^2: the weight of an error in the data, put on an error in the noise",
    {"formula": _of_any_target},
)
