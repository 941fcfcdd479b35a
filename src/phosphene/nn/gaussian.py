"""Kullback-Leibler divergences between Gaussians, in nats, and Gaussian log-densities.

    KL(q || p) = E_q[log q - log p] >= 0, and 0 only if q = p.

It is not symmetric: for scalars with equal means, KL(N(0,1) || N(0,4)) = log 2 - 3/8, but
KL(N(0,4) || N(0,1)) = 3/2 - log 2 (Kullback and Leibler, 1951).
"""

import math

import torch
from torch import Tensor

__all__ = [
    "kl_diagonal",
    "kl_full",
    "kl_to_standard",
    "log_code_mass",
    "log_normal",
    "log_standard_normal",
]

LOG_TWO_PI = math.log(2.0 * math.pi)


def kl_to_standard(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mu, diag exp logvar) || N(0, I)) of each dimension: mu^2/2 + (v - 1 - log v)/2.

    Args:
        mu: Means (..., d).
        logvar: Logarithms of the variances (..., d).

    Returns:
        The terms (..., d), each >= 0; their sum over d is the divergence.

    Example:
        >>> kl_to_standard(torch.zeros(2), torch.zeros(2))
        tensor([0., 0.])
    """
    # expm1(v) - v instead of exp(v) - 1 - v: no cancellation where the posterior is the prior.
    return 0.5 * (mu.square() + (torch.expm1(logvar) - logvar))


def kl_diagonal(mu_q: Tensor, logvar_q: Tensor, mu_p: Tensor, logvar_p: Tensor) -> Tensor:
    """KL(N(mu_q, diag exp logvar_q) || N(mu_p, diag exp logvar_p)) of each dimension (..., d).

    Example:
        >>> zero = torch.zeros(1, dtype=torch.float64)
        >>> print(round(float(kl_diagonal(zero, zero, zero, zero + math.log(4.0))), 6))
        0.318147
        >>> print(round(float(kl_diagonal(zero, zero + math.log(4.0), zero, zero)), 6))
        0.806853
    """
    difference = logvar_q - logvar_p
    shift = (mu_q - mu_p).square() * torch.exp(-logvar_p)
    return 0.5 * (shift + torch.expm1(difference) - difference)


def kl_full(mu_q: Tensor, cov_q: Tensor, mu_p: Tensor, cov_p: Tensor) -> Tensor:
    """KL(N(mu_q, S_q) || N(mu_p, S_p)) with full covariance matrices.

        KL = (tr(S_p^-1 S_q) + m^T S_p^-1 m - d + log det S_p - log det S_q) / 2,  m = mu_p - mu_q

    Args:
        mu_q: Mean (..., d).
        cov_q: Covariance (..., d, d), symmetric positive definite.
        mu_p: Mean (..., d).
        cov_p: Covariance (..., d, d), symmetric positive definite.

    Returns:
        The divergences (...).

    Raises:
        torch.linalg.LinAlgError: A covariance is not positive definite.
    """
    root_q, root_p = torch.linalg.cholesky(cov_q), torch.linalg.cholesky(cov_p)
    ratio = torch.linalg.solve_triangular(root_p, root_q, upper=False)
    shift = torch.linalg.solve_triangular(root_p, (mu_p - mu_q)[..., None], upper=False)
    log_det = _half_log_det(root_p) - _half_log_det(root_q)
    quadratic = ratio.square().sum((-2, -1)) + shift.square().sum((-2, -1))
    divergence: Tensor = 0.5 * (quadratic - mu_q.shape[-1]) + log_det
    return divergence


def log_standard_normal(z: Tensor) -> Tensor:
    """Log-density of N(0, I) at z (..., d), summed over d: (...)."""
    return -0.5 * (z.square().sum(-1) + z.shape[-1] * LOG_TWO_PI)


def log_normal(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """Log-density of N(mu, diag exp logvar) at z (..., d), summed over d: (...)."""
    squares = (z - mu).square() * torch.exp(-logvar)
    return -0.5 * (squares + logvar + LOG_TWO_PI).sum(-1)


def log_code_mass(codes: Tensor, mean: Tensor, inverse: Tensor | float, levels: int) -> Tensor:
    """log of the normal's mass in the bin of each code, of which the outer two have no end.

    log(Phi(b) - Phi(a)), taken on the tail where both are small; over all codes it sums to 1.

    Args:
        codes: 0..levels-1.
        mean: On the scale of the codes.
        inverse: 1 / standard deviation, the same.
        levels: How many codes there are.

    Example:
        >>> codes = torch.arange(3)
        >>> log_code_mass(codes, torch.full((3,), 1.0), 1.0, 3).exp()
        tensor([0.3085, 0.3829, 0.3085])
    """
    k = codes.to(mean.dtype)
    inverse = torch.as_tensor(inverse, dtype=mean.dtype, device=mean.device)
    centered = k - mean
    lowest, highest = k == 0, k == levels - 1
    # By symmetry every bin is looked at from below; the lowest bin then lies highest.
    mirrored = -centered.abs()
    upper = (mirrored + 0.5) * inverse
    lower = (mirrored - 0.5) * inverse
    log_upper = torch.special.log_ndtr(upper)
    inside = log_upper + _log1mexp(log_upper - torch.special.log_ndtr(lower))
    # Bins much thinner than sigma lose their digits in that difference; there the density is
    # integrated: int phi(c + t) dt = phi(c) w sinh(y) / y with y = |c| w / 2, up to w^2 / 24.
    y = (0.5 * mirrored.abs() * inverse.square()).clamp(min=1e-4)
    density = -0.5 * ((mirrored * inverse).square() + LOG_TWO_PI) + torch.log(inverse)
    thin = density + y + torch.log(-torch.expm1(-2.0 * y) / (2.0 * y))
    inside = torch.where(inverse < torch.finfo(mean.dtype).eps ** 0.3, thin, inside)
    edge = torch.where(lowest, centered + 0.5, 0.5 - centered) * inverse
    return torch.where(lowest | highest, torch.special.log_ndtr(edge), inside)


def _log1mexp(d: Tensor) -> Tensor:
    """log(1 - exp(-d)) for d > 0."""
    return torch.log(-torch.expm1(-d.clamp(min=1e-30)))


def _half_log_det(root: Tensor) -> Tensor:
    return root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
