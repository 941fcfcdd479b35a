"""What decides which weights are the best, and when a training no longer gains."""

from typing import Protocol

import torch
from torch import Tensor

from phosphene.core.batch import Batch, Noise
from phosphene.core.model import Model
from phosphene.core.phase import Loss
from phosphene.data.dataset import Dataset
from phosphene.train.runtime import Runtime
from phosphene.train.source import share

__all__ = ["HeldOut", "Judge"]

_STREAM = 0  # the noise stream of validation; training streams count from 1
_ROWS = 500


class Judge(Protocol):
    """Scores a model, in evaluation mode; the lower ``loss``, the better."""

    def __call__(self, model: Model, runtime: Runtime) -> dict[str, float]:
        """Scores by name, among them ``loss``; every rank gets the same."""
        ...


class HeldOut:
    """The mean of what a model is judged by over a validation split, with the same noise each time.

    Args:
        dataset: The split.
        seed: Seeds the noise.
        limit: Most examples that are used.
    """

    def __init__(self, dataset: Dataset, seed: int, limit: int) -> None:
        self.dataset, self.seed, self.n = dataset, seed, min(len(dataset), limit)

    def __call__(self, model: Model, runtime: Runtime) -> dict[str, float]:
        """Mean loss and terms."""
        first, last = share(self.n, runtime.rank, runtime.world)
        copies = 1
        if self.n < runtime.world:  # every rank must have some: all have them all
            first, last, copies = 0, self.n, runtime.world
        sums: dict[str, Tensor] = {}
        for start in range(first, last, _ROWS):
            stop = min(start + _ROWS, last)
            index = torch.arange(start, stop)
            x, context = self.dataset.take(index)
            noise = Noise((self.seed, _STREAM), start, stop - start)
            loss = _loss(model, Batch(x, index, context, noise).to(runtime.device), runtime)
            for name, value in {"loss": loss.total, **loss.terms}.items():
                total = value.double().mean() * (stop - start)
                sums[name] = sums[name] + total if name in sums else total
        means = runtime.sum(torch.stack(list(sums.values()))) / (self.n * copies)
        return dict(zip(sums, means.tolist(), strict=True))


def _loss(model: Model, batch: Batch, runtime: Runtime) -> Loss:
    if runtime.sharded and "judged" not in model.__dict__:
        from torch.distributed.fsdp import register_fsdp_forward_method

        register_fsdp_forward_method(model, "judged")
    return model.judged(batch)
