"""The evidence lower bound and its gap, exactly, in a linear-Gaussian model.

z ~ N(0, I),   x | z ~ N(W z + m, s2 I),   so   log p(x) = log N(x; m, W W^T + s2 I)
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from phosphene.core.rng import generator
from phosphene.nn.gaussian import kl_full, log_normal, log_standard_normal
from phosphene.proofs.proof import Proof, Wrong, above, below

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "log p(x) = E_q log p(x|z) - KL(q(z) || p(z)) + KL(q(z) || p(z|x)) for every q "
    "(reconstruction, rate, gap), so the ELBO, the first two terms, is <= log p(x), with equality "
    "where q is the posterior. Averaging K importance weights closes the gap: "
    "ELBO <= L_10 <= L_1000 <= log p (Burda, Grosse and Salakhutdinov, 2016)."
)


@dataclass(frozen=True)
class _Model:
    """A linear-Gaussian model, where everything is known."""

    W: Tensor
    m: Tensor
    s2: float

    def log_prob(self, x: Tensor) -> Tensor:
        eye = torch.eye(len(self.m), dtype=x.dtype)
        density = MultivariateNormal(self.m, self.W @ self.W.T + self.s2 * eye)
        log_p: Tensor = density.log_prob(x)
        return log_p

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (n, k) and covariance (k, k) of p(z|x)."""
        eye = torch.eye(self.W.shape[1], dtype=x.dtype)
        inverse = torch.linalg.inv(self.W.T @ self.W + self.s2 * eye)
        return torch.linalg.multi_dot((x - self.m, self.W, inverse)), self.s2 * inverse

    def reconstruction(self, x: Tensor, mu: Tensor, cov: Tensor) -> Tensor:
        """E_q log p(x|z) for q = N(mu, cov), in closed form: (n,)."""
        residual = (x - self.m - mu @ self.W.T).square().sum(-1)
        spread = torch.einsum("di,...ij,dj->...", self.W, cov, self.W)
        normalizer = len(self.m) * math.log(2 * math.pi * self.s2)
        return -0.5 * ((residual + spread) / self.s2 + normalizer)


def prove(seed: int = 0, *, kl: Callable[..., Tensor] = kl_full) -> Proof:
    """Check the identity for random q, the equality at the posterior, and importance weighting.

    Kingma and Welling (2014); importance weighting by Burda, Grosse and Salakhutdinov (2016). The
    model is linear and Gaussian, so that log p(x) and the posterior are known exactly.

    Args:
        seed: Of the model, the data and the q.
        kl: KL(q || p), of the means and covariances of q and p: the rate and the gap.

    Example:
        >>> prove().holds
        True
    """
    g = generator(seed)
    d, k, n = 6, 3, 200
    model = _Model(
        torch.randn(d, k, generator=g, dtype=torch.float64),
        torch.randn(d, generator=g, dtype=torch.float64),
        0.3,
    )
    z, eps = (torch.randn(n, i, generator=g, dtype=torch.float64) for i in (k, d))
    data = model.m + z @ model.W.T + model.s2**0.5 * eps
    log_p = model.log_prob(data)
    posterior_mu, posterior_cov = model.posterior(data)

    mu = posterior_mu + 0.5 * torch.randn(n, k, generator=g, dtype=torch.float64)
    root = torch.randn(n, k, k, generator=g, dtype=torch.float64)
    cov = 0.1 * root @ root.mT + 0.05 * torch.eye(k, dtype=torch.float64)
    elbo = _elbo(model, data, mu, cov, kl)
    gap = kl(mu, cov, posterior_mu, posterior_cov)
    tight = _elbo(model, data, posterior_mu, posterior_cov.expand(n, k, k), kl)
    rows = [
        below(
            "worst |ELBO + KL(q || posterior) - log p| over 200 random q",
            (elbo + gap - log_p).abs().max(),
            1e-9,
        ),
        above("smallest log p - ELBO over 200 random q", (log_p - elbo).min(), 0.0),
        below("worst |ELBO - log p| where q is the posterior", (tight - log_p).abs().max(), 1e-9),
    ]
    particles = (1, 10, 1000)
    bounds = [_importance(model, data, mu, cov.diagonal(dim1=-2, dim2=-1), c, g) for c in particles]
    for (a, low), (b, high) in zip(
        zip(particles, bounds, strict=True),
        [*zip(particles[1:], bounds[1:], strict=True), ("exact", log_p)],
        strict=True,
    ):
        error = float((high - low).std() / math.sqrt(n))
        rows.append(above(f"L_{b} - L_{a}, mean in nats", (high - low).mean(), 0.0, 4 * error))
    figure = {
        "x": torch.tensor(particles),
        "bound, mean in nats": torch.stack([b.mean() for b in bounds]),
        "exact log p": log_p.mean().expand(len(particles)),
    }
    return Proof("elbo-decomposition", "The ELBO and its gap", _STATEMENT, rows, figure)


def _elbo(model: _Model, x: Tensor, mu: Tensor, cov: Tensor, kl: Callable[..., Tensor]) -> Tensor:
    """E_q log p(x|z) - KL(q || N(0, I)) for q = N(mu, cov): (n,)."""
    k = mu.shape[-1]
    zero, eye = torch.zeros(k, dtype=mu.dtype), torch.eye(k, dtype=mu.dtype)
    rate = kl(mu, cov, zero.expand_as(mu), eye.expand_as(cov))
    return model.reconstruction(x, mu, cov) - rate


def _importance(
    model: _Model, x: Tensor, mu: Tensor, var: Tensor, particles: int, g: torch.Generator
) -> Tensor:
    """L_K = E log 1/K sum_k p(x, z_k) / q(z_k), one draw, for q = N(mu, diag var): (n,)."""
    eps = torch.randn(particles, *mu.shape, generator=g, dtype=mu.dtype)
    z = mu + var.sqrt() * eps
    noise = torch.full_like(x, math.log(model.s2))
    log_joint = log_normal(x, model.m + z @ model.W.T, noise) + log_standard_normal(z)
    return (log_joint - log_normal(z, mu, var.log())).logsumexp(0) - math.log(particles)


WRONG = Wrong(
    "KL(p(z) || q(z)) in the place of KL(q(z) || p(z)): the wrong way round",
    {"kl": lambda mu_q, cov_q, mu_p, cov_p: kl_full(mu_p, cov_p, mu_q, cov_q)},
)
