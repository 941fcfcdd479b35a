"""DPM-Solver++(2M): two estimates of the data extrapolated in the log-SNR."""

import math
from collections.abc import Sequence
from itertools import pairwise

from phosphene.generative.diffusion.level import Level, log_snr
from phosphene.generative.diffusion.samplers.table import Row, Table

__all__ = ["dpm_solver"]


def dpm_solver(levels: Sequence[Level[float]]) -> Table:
    """x_t = (sigma_t / sigma_s) x_s + alpha_t (1 - e^-h) ((1 + 1 / 2r) D - 1 / 2r D_before).

    h is the growth of lambda = log(alpha / sigma) in this step and r that of the step before over
    it (Lu, Zhou, Bao, Chen, Li and Zhu, 2022). The first step and the last one, whose h is
    infinite where it ends at the data, are of order 1.

    Args:
        levels: From noise to data.

    Example:
        >>> from phosphene.generative.diffusion.path import Cosine
        >>> table = dpm_solver(Cosine().levels(15))
        >>> table.evaluations, table.rows[-1][2:5]
        (15, (0.0, 1.0, 0.0))
    """
    rows: list[Row] = []
    last = math.inf
    for s, t in pairwise(levels):
        h = (log_snr(t) - log_snr(s)) / 2
        of_x = t.sigma / s.sigma
        of_data = t.alpha - s.alpha * of_x  # alpha_t (1 - e^-h), also where s has no data in it
        more = h / (2 * last) if rows and math.isfinite(h) else 0.0
        rows.append(Row(s, t, of_x, of_data * (1 + more), -of_data * more))
        last = h
    return Table(rows)
