"""The posterior's maximum is ridge regression under a Gaussian prior, the lasso under Laplace."""

from collections.abc import Callable

import torch
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.learning.linear.lasso import kkt_violation, lasso, least_alpha
from phosphene.learning.linear.ridge import log_posterior, prior_penalty, ridge
from phosphene.proofs.proof import Proof, Wrong, above, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "argmax_w p(w | X, y) = argmin |y - X w|^2 + lambda |w|^2 = (X^T X + lambda I)^-1 X^T y, "
    "lambda = s^2 / t^2, for y ~ N(X w, s^2 I) and w ~ N(0, t^2 I) (Hoerl and Kennard, 1970); with "
    "a Laplace prior of scale c, argmin |y - X w|^2 / 2 + (s^2 / c) |w|_1 (Tibshirani, 1996)."
)


def prove(seed: int = 0, *, formula: Callable[[float, float], float] = prior_penalty) -> Proof:
    """Compare the closed form with the posterior's maximum, found three ways.

    The posterior's mode is also that of the Gaussian (w, y), conditioned on y: S_wy S_yy^-1 y.

    Args:
        seed: Of the data.
        formula: lambda from the scales s of the noise and t of the prior.

    Example:
        >>> prove().holds
        True
    """
    g = generator(seed)
    n, d, noise, prior = 60, 5, 0.7, 1.6
    x = torch.randn(n, d, generator=g, dtype=torch.float64)
    truth = prior * torch.randn(d, generator=g, dtype=torch.float64)
    y = x @ truth + noise * torch.randn(n, generator=g, dtype=torch.float64)
    w = ridge(x, y, formula(noise, prior))
    eye = torch.eye(n, dtype=torch.float64)
    conditioned = prior**2 * x.T @ torch.linalg.solve(prior**2 * x @ x.T + noise**2 * eye, y)
    w_at = w.clone().requires_grad_()
    slope = torch.autograd.grad(log_posterior(w_at, x, y, noise, prior), w_at)[0]
    found = _ascend(x, y, noise, prior)
    alpha = noise**2 / (0.1 * n)  # of a Laplace prior with c = 0.1
    sparse, _ = lasso(x, y, alpha)
    off = [_laplace(sparse + e, x, y, noise, 0.1) for e in _steps(d)]
    rows = [
        below(
            "ridge against the Gaussian (w, y) conditioned on y, worst gap",
            (w - conditioned).abs().max(),
            1e-10,
        ),
        below("gradient of the log-posterior at the ridge solution", slope.abs().max(), 1e-9),
        below(
            "ridge against gradient ascent of the log-posterior, worst gap",
            (w - found).abs().max(),
            1e-8,
        ),
        below(
            "ridge with lambda = 0 against least squares, worst gap",
            (ridge(x, y, 0.0) - torch.linalg.lstsq(x, y).solution).abs().max(),
            1e-10,
        ),
        below(
            "lasso: violation of its optimum's conditions, over alpha",
            kkt_violation(sparse, x, y, alpha) / alpha,
            1e-6,
        ),
        above(
            "lasso: least fall of the Laplace log-posterior at 20 points around it",
            _laplace(sparse, x, y, noise, 0.1) - torch.stack(off).max(),
            0.0,
        ),
        equal(
            "lasso: weights that are not 0 just above the least penalty that allows none",
            float((lasso(x, y, 1.0001 * least_alpha(x, y))[0] != 0).sum()),
            0,
            0,
        ),
    ]
    penalties = torch.logspace(-2, 4, 61, dtype=torch.float64)
    paths = torch.stack([ridge(x, y, float(p)) for p in penalties])
    figure = {"x": penalties.log10()} | {f"w_{j}": paths[:, j] for j in range(d)}
    return Proof("map-is-ridge", "Priors and penalties", _STATEMENT, rows, figure)


def _ascend(x: Tensor, y: Tensor, noise: float, prior: float) -> Tensor:
    """The posterior's maximum, step by step, from 0."""
    curvature = torch.linalg.eigvalsh(x.T @ x / noise**2)[-1] + 1 / prior**2
    w = torch.zeros(x.shape[1], dtype=x.dtype)
    for _ in range(400):
        w = w + (x.T @ (y - x @ w) / noise**2 - w / prior**2) / curvature
    return w


def _laplace(w: Tensor, x: Tensor, y: Tensor, noise: float, scale: float) -> Tensor:
    """log p(y | X, w) + log p(w) under a Laplace prior, up to a constant."""
    return -(y - x @ w).square().sum() / (2 * noise**2) - w.abs().sum() / scale


def _steps(d: int) -> Tensor:
    """Short and long steps along each axis, both ways."""
    eye = torch.eye(d, dtype=torch.float64)
    return torch.cat([size * eye for size in (-0.1, -0.001, 0.001, 0.1)])


WRONG = Wrong(
    "lambda = t^2 / s^2: noise and prior in each other's place, so that a narrow prior shrinks "
    "less",
    {"formula": lambda noise, prior: prior**2 / noise**2},
)
