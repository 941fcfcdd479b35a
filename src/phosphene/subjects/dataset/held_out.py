"""A model judged on examples that are held out."""

import time

import torch
from torch import Tensor

from phosphene.core.batch import Batch, Noise
from phosphene.core.model import Model
from phosphene.core.phase import Loss
from phosphene.core.subject import Within
from phosphene.data.dataset import Dataset
from phosphene.train.runtime import Runtime
from phosphene.train.shares import share

__all__ = ["HeldOut"]

_STREAM = 0  # the noise stream of validation; training streams count from 1
_ROWS = 500
_FIRST = 16  # examples by which the time of more is measured


class HeldOut:
    """The mean of what a model is judged by over a validation split, with the same noise each time.

    Args:
        dataset: The split.
        seed: Seeds the noise.
        limit: Most examples that are used.
    """

    steps = 0

    def __init__(self, dataset: Dataset, seed: int, limit: int) -> None:
        self.dataset, self.seed, self.n = dataset, seed, min(len(dataset), limit)

    def expected(self, length: float | None) -> float:
        """None: a data set has no clock."""
        return 0.0

    @torch.no_grad()
    def fit(self, model: Model, runtime: Runtime, seconds: float) -> float:
        """Take no more examples than one judgement may have seconds for; what it will take.

        Found by judging ever more of them, until a tenth of the time is gone.
        """
        rows, most = min(_FIRST, self.n), self.n
        model.eval()
        while True:
            begun, self.n = time.perf_counter(), rows
            self(model, runtime)
            took = runtime.first(time.perf_counter() - begun)
            if rows == most or took > seconds / 10:
                break
            rows = min(2 * rows, most)
        model.train()
        self.n = max(1, min(most, int(rows * seconds / max(took, 1e-9))))
        return took * self.n / rows

    def __call__(
        self, model: Model, runtime: Runtime, within: Within | None = None
    ) -> dict[str, float]:
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
