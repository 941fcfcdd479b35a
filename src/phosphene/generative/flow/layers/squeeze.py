"""Squeezing: space becomes channels."""

import torch.nn.functional as F
from torch import Tensor

from phosphene.core.context import Context
from phosphene.generative.flow.layers.transform import Transform

__all__ = ["Squeeze", "squeeze", "unsqueeze"]


def squeeze(x: Tensor) -> Tensor:
    """Squares of 2x2 pixels become four channels: (n, c, h, w) to (n, 4 c, h/2, w/2).

    Channel 4 c + 2 i + j holds row i and column j of each square of channel c.
    """
    return F.pixel_unshuffle(x, 2)


def unsqueeze(z: Tensor) -> Tensor:
    """The inverse of :func:`squeeze`: (n, 4 c, h, w) to (n, c, 2 h, 2 w)."""
    return F.pixel_shuffle(z, 2)


class Squeeze(Transform):
    """Trade space for channels, so that couplings by channels mix neighbors.

    A permutation, of log-determinant 0 (RealNVP; Dinh, Sohl-Dickstein and Bengio, 2017).

    Example:
        >>> import torch
        >>> Squeeze()(torch.arange(4.0).view(1, 1, 2, 2))[0].flatten()
        tensor([0., 1., 2., 3.])
    """

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """(n, c, h, w) to (n, 4 c, h/2, w/2)."""
        return squeeze(x), x.new_zeros(len(x))

    def inverse_and_log_det(
        self, z: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """(n, 4 c, h, w) to (n, c, 2 h, 2 w)."""
        return unsqueeze(z), z.new_zeros(len(z))
