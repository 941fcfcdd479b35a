"""Fixed permutations of channels or dimensions."""

import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.generative.flow.layers.transform import Transform

__all__ = ["Permute"]


class Permute(Transform):
    """z_c = x_order(c): channels of images, or dimensions of vectors; of log-determinant 0.

    Args:
        order: A permutation of 0..C-1, int64.

    Example:
        >>> Permute.reversing(3)(torch.tensor([[1.0, 2.0, 3.0]]))[0]
        tensor([[3., 2., 1.]])
    """

    order: Tensor

    def __init__(self, order: Tensor) -> None:
        super().__init__()
        assert torch.equal(order.sort()[0], torch.arange(len(order))), "the order is no permutation"
        # Saved with the weights: a random order is part of the function.
        self.register_buffer("order", order)

    @classmethod
    def reversing(cls, channels: int) -> "Permute":
        """The last channel first."""
        return cls(torch.arange(channels - 1, -1, -1))

    @classmethod
    def random(cls, channels: int, generator: torch.Generator | None = None) -> "Permute":
        """Any order, each as likely."""
        return cls(torch.randperm(channels, generator=generator))

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Reorder."""
        return x.index_select(1, self.order), x.new_zeros(len(x))

    def inverse_and_log_det(
        self, z: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """Restore the order."""
        return z.index_select(1, self.order.argsort()), z.new_zeros(len(z))
