"""What multiplying by one matrix again and again does to states, and to gradients coming back."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from phosphene.core.errors import DataError
from phosphene.core.rng import generator

if TYPE_CHECKING:
    from phosphene.learning.recurrent.rnn import RNN

__all__ = [
    "STEEPEST",
    "eigenvector_form",
    "growth",
    "growth_bound",
    "jacobian_product",
    "linear_states",
    "normality_gap",
    "power_iteration",
    "spectral_radius",
]

STEEPEST = {"tanh": 1.0, "sigmoid": 0.25, "relu": 1.0}
"""gamma, the largest slope of each activation."""


def linear_states(W: Tensor, h: Tensor, steps: int) -> Tensor:
    """h_1, W h_1, W^2 h_1, ... (steps + 1, d): a network without inputs and without f."""
    states = [h]
    for _ in range(steps):
        states.append(W @ states[-1])
    return torch.stack(states)


def power_iteration(W: Tensor, steps: int = 1000, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """The eigenvalue of the largest absolute value, and its eigenvector of length 1.

    W^t h turns into the dominant eigenvector, and the angle falls by |lambda_2 / lambda_1| a step
    (von Mises and Pollaczek-Geiringer, 1929). That eigenvalue must be real and alone.

    Example:
        >>> value, vector = power_iteration(torch.tensor([[2.0, 1.0], [0.0, 1.0]]))
        >>> round(value.item(), 5), [abs(round(v, 5)) for v in vector.tolist()]
        (2.0, [1.0, 0.0])
    """
    _square(W)
    v = torch.randn(len(W), generator=generator(seed), dtype=torch.float64).to(W.dtype)
    for _ in range(steps):
        v = W @ v
        v = v / v.norm()
    return v @ W @ v, v


def growth(W: Tensor) -> Tensor:
    """The largest singular value: how much longer W can make a vector in one step."""
    found: Tensor = torch.linalg.svdvals(_square(W))[0]
    return found


def spectral_radius(W: Tensor) -> Tensor:
    """The largest absolute value of an eigenvalue: how much longer in the long run, per step.

    It is the same as :func:`growth` for normal W, less for others, and bounds no finite power.
    """
    found: Tensor = torch.linalg.eigvals(_square(W)).abs().max()
    return found


def growth_bound(W: Tensor, gamma: float, lag: int) -> Tensor:
    """(gamma s)^lag >= |dh_t/dh_k|, lag = t - k, s the largest singular value of W.

    Each factor is diag(f') W, with |diag(f')| <= gamma and |W| = s (Pascanu, Mikolov and Bengio,
    2013). So gamma s < 1 is enough for gradients to vanish, and gamma s > 1 is necessary for them
    to explode, not enough.
    """
    return (gamma * growth(W)) ** lag


def jacobian_product(layer: "RNN", k: int, t: int, example: int = 0) -> Tensor:
    """dh_t/dh_k of one example (hidden, hidden): the product of diag(f'(a_j)) W_hh, k < j <= t.

    Args:
        layer: After its forward pass.
        k: From 0, which is where it began.
        t: Up to T.
        example: Which.
    """
    product = torch.eye(layer.hidden, dtype=layer.dtype)
    for j in range(k, t):
        product = layer.jacobian(j)[example] @ product
    return product


def eigenvector_form(values: Tensor, vectors: Tensor) -> Tensor:
    """Q diag(lambda) Q^-1, which every diagonalizable matrix is; the inverse is Q^T for few.

    For normal W, W W^T = W^T W, and for these alone, Q can be chosen so that Q^-1 is Q*, the
    transpose of its complex conjugate; with a real Q, so that it is Q^T, for symmetric W alone.
    """
    W: Tensor = vectors @ torch.diag(values) @ torch.linalg.inv(vectors)
    return W


def normality_gap(W: Tensor) -> Tensor:
    """|W W^T - W^T W|, 0 for normal W alone."""
    _square(W)
    gap: Tensor = W @ W.T - W.T @ W
    length: Tensor = gap.norm()
    return length


def _square(W: Tensor) -> Tensor:
    if W.ndim != 2 or W.shape[0] != W.shape[1]:
        raise DataError(f"W must be a square matrix, got the shape {tuple(W.shape)}")
    return W
