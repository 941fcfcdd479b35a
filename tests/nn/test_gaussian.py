"""KL divergences against torch.distributions, quadrature and their own laws (float64)."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from phosphene.nn.gaussian import (
    kl_diagonal,
    kl_full,
    kl_to_standard,
    log_normal,
    log_standard_normal,
)


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=g, dtype=torch.float64)


def covariance(d: int, seed: int) -> torch.Tensor:
    a = draw(d, d, seed=seed)
    return a @ a.T + 0.3 * torch.eye(d, dtype=torch.float64)


def test_diagonal_agrees_with_torch():
    mu_q, v_q, mu_p, v_p = (draw(5, 3, seed=s) for s in range(4))
    ours = kl_diagonal(mu_q, v_q, mu_p, v_p)
    theirs = kl_divergence(Normal(mu_q, (0.5 * v_q).exp()), Normal(mu_p, (0.5 * v_p).exp()))
    torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-12)


def test_standard_is_a_case_of_diagonal():
    mu, logvar = draw(5, 3), draw(5, 3, seed=1)
    zero = torch.zeros_like(mu)
    torch.testing.assert_close(
        kl_to_standard(mu, logvar), kl_diagonal(mu, logvar, zero, zero), atol=1e-14, rtol=1e-14
    )


def test_full_agrees_with_torch_and_with_diagonal():
    mu_q, mu_p = draw(4), draw(4, seed=1)
    S_q, S_p = covariance(4, 2), covariance(4, 3)
    theirs = kl_divergence(MultivariateNormal(mu_q, S_q), MultivariateNormal(mu_p, S_p))
    torch.testing.assert_close(kl_full(mu_q, S_q, mu_p, S_p), theirs, atol=1e-10, rtol=1e-10)
    v_q, v_p = draw(4, seed=4), draw(4, seed=5)
    full = kl_full(mu_q, v_q.exp().diag(), mu_p, v_p.exp().diag())
    torch.testing.assert_close(full, kl_diagonal(mu_q, v_q, mu_p, v_p).sum(), atol=1e-10, rtol=0)


@pytest.mark.parametrize(
    ("m_q", "s_q", "m_p", "s_p"), [(0.3, 0.7, -0.5, 1.4), (2.0, 1.5, 0.0, 1.0)]
)
def test_agrees_with_quadrature(m_q, s_q, m_p, s_p):
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    z = torch.from_numpy(m_q + s_q * nodes)[:, None]
    w = torch.from_numpy(weights / weights.sum())

    def log_density(m, s):
        mu = torch.tensor([m], dtype=torch.float64)
        return log_normal(z, mu, torch.full_like(mu, 2 * math.log(s)))

    quadrature = (w * (log_density(m_q, s_q) - log_density(m_p, s_p))).sum()
    args = [torch.tensor([v], dtype=torch.float64) for v in (m_q, 2 * math.log(s_q))]
    args += [torch.tensor([v], dtype=torch.float64) for v in (m_p, 2 * math.log(s_p))]
    assert abs(float(kl_diagonal(*args).sum() - quadrature)) < 1e-8


def test_is_positive_and_zero_only_at_equality():
    mu, S = draw(3), covariance(3, 1)
    assert abs(float(kl_full(mu, S, mu, S))) < 1e-12
    assert float(kl_full(mu, S, mu + 1e-3, S)) > 1e-8
    assert (kl_to_standard(draw(1000), draw(1000, seed=1)) >= 0).all()


def test_small_divergences_keep_their_digits_in_float32():
    logvar = torch.tensor([1e-3])
    exact = 0.5 * (math.expm1(1e-3) - 1e-3)
    assert abs(float(kl_to_standard(torch.zeros(1), logvar)) / exact - 1) < 1e-3


def test_is_not_symmetric():
    zero, wide = torch.zeros(1, dtype=torch.float64), torch.full((1,), math.log(4.0)).double()
    assert abs(float(kl_diagonal(zero, zero, zero, wide)) - (math.log(2) - 3 / 8)) < 1e-7
    assert abs(float(kl_diagonal(zero, wide, zero, zero)) - (3 / 2 - math.log(2))) < 1e-7


def test_log_densities_agree_with_torch():
    z, mu, logvar = draw(6, 3), draw(6, 3, seed=1), draw(6, 3, seed=2)
    theirs = Normal(mu, (0.5 * logvar).exp()).log_prob(z).sum(-1)
    torch.testing.assert_close(log_normal(z, mu, logvar), theirs, atol=1e-12, rtol=1e-12)
    standard = Normal(0.0, 1.0).log_prob(z).sum(-1)
    torch.testing.assert_close(log_standard_normal(z), standard, atol=1e-12, rtol=1e-12)
