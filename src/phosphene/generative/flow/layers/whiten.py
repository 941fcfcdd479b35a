"""A linear layer that whitens the data, computed in closed form."""

import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.generative.flow.layers.transform import Transform

__all__ = ["Whiten", "shrunk_covariance"]

_WEIGHTS = (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.03, 0.1, 0.2, 0.4, 0.7, 1.0)
_FOLDS = 5


def shrunk_covariance(x: Tensor) -> Tensor:
    """(1 - a) S + a m I of rows x (n, D), S their covariance and m the mean of its diagonal.

    The weight a is that of 1e-6, 1e-5, ..., 0.4, 0.7, 1 under whose Gaussian the rows of each fifth
    are most likely given the others: near 1e-6 where columns are nearly dependent, larger where
    there are few rows for many columns. It is never 0, so that no direction is without variance.

    Example:
        >>> shrunk_covariance(torch.tensor([[1.0, 1.0], [-1.0, -1.0]]))
        tensor([[1.0000, 1.0000],
                [1.0000, 1.0000]])
    """
    if len(x) < 2 * _FOLDS:
        return _shrunk(_covariance(x), _WEIGHTS[0])
    fold = torch.arange(len(x), device=x.device) % _FOLDS
    scores = x.new_zeros(len(_WEIGHTS))
    for k in range(_FOLDS):
        rest, held = x[fold != k], x[fold == k]
        values, vectors = torch.linalg.eigh(_covariance(rest))
        values = values.clamp(min=0)
        squares = ((held - rest.mean(0)) @ vectors).square().sum(0)
        for i, a in enumerate(_WEIGHTS):
            variance = (1 - a) * values + a * values.mean()
            scores[i] -= (squares / variance).sum() + len(held) * variance.log().sum()
    return _shrunk(_covariance(x), _WEIGHTS[int(scores.nan_to_num(nan=-torch.inf).argmax())])


def _covariance(x: Tensor) -> Tensor:
    x = x - x.mean(0)
    return x.T @ x / len(x)


def _shrunk(covariance: Tensor, weight: float) -> Tensor:
    size = covariance.diagonal().mean()
    one = torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device)
    return (1 - weight) * covariance + weight * size * one


class Whiten(Transform):
    """z = L^-1 (x - m), L L^T the (shrunk) covariance of the data: log |det dz/dx| = -log det L.

    A flow whose other layers start as the identity then starts as one Gaussian of full covariance.
    m and L are buffers: :meth:`prepare` finds them once, in float64, from the rows that it is
    given, and nothing trains them. With one row, and before, the layer is the identity.

    Args:
        dimensions: D of the vectors (n, D).

    Example:
        >>> layer = Whiten(2)
        >>> x = torch.randn(500, 2) @ torch.tensor([[1.0, 0.9], [0.0, 0.1]])
        >>> z = layer.prepare(x)
        >>> torch.allclose(z.T.cov(correction=0), torch.eye(2), atol=0.1)
        True
        >>> torch.allclose(layer.inverse(z), x, atol=1e-4)
        True
    """

    mean: Tensor
    lower: Tensor
    prepared: Tensor

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dimensions))
        self.register_buffer("lower", torch.eye(dimensions))
        self.register_buffer("prepared", torch.tensor(False))

    def _log_det(self, x: Tensor) -> Tensor:
        return self.lower.diagonal().log().sum().expand(len(x))

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Shift, and solve one triangular system."""
        z = torch.linalg.solve_triangular(self.lower, (x - self.mean).T, upper=False).T
        return z, -self._log_det(x)

    def inverse_and_log_det(
        self, z: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Multiply by L, and shift back."""
        return torch.addmm(self.mean, z, self.lower.T), self._log_det(z)

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Set m and L by rows (n, D)."""
        wide = x.double()
        self.mean.copy_(wide.mean(0))
        if len(x) > 1:
            self.lower.copy_(torch.linalg.cholesky(shrunk_covariance(wide)))
        self.prepared.fill_(True)

    @torch.no_grad()
    def prepare(self, x: Tensor, context: Context | None = None) -> Tensor:
        """Set m and L by the batch, unless they have been set."""
        if not bool(self.prepared):
            self.fit(x)
        return self.forward_and_log_det(x, context)[0]
