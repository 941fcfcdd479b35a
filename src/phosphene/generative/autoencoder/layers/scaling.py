"""Examples scaled for networks, and back, for models that measure squared errors."""

import torch
from torch import Tensor, nn

from phosphene.core.event import Event
from phosphene.core.moments import Moments, restore, standardize

__all__ = ["Scaling"]


class Scaling(nn.Module):
    """A similarity between examples and what a network sees: y = (x - shift) / scale.

    Codes 0..levels-1 go to [-1, 1]. Reals are centered by the mean of the data, dimension by
    dimension, and divided by one number for all dimensions, so that the squared error of y is that
    of x up to a constant factor: nothing is weighted more than the data say.

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
        wide = None if event.discrete else torch.float64
        start = torch.full(event.shape, half if event.discrete else 0.0, dtype=wide)
        self.register_buffer("shift", start)
        self.register_buffer("scale", torch.tensor(half))
        self.register_buffer("unit", torch.tensor(0.5 if event.discrete else 1.0))

    @torch.no_grad()
    def fit(self, x: Tensor, moments: Moments | None = None) -> Tensor:
        """Take shift and scale of reals; return the mean of y, (*event.shape).

        Args:
            x: A batch.
            moments: Of all data; None for those of the batch.
        """
        if not self.discrete:
            moments = moments or Moments.of(x)
            self.shift.copy_(moments.mean)
            spread = moments.std.square().mean().sqrt()
            self.scale.copy_(torch.where(spread > 0, spread, torch.ones_like(spread)))
            self.unit.copy_(self.scale)
        return self.normalize(x, self.scale.dtype).mean(0)

    def normalize(self, x: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Examples as a network should see them, of order one."""
        x = x.to(self.shift.dtype) if self.discrete else x
        return standardize(x, self.shift, self.scale, dtype)

    def denormalize(self, y: Tensor) -> Tensor:
        """Back to the scale of the codes or the data's unit, as floats; codes are not rounded."""
        return restore(y, self.shift, self.scale)
