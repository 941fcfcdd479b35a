"""Exponential moving average of the weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

__all__ = ["EMA"]


class EMA:
    r"""Keeps :math:`\bar\theta \leftarrow d\,\bar\theta + (1 - d)\,\theta`, once a step.

    Early on the decay is min(d, (1 + t) / (10 + t)), so that the random start is forgotten
    (Polyak and Juditsky, 1992, for the average; the ramp is common practice).

    Args:
        model: Its parameters are averaged; buffers are taken as they are.
        decay: d, between 0 and 1.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.parameters = list(model.parameters())
        self.average = [_local(p).clone() for p in self.parameters]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the parameters after step number ``step``."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.average, [_local(p) for p in self.parameters], 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model with the averaged weights inside the block."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for p, average in zip(self.parameters, self.average, strict=True):
            own = _local(p)
            kept = own.clone()
            own.copy_(average)
            average.copy_(kept)

    def state_dict(self) -> list[Tensor]:
        """The averages, in the order of the model's parameters."""
        return self.average

    @torch.no_grad()
    def load_state_dict(self, state: list[Tensor]) -> None:
        """Restore the averages."""
        for average, value in zip(self.average, state, strict=True):
            average.copy_(value)

    def replace(self, old: nn.Parameter, new: nn.Parameter, index: Tensor) -> None:
        """Follow a replaced parameter: row i of the new average is row index[i] of the old."""
        for i, p in enumerate(self.parameters):
            if p is old:
                self.parameters[i] = new
                self.average[i] = self.average[i][index].clone()


def _local(p: Tensor) -> Tensor:
    """The part of a parameter that lies on this rank: all of it, unless it is sharded."""
    value = p.detach()
    return value.to_local() if hasattr(value, "to_local") else value
