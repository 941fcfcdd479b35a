"""Batches for data with few labels: each batch holds some labeled examples."""

from dataclasses import replace

import numpy as np
import torch

from phosphene.core.errors import ConfigError, DataError
from phosphene.data.dataset import Dataset

__all__ = ["oversample_labelled"]


def oversample_labelled(dataset: Dataset, fraction: float = 0.125, seed: int = 0) -> Dataset:
    """Repeat the labelled examples until they make up a fraction of the data set.

    With 100 labels among 8,000 examples a batch of 256 holds three labelled ones; with a fraction
    of 1/8 it holds about 32. Each labelled example is repeated equally often, up to one; which
    ones are repeated once more is drawn by the seed. Nothing is dropped, and a data set that holds
    enough labelled examples is returned unchanged.

    Args:
        dataset: With labels, -1 where unknown (:meth:`Dataset.with_labels`).
        fraction: Of the examples that shall be labelled, in (0, 1).
        seed: Draws the remainder.

    Raises:
        DataError: No example is labelled.
        ConfigError: The fraction is not between 0 and 1.

    Example:
        >>> import phosphene as ph
        >>> digits = ph.data.load("digits", "train").with_labels(100)
        >>> more = oversample_labelled(digits, 0.25)
        >>> len(digits), len(more), round(float((more.y >= 0).float().mean()), 3)
        (1297, 1596, 0.25)
    """
    if not 0.0 < fraction < 1.0:
        raise ConfigError(f"fraction of labelled examples must be in (0, 1), got {fraction}")
    if dataset.y is None or not bool((dataset.y >= 0).any()):
        raise DataError(f"data set {dataset.name!r} has no labelled examples to repeat")
    labelled = (dataset.y >= 0).nonzero()[:, 0]
    unknown = len(dataset) - len(labelled)
    wanted = round(fraction * unknown / (1 - fraction))
    if wanted <= len(labelled):
        return dataset
    times, rest = divmod(wanted - len(labelled), len(labelled))
    some = np.random.default_rng(seed).permutation(len(labelled))[:rest]
    index = torch.cat((torch.arange(len(dataset)), labelled.repeat(times), labelled[some]))
    note = f"{len(labelled)} labelled examples are repeated to make up {fraction:g} of the data"
    return replace(dataset.subset(index), notes=(*dataset.notes, note))
