"""Reparametrization: the gradient moves inside the expectation, and is quiet there.

    d/dphi E_{z ~ N(mu, sigma^2)} f(z) = E_{eps ~ N(0, 1)} d/dphi f(mu + sigma eps)

(Kingma and Welling, 2014; Rezende, Mohamed and Wierstra, 2014). The score-function estimator,
f(z) d/dphi log N(z; mu, sigma^2), has the same mean and a much larger variance (Williams, 1992).
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.learning.mathematics.reparametrised import pathwise_gradients, score_gradients
from phosphene.proofs.proof import Proof, Row, Wrong, above, below, equal

__all__ = ["WRONG", "prove"]

Gradients = Callable[[Callable[[Tensor], Tensor], float, float, Tensor], tuple[Tensor, Tensor]]

_STATEMENT = (
    "d/dphi E_{z~N(mu,sigma^2)} f(z) = E_{eps~N(0,1)} d/dphi f(mu + sigma eps). "
    "For f(z) = z^2 the gradient is (2 mu, 2 sigma); the score-function estimator agrees on "
    "average, with a much larger variance."
)


def prove(
    seed: int = 0,
    *,
    pathwise: Gradients = pathwise_gradients,
    score: Gradients = score_gradients,
) -> Proof:
    """Check both estimators for f(z) = z^2: exact by quadrature, unbiased by sampling.

    Gauss-Hermite quadrature with 16 nodes is exact for polynomials up to degree 31, so it gives
    the mean and the variance of either estimator without any sampling error. Kingma and Welling
    (2014); the score-function estimator is that of Williams (1992).

    Args:
        seed: Of the draws.
        pathwise: Gradients by mu and sigma, of f, mu, sigma and eps.
        score: The same by the score function.

    Example:
        >>> prove().holds
        True
    """
    mu, sigma = 1.3, 0.6
    truth = {"mu": 2 * mu, "sigma": 2 * sigma}
    nodes, weights = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(16))
    weights = weights / math.sqrt(2 * math.pi)
    draws = torch.randn(100_000, generator=generator(seed), dtype=torch.float64)

    def named(gradients: Gradients, eps: Tensor, mean: float = mu) -> dict[str, Tensor]:
        return dict(zip(truth, gradients(torch.square, mean, sigma, eps), strict=True))

    def variance(gradients: Gradients, mean: float = mu) -> dict[str, float]:
        return {
            name: float(weights @ v.square() - (weights @ v) ** 2)
            for name, v in named(gradients, nodes, mean).items()
        }

    rows: list[Row] = [
        equal(f"E d/d{name} f(mu + sigma eps), quadrature", weights @ values, truth[name], 1e-10)
        for name, values in named(pathwise, nodes).items()
    ]
    for title, gradients in (("pathwise", pathwise), ("score function", score)):
        for name, values in named(gradients, draws).items():
            error = float(values.std() / math.sqrt(len(values)))
            label = f"{title} d/d{name}, mean of {len(values):,} draws (4 s.e.)"
            rows.append(equal(label, values.mean(), truth[name], 4 * error))
    quiet, loud = variance(pathwise), variance(score)
    for name in truth:
        rows.append(above(f"variance, score / pathwise, d/d{name}", loud[name] / quiet[name], 5))
    rows.append(below("pathwise variance of d/dmu, 4 sigma^2", quiet["mu"], 4 * sigma**2, 1e-9))

    means = torch.linspace(-3, 3, 61, dtype=torch.float64)
    figure = {"x": means} | {
        f"{title} variance of d/dmu": torch.tensor(
            [variance(gradients, float(m))["mu"] for m in means]
        )
        for title, gradients in (("pathwise", pathwise), ("score-function", score))
    }
    return Proof("reparametrisation", "The reparametrization trick", _STATEMENT, rows, figure)


WRONG = Wrong(
    "z = mu + sigma^2 eps: the variance in the place of the deviation",
    {"pathwise": lambda f, mu, sigma, eps: pathwise_gradients(f, mu, sigma**2, eps)},
)
