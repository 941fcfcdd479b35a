"""Annealed importance sampling: estimates of a normalizing constant."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["LogNormalizer", "annealed_importance", "sigmoid_schedule"]


class LogNormalizer(NamedTuple):
    """An estimate of log Z.

    Args:
        value: log of the mean weight, plus the log-normalizer of the base.
        stderr: Its standard error by the delta method: std(w) / (mean(w) sqrt(chains)).
        effective: Effective number of chains, (sum w)^2 / sum w^2.
    """

    value: float
    stderr: float
    effective: float


def sigmoid_schedule(steps: int, steepness: float = 4.0) -> list[float]:
    """Inverse temperatures 0 = b_0 < ... < b_steps = 1, dense at both ends.

    Example:
        >>> sigmoid_schedule(4)[0], sigmoid_schedule(4)[2], sigmoid_schedule(4)[4]
        (0.0, 0.5, 1.0)
    """
    t = torch.linspace(-1, 1, steps + 1, dtype=torch.float64) * steepness
    s = torch.sigmoid(t)
    return [float(b) for b in ((s - s[0]) / (s[-1] - s[0]))]


def annealed_importance(
    start: Tensor,
    log_f: Callable[[Tensor, float], Tensor],
    transition: Callable[[Tensor, float], Tensor],
    betas: Sequence[float],
    log_z: float,
) -> LogNormalizer:
    """Estimate log Z of f_1 from a base f_0 whose normalizer is known (Neal, 2001).

        log w = sum_k log f_{b_{k+1}}(x_k) - log f_{b_k}(x_k),   x_{k+1} ~ T_{b_{k+1}}(. | x_k)

    E w = Z_1 / Z_0 exactly, for any transitions T_b that leave f_b invariant. The estimate of log Z
    is low on average (Jensen), and its standard error says how far to trust it: a large one, or
    few effective chains, asks for more temperatures.

    Args:
        start: Exact samples of the base (chains, ...).
        log_f: Unnormalized log-probabilities (chains,) at an inverse temperature.
        transition: One step of a chain that leaves f_b invariant.
        betas: 0 = b_0 < ... < b_K = 1.
        log_z: Log-normalizer of the base.
    """
    assert betas[0] == 0.0, "the schedule starts at the base"
    assert betas[-1] == 1.0, "the schedule ends at the target"
    x, log_w = start, torch.zeros(len(start), dtype=torch.float64, device=start.device)
    for before, after in pairwise(betas):
        log_w += log_f(x, after).double() - log_f(x, before).double()
        if after < 1.0:
            x = transition(x, after)
    return _summary(log_w, log_z)


def _summary(log_w: Tensor, log_z: float) -> LogNormalizer:
    n = len(log_w)
    w = torch.exp(log_w - log_w.max())
    value = log_z + float(torch.logsumexp(log_w, 0)) - math.log(n)
    stderr = float(w.std() / w.mean()) / math.sqrt(n) if n > 1 else float("inf")
    return LogNormalizer(value, stderr, float(w.sum().square() / w.square().sum()))
