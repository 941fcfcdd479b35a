"""What the models of binary units share: their support, all states of a few, draws of logits."""

import torch
from torch import Tensor

from phosphene.core.errors import EventError
from phosphene.core.model import Model

__all__ = ["FEW", "BinaryUnits", "binary_states", "flip"]

FEW = 16
"""Up to this many units, all states are enumerated."""


class BinaryUnits(Model):
    """A model of codes 0 and 1, without a context.

    Args:
        event: Codes 0 and 1 of any shape.
        context: None.

    Raises:
        EventError: The event has other codes, or there is a context.
    """

    def setup(self) -> None:
        """Refuse other events, and contexts."""
        super().setup()
        if self.event.levels != 2:
            self.refuse("it has codes 0 and 1")
        if self.context:
            names = ", ".join(self.context.names)
            raise EventError(f"{type(self).__name__} takes no context, got {names}")

    def flat(self, x: Tensor) -> Tensor:
        """Codes (n, *event.shape), checked, as floats (n, D)."""
        return self.event.check(x).flatten(1).to(self.dtype)

    def shaped(self, v: Tensor) -> Tensor:
        """Floats (n, D) as codes (n, *event.shape)."""
        return v.reshape(len(v), *self.event.shape).to(torch.uint8)

    def known(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Flat codes, zero where they are not known, and the flat mask (n, D)."""
        seen = torch.broadcast_to(mask.bool(), x.shape)
        return self.flat(torch.where(seen, x, torch.zeros_like(x))), seen.flatten(1)


def binary_states(units: int, like: Tensor) -> Tensor:
    """All 2^units states (2^units, units) of zeros and ones, the first unit slowest.

    Example:
        >>> binary_states(2, torch.zeros(1)).tolist()
        [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    """
    number = torch.arange(2**units, device=like.device)[:, None]
    place = torch.arange(units - 1, -1, -1, device=like.device)
    return (number >> place & 1).to(like.dtype)


def flip(logits: Tensor, generator: torch.Generator | None) -> Tensor:
    """Bernoulli draws of these logits, as floats."""
    u = torch.rand(logits.shape, generator=generator, dtype=logits.dtype, device=logits.device)
    return (u < torch.sigmoid(logits)).to(logits.dtype)
