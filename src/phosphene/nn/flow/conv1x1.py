"""Invertible 1x1 convolutions: learned rotations of the channels."""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.context import Context
from phosphene.core.errors import UnknownNameError
from phosphene.nn.flow.transform import Transform

__all__ = ["CONVOLUTIONS", "InvertibleConv"]

CONVOLUTIONS = ("plu", "dense")

What = Literal["weight", "inverse"]


class InvertibleConv(Transform):
    """z_ij = W x_ij at every pixel (i, j), or z = W x of vectors (Glow; Kingma and Dhariwal, 2018).

    log |det dz/dx| = h w log |det W|. W starts as a random rotation. ``dense`` learns W itself;
    ``plu`` learns W = P L (U + diag(sign exp(s))), P and the signs fixed, L and U triangular with
    ones and zeros on their diagonals: log |det W| = sum s then costs nothing.

    Evaluation without gradients computes W, its inverse and log |det W| once, and again only when
    a parameter has changed, by its version counter, or has moved to another device or type. Fused
    optimizers write past those counters; as each of their steps follows a pass with gradients,
    such a pass forgets what was kept, and so does a change of mode.

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
        self._kept: dict[What, tuple[tuple[object, ...], Tensor, Tensor]] = {}

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

    def train(self, mode: bool = True) -> "InvertibleConv":
        """Change the mode, and forget what evaluation kept."""
        self._kept.clear()
        super().train(mode)
        return self

    def _cached(
        self, what: What, compute: Callable[[], tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor]:
        if torch.compiler.is_compiling():
            return compute()
        if self.training or torch.is_grad_enabled():
            self._kept.clear()
            return compute()
        own = (*self.parameters(), *self.buffers())
        key = tuple((t._version, t.data_ptr(), t.device, t.dtype) for t in own)
        if what not in self._kept or self._kept[what][0] != key:
            self._kept[what] = (key, *compute())
        return self._kept[what][1:]

    # -- the transform --------------------------------------------------------------------------

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Multiply by W."""
        return self._multiply(x, "weight", self.weight)

    def inverse_and_log_det(
        self, z: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Multiply by W's inverse."""
        return self._multiply(z, "inverse", self.inverse_weight)

    def _multiply(
        self, x: Tensor, what: What, compute: Callable[[], tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor]:
        # Rounding to half precision would not be undone by the inverse.
        with torch.autocast(x.device.type, enabled=False):
            w, log_det = self._cached(what, compute)
            if x.dim() == 2:
                return F.linear(x, w), log_det.expand(len(x))
            z = F.conv2d(x, w[:, :, None, None])
        return z, (log_det * x[0, 0].numel()).expand(len(x))
