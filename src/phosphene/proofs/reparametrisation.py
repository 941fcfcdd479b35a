"""Reparametrization: the gradient moves inside the expectation, and is quiet there.

    d/dphi E_{z ~ N(mu, sigma^2)} f(z) = E_{eps ~ N(0, 1)} d/dphi f(mu + sigma eps)

(Kingma and Welling, 2014; Rezende, Mohamed and Wierstra, 2014). The score-function estimator,
f(z) d/dphi log N(z; mu, sigma^2), has the same mean and a much larger variance (Williams, 1992).
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.proofs.proof import Proof, Row, Wrong, above, below, equal

__all__ = ["WRONG", "prove", "sampled"]

_STATEMENT = (
    "d/dphi E_{z~N(mu,sigma^2)} f(z) = E_{eps~N(0,1)} d/dphi f(mu + sigma eps). "
    "For f(z) = z^2 the gradient is (2 mu, 2 sigma); the score-function estimator agrees on "
    "average, with a much larger variance."
)


def sampled(mu: Tensor, sigma: Tensor, eps: Tensor) -> Tensor:
    """z = g(eps, (mu, sigma)) = mu + sigma eps, so that z ~ N(mu, sigma^2) where eps ~ N(0, 1)."""
    return mu + sigma * eps


def prove(seed: int = 0, *, g: Callable[[Tensor, Tensor, Tensor], Tensor] = sampled) -> Proof:
    """Check both estimators for f(z) = z^2: exact by quadrature, unbiased by sampling.

    Gauss-Hermite quadrature with 16 nodes is exact for polynomials up to degree 31, so it gives
    the mean and the variance of either estimator without any sampling error. Kingma and Welling
    (2014); the score-function estimator is that of Williams (1992).

    Args:
        seed: Of the draws.
        g: What makes z of mu, sigma and eps.

    Example:
        >>> prove().holds
        True
    """
    mu, sigma = 1.3, 0.6
    truth = {"mu": 2 * mu, "sigma": 2 * sigma}
    nodes, weights = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(16))
    weights = weights / math.sqrt(2 * math.pi)
    draws = torch.randn(100_000, generator=generator(seed), dtype=torch.float64)

    rows: list[Row] = [
        equal(f"E d/d{name} f(mu + sigma eps), quadrature", weights @ values, truth[name], 1e-10)
        for name, values in _pathwise(nodes, mu, sigma, g).items()
    ]
    for title, estimator in (("pathwise", partial(_pathwise, g=g)), ("score function", _score)):
        for name, values in estimator(draws, mu, sigma).items():
            error = float(values.std() / math.sqrt(len(values)))
            label = f"{title} d/d{name}, mean of {len(values):,} draws (4 s.e.)"
            rows.append(equal(label, values.mean(), truth[name], 4 * error))
    quiet, loud = _variances(nodes, weights, mu, sigma, g)
    for name in truth:
        rows.append(above(f"variance, score / pathwise, d/d{name}", loud[name] / quiet[name], 5))
    rows.append(below("pathwise variance of d/dmu, 4 sigma^2", quiet["mu"], 4 * sigma**2, 1e-9))

    means = torch.linspace(-3, 3, 61, dtype=torch.float64)
    curves = [_variances(nodes, weights, float(m), sigma, g) for m in means]
    figure = {
        "x": means,
        "pathwise variance of d/dmu": torch.tensor([quiet["mu"] for quiet, _ in curves]),
        "score-function variance of d/dmu": torch.tensor([loud["mu"] for _, loud in curves]),
    }
    return Proof("reparametrisation", "The reparametrization trick", _STATEMENT, rows, figure)


def _pathwise(
    eps: Tensor, mu: float, sigma: float, g: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> dict[str, Tensor]:
    """Gradients of f(g(eps)) for each eps, by automatic differentiation."""
    m = torch.full_like(eps, mu, requires_grad=True)
    s = torch.full_like(eps, sigma, requires_grad=True)
    g(m, s, eps).square().sum().backward()
    assert m.grad is not None
    assert s.grad is not None
    return {"mu": m.grad, "sigma": s.grad}


def _score(eps: Tensor, mu: float, sigma: float) -> dict[str, Tensor]:
    """f(z) times the score of N(mu, sigma^2) at z = mu + sigma eps."""
    f = (mu + sigma * eps).square()
    return {"mu": f * eps / sigma, "sigma": f * (eps.square() - 1) / sigma}


def _variances(
    nodes: Tensor,
    weights: Tensor,
    mu: float,
    sigma: float,
    g: Callable[[Tensor, Tensor, Tensor], Tensor],
) -> tuple[dict[str, float], dict[str, float]]:
    """Exact variances of the pathwise and of the score-function gradient."""

    def variance(values: Tensor) -> float:
        return float(weights @ values.square() - (weights @ values) ** 2)

    quiet = {name: variance(v) for name, v in _pathwise(nodes, mu, sigma, g).items()}
    loud = {name: variance(v) for name, v in _score(nodes, mu, sigma).items()}
    return quiet, loud


WRONG = Wrong(
    "z = mu + sigma^2 eps: the variance in the place of the deviation",
    {"g": lambda mu, sigma, eps: mu + sigma.square() * eps},
)
