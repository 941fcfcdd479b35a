"""Batches of a data set: batch k is a pure function of (seed, k)."""

from dataclasses import replace

import numpy as np
import torch

from phosphene.core.batch import Batch, Noise
from phosphene.core.context import Context
from phosphene.core.model import Model
from phosphene.core.rng import mix
from phosphene.core.subject import Source
from phosphene.core.trainable import Trainable
from phosphene.data.dataset import Dataset
from phosphene.train.shares import share

__all__ = ["DatasetSource"]

_PREPARED = 10_000
"""The most rows of a table that a model is prepared on."""


class DatasetSource(Source):
    """Batches of a data set: an endless row of permutations, cut every ``batch_size`` examples.

    Permutation e is drawn from (seed, e), so that batch k needs no history: nothing is saved, and
    a resumed run meets the same batches. Examples are gathered by one indexing operation.

    Args:
        dataset: The examples.
        batch_size: Rows of a global batch, over all ranks.
        seed: Seeds the permutations and the batches' noise.
        rank: This process.
        world: Number of processes.
        device: Where batches go.

    Example:
        >>> import phosphene as ph
        >>> source = DatasetSource(ph.data.load("ring8"), 32, seed=0)
        >>> torch.equal(source.indices(7), DatasetSource(ph.data.load("ring8"), 32, 0).indices(7))
        True
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        device: torch.device | str = "cpu",
    ) -> None:
        self.dataset, self.batch_size, self.seed = dataset, batch_size, seed
        self.rows = share(batch_size, rank, world)
        self.device = torch.device(device)
        self._permutations: dict[int, torch.Tensor] = {}

    def _permutation(self, epoch: int) -> torch.Tensor:
        if epoch not in self._permutations:
            if len(self._permutations) > 2:
                self._permutations.clear()
            order = np.random.default_rng(mix(self.seed, epoch)).permutation(len(self.dataset))
            self._permutations[epoch] = torch.from_numpy(order)
        return self._permutations[epoch]

    def indices(self, k: int) -> torch.Tensor:
        """Positions in the data set of this rank's rows of global batch k."""
        n = len(self.dataset)
        first, last = (k * self.batch_size + row for row in self.rows)
        parts = []
        while first < last:
            epoch, at = divmod(first, n)
            end = min(last - first, n - at)
            parts.append(self._permutation(epoch)[at : at + end])
            first += end
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def next(self, k: int, model: Model | None = None, *, stream: int = 0) -> Batch:
        """This rank's share of global batch k; streams share examples, not noise."""
        index = self.indices(k)
        x, context = self.dataset.take(index)
        if model is not None and not model.context:
            context = Context()
        first, last = self.rows
        batch = Batch(x, index, context, Noise((self.seed, 1 + stream, k), first, last - first))
        return batch if self.device.type == "cpu" else batch.to(self.device)

    @property
    def epoch(self) -> int:
        """Examples of the data set."""
        return len(self.dataset)

    @property
    def label_counts(self) -> torch.Tensor | None:
        """How often each label occurs in the data; None where there are none."""
        counts = self.dataset.label_counts
        return None if counts is None else counts.to(self.device)

    def prepare(self, model: Model) -> None:
        """Tell the model the scale of what conditions it, a first batch, and how labels occur."""
        if self.dataset.vector_moments is not None:
            model.scale_context(self.dataset.vector_moments)
        if type(model).prepare is not Trainable.prepare:
            model.prepare(self.whole(model))
        if self.label_counts is not None:
            model.count_labels(self.label_counts)

    def whole(self, model: Model) -> Batch:
        """What a model is prepared on: global batch 0 on every rank; of a table, all rows.

        A table of more than 10,000 rows gives as many of them, by the first permutation.
        """
        n = self.batch_size
        if self.dataset.columns:
            n = max(n, min(len(self.dataset), _PREPARED))
        every = DatasetSource(self.dataset, n, self.seed, device=self.device)
        return replace(every.next(0, model), moments=self.dataset.moments)
