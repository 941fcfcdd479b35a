"""Linear layers of vectors, and examples of any shape as vectors."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.context import Context
from phosphene.generative.flow.layers.transform import Transform

__all__ = ["Diagonal", "Flattened", "LULinear"]


class LULinear(Transform):
    """z = L U x + b: L with ones, U with exp(s) on its diagonal; log |det dz/dx| = sum s.

    With a permutation before it, this is any invertible linear map (Oliva et al., 2018; Durkan et
    al., 2019). It starts as the identity, is inverted by two triangular solves, and its
    determinant costs nothing.

    Args:
        dimensions: D of the vectors (n, D).

    Example:
        >>> layer = LULinear(3)
        >>> x = torch.randn(5, 3)
        >>> torch.equal(layer(x)[0], x)
        True
    """

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.lower = nn.Parameter(torch.zeros(dimensions, dimensions))
        self.upper = nn.Parameter(torch.zeros(dimensions, dimensions))
        self.log_diagonal = nn.Parameter(torch.zeros(dimensions))
        self.bias = nn.Parameter(torch.zeros(dimensions))

    def _factors(self) -> tuple[Tensor, Tensor]:
        one = torch.eye(len(self.bias), dtype=self.bias.dtype, device=self.bias.device)
        return self.lower.tril(-1) + one, self.upper.triu(1) + self.log_diagonal.exp().diag()

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Multiply by U, by L, and shift."""
        lower, upper = self._factors()
        z = F.linear(F.linear(x, upper), lower, self.bias)
        return z, self.log_diagonal.sum().expand(len(x))

    def inverse_and_log_det(
        self, z: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Shift back and solve."""
        lower, upper = self._factors()
        rows = torch.linalg.solve_triangular(
            lower, (z - self.bias).T, upper=False, unitriangular=True
        )
        x = torch.linalg.solve_triangular(upper, rows, upper=True).T
        return x, -self.log_diagonal.sum().expand(len(z))


class Diagonal(Transform):
    """z = exp(s) x, of examples of any shape; log |det dz/dx| = sum s (NICE; Dinh et al., 2015).

    The first batch sets s so that each dimension of z has the deviation that is asked for; a
    dimension that never varies keeps s = 0.

    Args:
        shape: The shape of one example.
        deviation: Of the base distribution.

    Example:
        >>> Diagonal((2,)).prepare(torch.tensor([[1.0, 2.0], [-1.0, 2.0]]))
        tensor([[ 1.,  2.],
                [-1.,  2.]])
    """

    prepared: Tensor

    def __init__(self, shape: tuple[int, ...], deviation: float = 1.0) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(shape))
        self.deviation = deviation
        self.register_buffer("prepared", torch.tensor(False))

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Scale."""
        return x * self.log_scale.exp(), self.log_scale.sum().expand(len(x))

    def inverse_and_log_det(
        self, z: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Scale back."""
        return z * (-self.log_scale).exp(), -self.log_scale.sum().expand(len(z))

    @torch.no_grad()
    def prepare(self, x: Tensor, context: Context | None = None) -> Tensor:
        """Set the scale by the batch, unless it has been set."""
        if not bool(self.prepared):
            std = x.double().std(0, correction=0)
            varies = std > 1e-6 * x.double().abs().amax(0)
            self.log_scale.copy_(torch.where(varies, self.deviation / std, 1.0).log())
            self.prepared.fill_(True)
        return self.forward_and_log_det(x, context)[0]


class Flattened(Transform):
    """A transform of vectors, applied to examples of a shape in raster order.

    Args:
        transform: Of vectors (n, D).
        shape: The shape of one example, of D numbers.

    Example:
        >>> layer = Flattened(LULinear(4), (1, 2, 2))
        >>> layer(torch.zeros(3, 1, 2, 2))[0].shape
        torch.Size([3, 1, 2, 2])
    """

    def __init__(self, transform: Transform, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.transform, self.shape = transform, shape
        self.dimensions = math.prod(shape)

    def _flat(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), self.dimensions)

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Flatten, transform, shape."""
        z, log_det = self.transform.forward_and_log_det(self._flat(x), context)
        return z.view(len(x), *self.shape), log_det

    def inverse(self, z: Tensor, context: Context | None = None) -> Tensor:
        """Flatten, go back, shape."""
        return self.transform.inverse(self._flat(z), context).reshape(len(z), *self.shape)

    def inverse_and_log_det(
        self, z: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Flatten, go back, shape."""
        x, log_det = self.transform.inverse_and_log_det(self._flat(z), context)
        return x.reshape(len(z), *self.shape), log_det

    def prepare(self, x: Tensor, context: Context | None = None) -> Tensor:
        """The transform's own."""
        return self.transform.prepare(self._flat(x), context).view(len(x), *self.shape)
