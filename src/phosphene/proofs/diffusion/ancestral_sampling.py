"""Sampling step by step, on normal data: a linear recursion, and so exact."""

from collections.abc import Sequence
from typing import Protocol

import torch

from phosphene.core.rng import generator
from phosphene.generative.diffusion.exact import normal_estimate
from phosphene.generative.diffusion.level import Level
from phosphene.generative.diffusion.path import Cosine
from phosphene.generative.diffusion.samplers.ancestral import ancestral
from phosphene.generative.diffusion.samplers.ddim import ddim
from phosphene.generative.diffusion.samplers.table import Table, run
from phosphene.generative.diffusion.schedule import build_schedule
from phosphene.proofs.proof import Proof, Row, Wrong, below, equal

__all__ = ["SAMPLED", "WRONG", "moments", "prove"]

_STATEMENT = (
    "x_{t-1} = mu(x_t, D) + sqrt(v) z with v = beta_t or beta~_t, and z = 0 at t = 1. On data from "
    "N(1.5, 0.25) with the best estimate D, samples are normal, and as T grows their variance goes "
    "to 0.25 from above for beta_t and from below for beta~_t. DDIM with eta = 1 is that with "
    "beta~_t; with eta = 0 it runs either way (Ho, Jain and Abbeel, 2020; Song, Meng and Ermon, "
    "2021)."
)
MEAN, VARIANCE = 1.5, 0.25
SAMPLED = {
    (1000, "beta"): 0.25075,
    (1000, "posterior"): 0.24613,
    (50, "beta"): 0.2662,
    (50, "posterior"): 0.1966,
}
"""The variance of samples, by T and by the variance of a step."""


class Sampler(Protocol):
    """The table of a sampler with noise."""

    def __call__(self, levels: Sequence[Level[float]], *, variance: str = "beta") -> Table:
        """Of levels from noise to data."""
        ...


def moments(table: Table, mean: float, variance: float) -> tuple[float, float]:
    """Mean and variance of what a sampler makes of N(0, 1) with the best estimate: exactly.

    Args:
        table: The sampler, without a row that looks back.
        mean: Of the data.
        variance: Of the data.
    """
    m, v = 0.0, 1.0
    for row in table.rows:
        assert not row.before
        assert row.asked is not None
        level = row.asked
        gain = level.alpha * variance / (level.alpha**2 * variance + level.sigma**2)
        a = row.x + row.data * gain
        m = a * m + row.data * (mean - gain * level.alpha * mean)
        v = a**2 * v + row.noise**2
    return m, v


def prove(seed: int = 0, *, formula: Sampler = ancestral) -> Proof:
    """Follow mean and variance through the steps.

    Args:
        seed: Of the noise that DDIM takes there and back.
        formula: The sampler's table, of levels and of which variance.

    Example:
        >>> prove().holds
        True
    """
    rows = []
    for (T, variance), told in SAMPLED.items():
        table = formula(build_schedule("linear", T).levels(T), variance=variance)
        mean, found = moments(table, MEAN, VARIANCE)
        written = "beta_t" if variance == "beta" else "beta~_t"
        rows.append(equal(f"T = {T}, {written}: variance of samples", found, told, 5e-5))
        rows.append(equal(f"T = {T}, {written}: their mean", mean, MEAN, 0.02))
    levels = build_schedule("cosine", 200).levels(40)
    own, other = formula(levels, variance="posterior").rows, ddim(levels, eta=1.0).rows
    numbers = [
        torch.tensor([row[2:6] for row in table], dtype=torch.float64) for table in (own, other)
    ]
    apart = (numbers[0] - numbers[1]).abs().max()
    rows.append(below("DDIM, eta = 1, against it with beta~_t: largest gap", apart, 1e-12))
    rows.append(equal("noise of the last step", own[-1].noise, 0, 0))
    rows += _inverted(seed)
    counts = torch.tensor([10, 20, 50, 100, 200, 500, 1000])
    figure = {"x": counts.double()} | {
        f"variance of samples, {variance}": torch.tensor(
            [
                moments(
                    formula(build_schedule("linear", int(T)).levels(int(T)), variance=variance),
                    MEAN,
                    VARIANCE,
                )[1]
                for T in counts
            ]
        )
        for variance in ("beta", "posterior")
    }
    return Proof("ancestral-sampling", "Ancestral sampling", _STATEMENT, rows, figure)


def _inverted(seed: int) -> list[Row]:
    """Noise to data and back by DDIM without noise."""
    x = torch.randn(50, 1, dtype=torch.float64, generator=generator(seed))
    best = normal_estimate(0.0, VARIANCE)
    fixed = torch.full_like(x, 0.3)

    def there_and_back(steps: int, ask: object) -> float:
        levels = Cosine().levels(steps)[:-1]
        end = run(ask, x, ddim(levels))  # type: ignore[arg-type]
        return float((run(ask, end, ddim(levels[::-1])) - x).abs().max())  # type: ignore[arg-type]

    few, many = (there_and_back(steps, best) for steps in (100, 1000))
    return [
        below("eta = 0, D held: there and back", there_and_back(100, lambda x, at: fixed), 1e-9),
        below("eta = 0, 1,000 steps of the best estimate: there and back", many, 0.01),
        equal("its error with 100 steps over that with 1,000", few / many, 10, 1),
    ]


def _noise_at_the_end(levels: Sequence[Level[float]], *, variance: str = "beta") -> Table:
    rows = list(ancestral(levels, variance=variance).rows)
    first = levels[-2]
    rows[-1] = rows[-1]._replace(noise=first.sigma)
    return Table(rows)


WRONG = Wrong(
    "x_0 = mu(x_1, D) + sqrt(beta_1) z: noise in the last step too, as the notes' garbled 'if "
    "t > 1' has it",
    {"formula": _noise_at_the_end},
)
