"""Coupling layers: one half of the dimensions is transformed given the other half."""

from typing import Literal

import torch
from torch import Tensor, nn

from phosphene.core.context import Context
from phosphene.generative.flow.layers.affine_move import Places, affine_move, places_of
from phosphene.generative.flow.layers.precision import unrounded
from phosphene.generative.flow.layers.transform import Transform, total
from phosphene.nn.monotone import Affine, FlooredAffine, Monotone

__all__ = ["ChannelCoupling", "CheckerboardCoupling", "VectorCoupling", "by_parameter"]


class VectorCoupling(Transform):
    """y_A = h(x_A; b(x_B)), y_B = x_B, of vectors, for any monotone h and any network b.

    The Jacobian is triangular: its diagonal is h' on A and 1 on B, so that its log-determinant is
    sum log h', whatever b's own derivatives are (Dinh et al., 2015, 2017; Durkan et al., 2019).

    Args:
        mask: Booleans (D,); True for the dimensions A that are moved.
        monotone: h.
        conditioner: b, from (n, |B|) to (n, S |A|), parameter by parameter.

    Example:
        >>> from phosphene.generative.flow.layers.conditioner import VectorConditioner
        >>> from phosphene.nn.monotone import Affine
        >>> layer = VectorCoupling(
        ...     torch.tensor([True, False, True]), Affine(), VectorConditioner(1, (8,), 4)
        ... )
        >>> x = torch.randn(5, 3)
        >>> torch.equal(layer.inverse(layer(x)[0])[:, 1], x[:, 1])
        True
    """

    moved: Tensor
    kept: Tensor
    back: Tensor

    def __init__(self, mask: Tensor, monotone: Monotone, conditioner: nn.Module) -> None:
        super().__init__()
        self.monotone, self.conditioner = monotone, conditioner
        places = torch.arange(len(mask))
        self.register_buffer("moved", places[mask], persistent=False)
        self.register_buffer("kept", places[~mask], persistent=False)
        self.register_buffer("back", torch.cat((self.moved, self.kept)).argsort(), persistent=False)
        self._slices = places_of(mask), places_of(~mask)

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Move A as B says."""
        return self._move(x, context, inverse=False)

    def inverse_and_log_det(
        self, z: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Move A back: B is as it was, and says the same."""
        return self._move(z, context, inverse=True)

    def _move(self, x: Tensor, context: Context | None, *, inverse: bool) -> tuple[Tensor, Tensor]:
        moved, kept = self._places()
        seen = x[:, kept]
        # In mixed precision the network's numbers are rounded, the example's are not.
        params: Tensor = self.conditioner(seen, context).to(x.dtype)
        if isinstance(self.monotone, Affine | FlooredAffine):
            return affine_move(x, params, moved, self.monotone, inverse=inverse)
        h = self.monotone.inverse if inverse else self.monotone.forward
        split = params.view(len(x), self.monotone.size, len(self.moved)).movedim(1, -1)
        y, log_slope = h(x[:, moved], split)
        return torch.cat((y, seen), 1).index_select(1, self.back), total(log_slope)

    def _places(self) -> tuple[Places, Places]:
        """A and B: slices, or the buffers, which are where the model is."""
        moved, kept = self._slices
        return (
            moved if isinstance(moved, slice) else self.moved,
            kept if isinstance(kept, slice) else self.kept,
        )


class ChannelCoupling(Transform):
    """A coupling of images by channels: the others are transformed given the first C - C // 2.

    Args:
        channels: C, 2 or more.
        monotone: h.
        conditioner: b, from (n, |B|, h, w) to (n, S |A|, h, w), parameter by parameter.
        swap: Exchange the parts: the last channels decide, the first are moved.
    """

    def __init__(
        self, channels: int, monotone: Monotone, conditioner: nn.Module, *, swap: bool = False
    ) -> None:
        super().__init__()
        assert channels >= 2, "a channel coupling needs two channels"
        self.sizes = [channels - channels // 2, channels // 2]
        if swap:
            self.sizes.reverse()
        self.monotone, self.conditioner, self.swap = monotone, conditioner, swap

    def _move(
        self, x: Tensor, context: Context | None, how: Literal["forward", "inverse"]
    ) -> tuple[Tensor, Tensor]:
        """The image moved, and the logarithms of the slopes of what was."""
        kept, moved = x.split(self.sizes, 1)
        if self.swap:
            kept, moved = moved, kept
        params = by_parameter(self.conditioner(kept, context), self.monotone.size)
        with unrounded(x):
            moved, log_slope = getattr(self.monotone, how)(moved, params)
        parts = (moved, kept) if self.swap else (kept, moved)
        return torch.cat(parts, 1), log_slope

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Move one part as the other says."""
        z, log_slope = self._move(x, context, "forward")
        return z, total(log_slope)

    def inverse(self, z: Tensor, context: Context | None = None) -> Tensor:
        """Move it back, and sum no slopes."""
        return self._move(z, context, "inverse")[0]

    def inverse_and_log_det(
        self, z: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Move it back."""
        x, log_slope = self._move(z, context, "inverse")
        return x, total(log_slope)


class CheckerboardCoupling(Transform):
    """A coupling of images by a checkerboard: black pixels are transformed given the white ones.

    z = m x + (1 - m) h(x; b(m x)), m_ij = 1 where i + j is even: every pixel that is moved has
    four neighbors that say how (RealNVP; Dinh, Sohl-Dickstein and Bengio, 2017).

    Args:
        channels: C.
        monotone: h.
        conditioner: b, from (n, C + 1, h, w), the pixels that stay and m, to (n, S C, h, w),
            parameter by parameter.
        swap: Black pixels decide, white ones are moved.
    """

    def __init__(
        self, channels: int, monotone: Monotone, conditioner: nn.Module, *, swap: bool = False
    ) -> None:
        super().__init__()
        self.channels = channels
        self.monotone, self.conditioner, self.swap = monotone, conditioner, swap

    def _kept(self, x: Tensor) -> Tensor:
        h, w = (torch.arange(n, device=x.device) for n in x.shape[2:])
        return (h[:, None] + w) % 2 == int(self.swap)

    def _move(
        self, x: Tensor, context: Context | None, how: Literal["forward", "inverse"]
    ) -> tuple[Tensor, Tensor]:
        kept = self._kept(x)
        seen = x.masked_fill(~kept, 0.0)
        board = kept.to(x.dtype).expand(len(x), 1, -1, -1)
        out = self.conditioner(torch.cat((seen, board), 1), context)
        with unrounded(x):
            params = by_parameter(out, self.monotone.size)
            moved, log_slope = getattr(self.monotone, how)(x, params)
        return torch.where(kept, x, moved), total(log_slope.masked_fill(kept, 0.0))

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Move one color as the other says."""
        return self._move(x, context, "forward")

    def inverse_and_log_det(
        self, z: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Move it back."""
        return self._move(z, context, "inverse")


def by_parameter(out: Tensor, size: int) -> Tensor:
    """A network's (n, S C, ...), parameter by parameter, as a monotone takes it: (n, C, ..., S)."""
    # A view is several times faster than unflatten, and small images wait for little else.
    n, channels, *rest = out.shape
    return out.view(n, size, channels // size, *rest).movedim(1, -1)
