"""The Kullback-Leibler divergence: never negative, zero only for equals, not symmetric."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.nn.gaussian import kl_diagonal, kl_full, kl_to_standard, log_normal
from phosphene.proofs.proof import Proof, Wrong, above, below, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "KL(q || p) = E_q[log q - log p] >= 0, with 0 only for q = p, and KL(q || p) != KL(p || q) "
    "(Kullback and Leibler, 1951). For Gaussians: KL = (tr(S_p^-1 S_q) + m^T S_p^-1 m - d "
    "+ log det S_p - log det S_q) / 2, m = mu_p - mu_q."
)


def prove(
    seed: int = 0,
    *,
    full: Callable[..., Tensor] = kl_full,
    diagonal: Callable[..., Tensor] = kl_diagonal,
) -> Proof:
    """Compare the closed forms with quadrature, with torch.distributions and with each other.

    Kullback and Leibler (1951). The two directions for N(0, 1) and N(0, 4) show that the
    divergence is not symmetric: log 2 - 3/8 one way, 3/2 - log 2 the other.

    Args:
        seed: Of the Gaussians.
        full: KL(q || p), of the means and covariances of q and p.
        diagonal: Its terms by dimension, of means and logarithms of variances.

    Example:
        >>> prove().holds
        True
    """
    zero = torch.zeros(1, dtype=torch.float64)
    log4 = zero + math.log(4.0)
    mu_q, cov_q, mu_p, cov_p = _gaussians(seed, d=2)
    closed = full(mu_q, cov_q, mu_p, cov_p)
    normal = torch.distributions.MultivariateNormal
    oracle = torch.distributions.kl_divergence(normal(mu_q, cov_q), normal(mu_p, cov_p))
    pairs = _gaussians(seed + 1, d=3, n=1000)
    some = full(*pairs)
    rows = [
        below(
            "closed form against quadrature of q (log q - log p), 100 pairs in 2-D, worst gap",
            (closed - _quadrature(mu_q, cov_q, mu_p, cov_p)).abs().max(),
            1e-8,
        ),
        below("closed form against torch.distributions, worst gap", _gap(closed, oracle), 1e-10),
        below(
            "diagonal form against the full one, worst gap",
            _diagonal_gap(full, diagonal, seed),
            1e-10,
        ),
        above("smallest of 1,000 divergences of random pairs in 3-D", some.min(), 0.0),
        below(
            "largest |KL(q || q)| of 1,000 Gaussians",
            full(pairs[0], pairs[1], pairs[0], pairs[1]).abs().max(),
            1e-10,
        ),
        equal(
            "KL(N(0,1) || N(0,4)) = log 2 - 3/8",
            diagonal(zero, zero, zero, log4),
            math.log(2) - 3 / 8,
            1e-12,
        ),
        equal(
            "KL(N(0,4) || N(0,1)) = 3/2 - log 2",
            diagonal(zero, log4, zero, zero),
            3 / 2 - math.log(2),
            1e-12,
        ),
    ]
    logvar = torch.linspace(-3, 3, 121, dtype=torch.float64)
    still = torch.zeros_like(logvar)
    figure = {
        "x": logvar,
        "KL(N(0, e^x) || N(0, 1))": kl_to_standard(still, logvar),
        "KL(N(0, 1) || N(0, e^x))": diagonal(still, still, still, logvar),
    }
    return Proof("kl-divergence", "The Kullback-Leibler divergence", _STATEMENT, rows, figure)


def _gaussians(seed: int, d: int, n: int = 100) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Means (n, d) and covariances (n, d, d) of n random pairs q, p."""
    g = generator(seed, d)
    mu = torch.randn(2, n, d, generator=g, dtype=torch.float64)
    root = torch.randn(2, n, d, d, generator=g, dtype=torch.float64)
    cov = root @ root.mT + 0.5 * torch.eye(d, dtype=torch.float64)
    return mu[0], cov[0], mu[1], cov[1]


def _quadrature(mu_q: Tensor, cov_q: Tensor, mu_p: Tensor, cov_p: Tensor) -> Tensor:
    """E_q[log q - log p] in two dimensions by a product of two 12-node Gauss-Hermite rules."""
    nodes, weights = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(12))
    weights = weights / math.sqrt(2 * math.pi)
    grid = torch.cartesian_prod(nodes, nodes)
    w = torch.cartesian_prod(weights, weights).prod(1)
    z = mu_q[:, None] + grid @ torch.linalg.cholesky(cov_q).mT
    normal = torch.distributions.MultivariateNormal
    log_q = normal(mu_q[:, None], cov_q[:, None]).log_prob(z)
    log_p = normal(mu_p[:, None], cov_p[:, None]).log_prob(z)
    return torch.matmul(log_q - log_p, w)


def _diagonal_gap(full: Callable[..., Tensor], diagonal: Callable[..., Tensor], seed: int) -> float:
    g = generator(seed, 7)
    mu, logvar = torch.randn(2, 2, 200, 4, generator=g, dtype=torch.float64)
    cov = logvar.exp().diag_embed()
    by_matrices = full(mu[0], cov[0], mu[1], cov[1])
    by_dimension = diagonal(mu[0], logvar[0], mu[1], logvar[1]).sum(-1)
    # The Monte-Carlo integrand must agree with the closed form's pieces too: log q - log p at mu.
    at_mean = log_normal(mu[0], mu[0], logvar[0]) - log_normal(mu[0], mu[1], logvar[1])
    density = torch.distributions.Normal
    oracle = density(mu[0], (logvar[0] / 2).exp()).log_prob(mu[0])
    oracle = oracle - density(mu[1], (logvar[1] / 2).exp()).log_prob(mu[0])
    return max(_gap(by_matrices, by_dimension), _gap(at_mean, oracle.sum(-1)))


def _gap(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())


def _without_determinants(mu_q: Tensor, cov_q: Tensor, mu_p: Tensor, cov_p: Tensor) -> Tensor:
    change = torch.logdet(cov_p) - torch.logdet(cov_q)
    return kl_full(mu_q, cov_q, mu_p, cov_p) - 0.5 * change


WRONG = Wrong(
    "KL = (tr(S_p^-1 S_q) + m^T S_p^-1 m - d) / 2: without log det S_p - log det S_q",
    {"full": _without_determinants},
)
