"""The divergence of a VAE's objective: two integrals of Gaussians, and their difference.

With q = N(mu, diag s^2) and p = N(0, I), in J dimensions,

    int q log q = -J/2 log 2 pi - 1/2 sum_j (1 + log s_j^2)
    int q log p = -J/2 log 2 pi - 1/2 sum_j (mu_j^2 + s_j^2)
    -KL(q || p) = 1/2 sum_j (1 + log s_j^2 - mu_j^2 - s_j^2)

(Kingma and Welling, 2014, appendix B.) q is diagonal, with a scale for each dimension.
"""

from torch import Tensor

from phosphene.nn.gaussian import LOG_TWO_PI

__all__ = ["expected_log_posterior", "expected_log_prior", "negative_divergence"]


def expected_log_posterior(logvar: Tensor) -> Tensor:
    """The integral of q log q, minus the entropy of q; the mean plays no part.

    Args:
        logvar: log s^2 (..., J).

    Returns:
        Nats (...).

    Example:
        >>> import torch
        >>> print(f"{float(expected_log_posterior(torch.zeros(1))):.4f}")
        -1.4189
    """
    return -0.5 * (LOG_TWO_PI + 1 + logvar).sum(-1)


def expected_log_prior(mu: Tensor, logvar: Tensor) -> Tensor:
    """The integral of q log p.

    Args:
        mu: Means (..., J).
        logvar: log s^2 (..., J).

    Returns:
        Nats (...).
    """
    return -0.5 * (LOG_TWO_PI + mu.square() + logvar.exp()).sum(-1)


def negative_divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    """1/2 sum_j (1 + log s^2 - mu^2 - s^2), what is added to the reconstruction; never above 0.

    Example:
        >>> import torch
        >>> negative_divergence(torch.ones(2), torch.zeros(2))
        tensor(-1.)
    """
    return 0.5 * (1 + logvar - mu.square() - logvar.exp()).sum(-1)
