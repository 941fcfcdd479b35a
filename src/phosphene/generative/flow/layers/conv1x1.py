"""Invertible 1x1 convolutions: learned rotations of the channels."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.context import Context
from phosphene.core.errors import UnknownNameError
from phosphene.generative.flow.layers.actnorm import ActNorm
from phosphene.generative.flow.layers.precision import unrounded
from phosphene.generative.flow.layers.transform import Transform
from phosphene.nn.cached import Kept

__all__ = ["CONVOLUTIONS", "InvertibleConv", "NormConv"]

CONVOLUTIONS = ("plu", "dense")

Map = tuple[Tensor, Tensor, Tensor | None]
"""A matrix, the logarithm of its determinant's size, and a shift."""


class InvertibleConv(Transform):
    """z_ij = W x_ij at every pixel (i, j), or z = W x of vectors (Glow; Kingma and Dhariwal, 2018).

    log |det dz/dx| = h w log |det W|. W starts as a random rotation. ``dense`` learns W itself;
    ``plu`` learns W = P L (U + diag(sign exp(s))), P and the signs fixed, L and U triangular with
    ones and zeros on their diagonals: log |det W| = sum s then costs nothing.

    Evaluation without gradients computes W, its inverse and log |det W| once, and again only when
    a number of a parameter has changed, however it was changed, or has moved to another device or
    type (:class:`phosphene.nn.cached.Kept`).

    Args:
        channels: C; W is (C, C).
        kind: ``plu`` or ``dense``.

    Raises:
        UnknownNameError: There is no such kind.

    Example:
        >>> layer = InvertibleConv(3)
        >>> x = torch.randn(2, 3, 4, 4)
        >>> torch.allclose(layer.inverse(layer(x)[0]), x, atol=1e-5)
        True
    """

    rotation: Tensor
    signs: Tensor

    def __init__(self, channels: int, kind: str = "plu") -> None:
        super().__init__()
        if kind not in CONVOLUTIONS:
            raise UnknownNameError("1x1 convolution", kind, CONVOLUTIONS)
        self.kind, self.channels = kind, channels
        start = torch.linalg.qr(torch.randn(channels, channels))[0].contiguous()
        if kind == "dense":
            self.matrix = nn.Parameter(start)
        else:
            p, lower, upper = torch.linalg.lu(start)
            diagonal = upper.diagonal()
            self.register_buffer("rotation", p)
            self.register_buffer("signs", diagonal.sign())
            self.lower = nn.Parameter(lower.tril(-1))
            self.upper = nn.Parameter(upper.triu(1))
            self.log_scale = nn.Parameter(diagonal.abs().log())
        self._kept: Kept[Map] = Kept(self)

    # -- W, and log |det W| ---------------------------------------------------------------------

    def _triangles(self) -> tuple[Tensor, Tensor]:
        one = torch.ones_like(self.log_scale).diag()
        diagonal = (self.signs * self.log_scale.exp()).diag()
        return self.lower.tril(-1) + one, self.upper.triu(1) + diagonal

    def weight(self) -> tuple[Tensor, Tensor]:
        """W (C, C) and log |det W|."""
        if self.kind == "dense":
            return self.matrix, torch.linalg.slogdet(self.matrix)[1]
        lower, upper = self._triangles()
        return self.rotation @ (lower @ upper), self.log_scale.sum()

    def inverse_weight(self) -> tuple[Tensor, Tensor]:
        """W^-1 (C, C) and log |det W^-1|, computed in float64."""
        if self.kind == "dense":
            w = self.matrix.double()
            return torch.linalg.inv(w).to(self.matrix.dtype), -torch.linalg.slogdet(w)[1].to(
                self.matrix.dtype
            )
        lower, upper = (t.double() for t in self._triangles())
        back = torch.linalg.solve_triangular(
            lower, self.rotation.double().T, upper=False, unitriangular=True
        )
        back = torch.linalg.solve_triangular(upper, back, upper=True)
        return back.to(self.lower.dtype), -self.log_scale.sum()

    # -- the transform --------------------------------------------------------------------------

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Multiply by W."""
        return _apply(self._kept, x, "forward", lambda: (*self.weight(), None))

    def inverse_and_log_det(
        self, z: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Multiply by W's inverse."""
        return _apply(self._kept, z, "inverse", lambda: (*self.inverse_weight(), None))


class NormConv(Transform):
    """An ActNorm and an InvertibleConv in one multiplication: z = W e^s x + W b.

    The same function as the two in turn, and the same parameters; one pass over the image.

    Args:
        channels: C.
        kind: As :class:`InvertibleConv`'s.

    Example:
        >>> layer = NormConv(3)
        >>> x = torch.randn(2, 3, 4, 4)
        >>> torch.allclose(layer(x)[0], layer.conv(layer.norm(x)[0])[0], atol=1e-5)
        True
    """

    def __init__(self, channels: int, kind: str = "plu") -> None:
        super().__init__()
        self.norm = ActNorm(channels)
        self.conv = InvertibleConv(channels, kind)
        self._kept: Kept[Map] = Kept(self)

    def _both(self) -> Map:
        w, log_det = self.conv.weight()
        s, b = self.norm.log_scale, self.norm.shift
        return w * s.exp(), log_det + s.sum(), w @ b

    def _back(self) -> Map:
        w, log_det = self.conv.inverse_weight()
        s, b = self.norm.log_scale, self.norm.shift
        shrink = (-s).exp()
        return shrink[:, None] * w, log_det - s.sum(), -shrink * b

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Scale, shift and multiply by W."""
        return _apply(self._kept, x, "forward", self._both)

    def inverse_and_log_det(
        self, z: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Undo it."""
        return _apply(self._kept, z, "inverse", self._back)

    def inverse(self, z: Tensor, context: Context | None = None) -> Tensor:
        """Undo it, without the log-determinant."""
        with unrounded(z):
            w, _, b = self._kept.get("inverse", self._back)
            return F.linear(z, w, b) if z.dim() == 2 else _at_every_pixel(z, w, b)

    def prepare(self, x: Tensor, context: Context | None = None) -> Tensor:
        """Each in turn."""
        return self.conv.prepare(self.norm.prepare(x, context), context)


def _apply(
    kept: Kept[Map], x: Tensor, name: str, compute: Callable[[], Map]
) -> tuple[Tensor, Tensor]:
    """W x + b at every pixel or of every vector, and the log-determinant (n,)."""
    with unrounded(x):
        w, log_det, b = kept.get(name, compute)
        if x.dim() == 2:
            return F.linear(x, w, b), log_det.expand(len(x))
        return _at_every_pixel(x, w, b), (log_det * x[0, 0].numel()).expand(len(x))


def _at_every_pixel(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
    # Products of matrices are faster here than convolutions, forwards and backwards.
    if len(x) == 1 and b is not None:
        return torch.addmm(b[:, None], w, x.reshape(x.shape[1], -1)).view(x.shape)
    flat, each = x.flatten(2), w.expand(len(x), -1, -1)
    z = torch.bmm(each, flat) if b is None else torch.baddbmm(b[:, None], each, flat)
    return z.view(x.shape)
