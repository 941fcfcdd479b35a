"""Ancestral sampling: one draw from each p(x_t | x_s)."""

from collections.abc import Sequence
from itertools import pairwise

from phosphene.generative.diffusion.level import Level
from phosphene.generative.diffusion.samplers.table import Row, Table
from phosphene.generative.diffusion.schedule import between

__all__ = ["ancestral"]


def ancestral(levels: Sequence[Level[float]], *, variance: str = "beta") -> Table:
    """p(x_t | x_s) = N(mean of q(x_t | x_s, D), variance): algorithm 2 of Ho et al. (2020).

    Both variances are right for some data: ``beta``, that of the step forward, for data that are
    standard normal; ``posterior``, that of q(x_t | x_s, x_0), for a single point. The last step
    adds no noise.

    Args:
        levels: From noise to data.
        variance: ``beta`` or ``posterior``.

    Example:
        >>> from phosphene.generative.diffusion.schedule import build_schedule
        >>> table = ancestral(build_schedule("linear", 1000).levels(1000))
        >>> table.evaluations, table.rows[-1].noise
        (1000, 0.0)
    """
    assert variance in ("beta", "posterior")
    rows = []
    for s, t in pairwise(levels):
        step = between(s, t)
        spread = step.posterior if variance == "posterior" else step.variance
        noise = spread**0.5 if t.sigma > 0 else 0.0
        rows.append(Row(s, t, step.from_x, step.from_data, noise=noise))
    return Table(rows)
