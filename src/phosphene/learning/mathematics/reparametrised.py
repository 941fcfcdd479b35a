"""The gradient of an expectation: moved inside, or by the score.

    d/dphi E_{z ~ N(mu, s^2)} f(z) = int p(e) d/dphi f(g(e, phi)) de,   g = mu + s e,  e ~ N(0, 1)

(Kingma and Welling, 2014.) The substitution z = g(e, phi) turns int q(z) f(z) dz into
int p(e) f(g(e, phi)) de: p does not depend on phi, and the derivative may go inside. The score
function, f(z) d/dphi log q(z), has the same mean and needs no slope of f (Williams, 1992).
"""

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["pathwise_gradients", "score_gradients"]


def pathwise_gradients(
    f: Callable[[Tensor], Tensor], mu: float, scale: float, noise: Tensor
) -> tuple[Tensor, Tensor]:
    """d f(mu + s e) / d mu = f'(z), and / d s = f'(z) e, for each e (n,).

    Args:
        f: Differentiable, applied to each entry.
        mu: The mean.
        scale: s.
        noise: e, standard normal.

    Example:
        >>> pathwise_gradients(torch.square, 1.0, 2.0, torch.tensor([0.0, 1.0]))
        (tensor([2., 6.]), tensor([0., 6.]))
    """
    z = (mu + scale * noise).requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(f(z).sum(), z)
    return slope, slope * noise


def score_gradients(
    f: Callable[[Tensor], Tensor], mu: float, scale: float, noise: Tensor
) -> tuple[Tensor, Tensor]:
    """f(z) times the slopes of log N(z; mu, s^2): e / s, and (e^2 - 1) / s.

    Args:
        f: Applied to each entry; it need not be differentiable.
        mu: The mean.
        scale: s.
        noise: e, standard normal.
    """
    value = f(mu + scale * noise)
    return value * noise / scale, value * (noise.square() - 1) / scale
