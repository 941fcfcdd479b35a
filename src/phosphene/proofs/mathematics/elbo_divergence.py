"""The divergence in the ELBO: two integrals, and the signs of their difference."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.learning.mathematics.elbo_divergence import (
    expected_log_posterior,
    expected_log_prior,
    negative_divergence,
)
from phosphene.nn.gaussian import kl_to_standard, log_normal, log_standard_normal
from phosphene.proofs.proof import Proof, Wrong, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "int q log q = -J/2 log 2 pi - 1/2 sum (1 + log s^2), int q log p = -J/2 log 2 pi - 1/2 sum "
    "(mu^2 + s^2), and so -KL(q || p) = 1/2 sum (1 + log s^2 - mu^2 - s^2), for q = N(mu, diag "
    "s^2) and p = N(0, I) (Kingma and Welling, 2014)."
)


def prove(seed: int = 0, *, formula: Callable[[Tensor], Tensor] = expected_log_posterior) -> Proof:
    """Compare the integrals with quadrature, the result with torch and with sampling.

    Args:
        seed: Of the Gaussians and of the draws.
        formula: The integral of q log q from log s^2 (..., J).

    Example:
        >>> prove().holds
        True
    """
    g = generator(seed)
    mu, logvar = torch.randn(2, 200, 4, generator=g, dtype=torch.float64)
    own, prior = formula(logvar), expected_log_prior(mu, logvar)
    z, w = _nodes(mu, logvar)
    by_quadrature = [
        torch.einsum("k,knj->n", w, each(z))
        for each in (lambda z: _each(z, mu, logvar), lambda z: _each(z, 0 * mu, 0 * logvar))
    ]
    law = torch.distributions.Normal
    peer = torch.distributions.kl_divergence(law(mu, (logvar / 2).exp()), law(0 * mu, 1)).sum(1)
    draws = 100_000
    one, half = mu[:1], logvar[:1]
    eps = torch.randn(draws, 4, generator=g, dtype=torch.float64)
    at = one + (half / 2).exp() * eps
    sampled = log_standard_normal(at) - log_normal(at, one, half)
    error = float(sampled.std() / math.sqrt(draws))
    rows = [
        below("int q log q against quadrature, 200 Gaussians", _gap(own, by_quadrature[0]), 1e-10),
        below("int q log p against quadrature", _gap(prior, by_quadrature[1]), 1e-10),
        below(
            "1/2 sum (1 + log s^2 - mu^2 - s^2) against int q log p - int q log q",
            _gap(negative_divergence(mu, logvar), prior - own),
            1e-10,
        ),
        below("against torch.distributions", _gap(negative_divergence(mu, logvar), -peer), 1e-10),
        below(
            "against the library's divergence",
            _gap(negative_divergence(mu, logvar), -kl_to_standard(mu, logvar).sum(1)),
            1e-10,
        ),
        equal(
            f"E[log p - log q], mean of {draws:,} draws (5 s.e.)",
            sampled.mean(),
            (prior - own)[0],
            5 * error,
        ),
        below("largest -KL of 200 Gaussians", negative_divergence(mu, logvar).max(), 0.0),
    ]
    line = torch.linspace(-3, 3, 61, dtype=torch.float64)[:, None]
    figure = {
        "x": line[:, 0],
        "int q log q": formula(line),
        "int q log p": expected_log_prior(0 * line, line),
        "-KL": negative_divergence(0 * line, line),
    }
    return Proof("elbo-divergence", "The divergence in the ELBO", _STATEMENT, rows, figure)


def _nodes(mu: Tensor, logvar: Tensor) -> tuple[Tensor, Tensor]:
    """Points (k, n, J) and weights (k,) of Gauss-Hermite quadrature under q, exact here."""
    nodes, weights = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(8))
    return mu + (logvar / 2).exp() * nodes[:, None, None], weights / math.sqrt(2 * math.pi)


def _each(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """The log-density of each dimension."""
    return log_normal(z[..., None], mu[..., None], logvar[..., None])


def _gap(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())


WRONG = Wrong(
    "int q log q = -J/2 log 2 pi + 1/2 sum (1 + log s^2): the sign as it is garbled in the notes",
    {"formula": lambda logvar: -0.5 * (math.log(2 * math.pi) - 1 - logvar).sum(-1)},
)
