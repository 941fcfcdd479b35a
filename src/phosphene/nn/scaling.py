"""Examples on the scale that networks like, and back, for models that measure squared errors."""

import torch
from torch import Tensor, nn

from phosphene.core.event import Event

__all__ = ["Scaling"]


class Scaling(nn.Module):
    """A similarity between examples and what a network sees: y = (x - shift) / scale.

    Codes 0..levels-1 go to [-1, 1]. Reals are centered by the mean of the first batch, dimension
    by dimension, and divided by one number for all dimensions, so that the squared error of y is
    that of x up to a constant factor: nothing is weighted more than the data say.

    Squared errors are reported on the scale [0, 1] for codes and in the data's unit for reals:
    multiply those of y by ``unit ** 2``.

    Args:
        event: What one example is.

    Example:
        >>> scaling = Scaling(Event.image(1, 1, levels=17))
        >>> y = scaling.normalize(torch.tensor([[[[0]]], [[[16]]]]))
        >>> y.flatten(), scaling.denormalize(y).flatten(), float(scaling.unit)
        (tensor([-1.,  1.]), tensor([ 0., 16.]), 0.5)
    """

    shift: Tensor
    scale: Tensor
    unit: Tensor

    def __init__(self, event: Event) -> None:
        super().__init__()
        half = 1.0 if event.levels is None else (event.levels - 1) / 2
        self.discrete = event.discrete
        self.register_buffer("shift", torch.full(event.shape, half if event.discrete else 0.0))
        self.register_buffer("scale", torch.tensor(half))
        self.register_buffer("unit", torch.tensor(0.5 if event.discrete else 1.0))

    @torch.no_grad()
    def fit(self, x: Tensor) -> Tensor:
        """Take shift and scale of reals from a batch; return the mean of y, (*event.shape)."""
        if not self.discrete:
            x = x.to(self.shift.dtype)
            self.shift.copy_(x.mean(0))
            spread = (x - self.shift).square().mean().sqrt()
            self.scale.copy_(torch.where(spread > 0, spread, torch.ones_like(spread)))
            self.unit.copy_(self.scale)
        return self.normalize(x, self.shift.dtype).mean(0)

    def normalize(self, x: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Examples as a network should see them, of order one."""
        return ((x.to(self.shift.dtype) - self.shift) / self.scale).to(dtype)

    def denormalize(self, y: Tensor) -> Tensor:
        """Back to the scale of the codes or the data's unit, as floats; codes are not rounded."""
        return y * self.scale + self.shift
