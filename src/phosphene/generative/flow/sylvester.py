"""Sylvester flow: several planar layers at once, in an orthonormal basis."""

from typing import Literal

import torch
from torch import Tensor

from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.core.ranges import Count
from phosphene.core.settings import setting
from phosphene.generative.flow.flow import Flow
from phosphene.generative.flow.layers.roots import increasing_root
from phosphene.generative.flow.layers.stacks import (
    LayerParameters,
    above_minus_one,
    check_slope,
    stack,
)
from phosphene.generative.flow.layers.transform import Transform
from phosphene.generative.flow.settings import StackSettings

__all__ = ["ORTHOGONAL", "Orthogonal", "Sylvester", "SylvesterFlow"]

Orthogonal = Literal["householder", "qr"]
ORTHOGONAL: tuple[Orthogonal, ...] = ("householder", "qr")


class SylvesterFlow(StackSettings, Flow):
    """f = f_K after ... after f_1, f_k(h) = h + Q R tanh(S Q^T h + b), R and S triangular.

    By van den Berg, Hasenclever, Tomczak and Welling (2018). Each log-determinant is that of a
    triangular matrix; see :class:`~phosphene.generative.flow.sylvester.Sylvester`.

    Args:
        event: Reals, flattened in raster order.
        context: A label, a vector or an image that the layers' parameters are linear in, or
            nothing.

    Example:
        >>> from phosphene.core.event import Event
        >>> import torch
        >>> flow = SylvesterFlow(Event.real(2), layers=2)
        >>> flow.log_prob(torch.zeros(3, 2)).shape
        torch.Size([3])
    """

    layers: Count = setting(default=8, help="Number of layers.")
    rank: int | None = setting(
        default=None, help="Columns M of Q; None for as many as there are dimensions, at most 32."
    )
    orthogonal: str = setting(
        default="householder",
        help="How Q is made: ``householder`` (a product of M reflections) or ``qr``.",
    )

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        if self.event.discrete:
            self.refuse("its layers act on vectors of reals")
        m = min(self.event.dimensions, 32) if self.rank is None else self.rank

        def layer() -> Sylvester:
            return Sylvester(
                self.event.dimensions,
                m,
                orthogonal=self.orthogonal,
                slope=self.slope,
                context=self.context,
            )

        self.build(stack(layer, self.layers, self.direction))


class Sylvester(Transform):
    """z = x + Q R tanh(S Q^T x + b), Q (D, M) of orthonormal columns, R and S upper triangular.

    By van den Berg, Hasenclever, Tomczak and Welling (2018). Sylvester's identity
    det(I_D + A B) = det(I_M + B A) leaves a triangular matrix of size M, so that

        log |det| = sum_i log(1 + S_ii R_ii tanh'(a_i)),   a = S Q^T x + b,

    which is positive where S_ii R_ii > -1. Here S_ii = exp(s_i) and S_ii R_ii is above slope - 1:
    the sign of S_ii can be moved to R, since tanh is odd.

    The inverse is numeric: a + (S R) tanh(a) = S Q^T z + b is triangular, and is solved from the
    last row up, each row being increasing in its own a_i, by bracketed Newton steps to the last
    digits of the type; then x = z - Q R tanh(a).

    Args:
        dimensions: D; examples of any shape are flattened.
        rank: M, at most D.
        orthogonal: How Q is made: ``householder``, the first M columns of a product of M
            reflections I - 2 v v^T / |v|^2, or ``qr``, the orthogonal factor of a matrix.
        slope: The least 1 + S_ii R_ii: how far a layer may press.
        context: What Q, R, S and b depend on.

    Raises:
        ConfigError: The rank is not in 1..D, or the slope not inside (0, 1).
        UnknownNameError: There is no such way to make Q.

    Example:
        >>> layer = Sylvester(3, 2)
        >>> x = torch.randn(5, 3)
        >>> torch.allclose(layer.inverse(layer(x)[0]), x, atol=1e-5)
        True
    """

    def __init__(
        self,
        dimensions: int,
        rank: int,
        *,
        orthogonal: str = "householder",
        slope: float = 0.01,
        context: ContextSpec | None = None,
    ) -> None:
        super().__init__()
        if not 1 <= rank <= dimensions:
            raise ConfigError(f"rank must lie in 1..{dimensions}, the dimensions, got {rank}")
        if orthogonal not in ORTHOGONAL:
            raise UnknownNameError("way to make an orthogonal matrix", orthogonal, ORTHOGONAL)
        self.dimensions, self.rank, self.orthogonal = dimensions, rank, orthogonal
        self.slope = check_slope(slope)
        above = rank * (rank - 1) // 2
        self.sizes = (dimensions * rank, above, above, rank, rank, rank)
        q, upper, b = (
            torch.randn(rank * dimensions),
            0.01 * torch.randn(2 * above),
            torch.randn(rank),
        )
        diagonals = torch.cat((0.01 * torch.randn(rank), torch.zeros(rank)))
        self.params = LayerParameters(torch.cat((q, upper, diagonals, b)), context)

    def matrices(self, context: Context | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Q (n or 1, D, M), R and S (n or 1, M, M), b (n or 1, M)."""
        q, r, s, d, log_s, b = self.params(context).split(self.sizes, 1)
        vectors = q.unflatten(1, (self.rank, self.dimensions))
        columns = _reflected(vectors) if self.orthogonal == "householder" else _factor(vectors.mT)
        diagonal = log_s.exp()
        R = self._upper(r, above_minus_one(d, self.slope) / diagonal)
        return columns, R, self._upper(s, diagonal), b

    def _upper(self, above: Tensor, diagonal: Tensor) -> Tensor:
        row, column = torch.triu_indices(self.rank, self.rank, 1, device=above.device)
        matrix = torch.diag_embed(diagonal)
        return matrix.index_put((torch.arange(len(matrix))[:, None], row, column), above)

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """The closed direction."""
        Q, R, S, b = self.matrices(context)
        flat = x.flatten(1)
        h = torch.tanh(_times(S, _times(Q.mT, flat)) + b)
        diagonal = (S.diagonal(0, 1, 2) * R.diagonal(0, 1, 2)) * (1 - h.square())
        return (flat + _times(Q, _times(R, h))).view_as(x), torch.log1p(diagonal).sum(1)

    def inverse(self, z: Tensor, context: Context | None = None) -> Tensor:
        """The numeric direction, row by row, with gradients."""
        Q, R, S, b = self.matrices(context)
        flat = z.flatten(1)
        c, SR = _times(S, _times(Q.mT, flat)) + b, S @ R
        rows: list[Tensor] = []  # tanh(a_i) of the rows below, in order
        for i in reversed(range(self.rank)):
            below = torch.stack(rows, 1) if rows else c.new_zeros(len(c), 0)
            rows.insert(0, _row(SR[:, i, i], c[:, i] - (SR[:, i, i + 1 :] * below).sum(1)))
        return (flat - _times(Q, _times(R, torch.stack(rows, 1)))).view_as(z)


def _row(k: Tensor, c: Tensor) -> Tensor:
    """tanh(a) where a + k tanh(a) = c."""

    def height(a: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.tanh(a)
        return a + k * h - c, 1 + k * (1 - h.square())

    return torch.tanh(increasing_root(height, c - k.abs(), c + k.abs()))


def _times(matrix: Tensor, x: Tensor) -> Tensor:
    """Matrices (n or 1, a, b) times vectors (n, b)."""
    return (matrix @ x[..., None])[..., 0] if len(matrix) > 1 else x @ matrix[0].mT


def _reflected(vectors: Tensor) -> Tensor:
    """The first M columns of (I - 2 v_1 v_1^T / |v_1|^2) ... (I - 2 v_M v_M^T / |v_M|^2)."""
    n, m, d = vectors.shape
    columns = torch.eye(d, m, dtype=vectors.dtype, device=vectors.device).expand(n, d, m)
    for i in reversed(range(m)):
        v = vectors[:, i] / torch.linalg.vector_norm(vectors[:, i], dim=1, keepdim=True)
        columns = columns - 2 * v[:, :, None] * (v[:, None] @ columns)
    return columns


def _factor(matrix: Tensor) -> Tensor:
    """The orthogonal factor Q of Q R, R's diagonal being positive."""
    q, r = torch.linalg.qr(matrix)
    turned: Tensor = q * r.diagonal(0, 1, 2).sign()[:, None]
    return turned
