"""Bars and stripes: few patterns, strongly dependent pixels, everything enumerable."""

import math
from itertools import product

import torch
from torch import Tensor

from phosphene.core.event import Event
from phosphene.data.dataset import Dataset, Split

__all__ = ["bars3", "bars4", "patterns"]

_COPIES = {"train": 100, "validation": 10, "test": 10}


def patterns(size: int) -> Tensor:
    """All distinct images (2^(size+1) - 2, 1, size, size) whose rows, or columns, are each uniform.

    By MacKay (2003): choose rows or columns, and switch each of them on or off. The empty and the
    full image come from both, and are counted once.

    Example:
        >>> [len(patterns(n)) for n in (3, 4)]
        [14, 30]
    """
    on = torch.tensor(list(product((0, 1), repeat=size)), dtype=torch.uint8)
    rows = on[:, :, None].expand(-1, size, size)
    columns = on[1:-1, None, :].expand(-1, size, size)
    return torch.cat([rows, columns])[:, None].contiguous()


def _bars(size: int, split: Split) -> Dataset:
    known = patterns(size)
    place = 2 ** torch.arange(size * size)
    numbers = (known.flatten(1).long() * place).sum(1)

    def log_prob(x: Tensor) -> Tensor:
        inside = torch.isin((x.flatten(1).long() * place).sum(1), numbers)
        return torch.where(inside, -math.log(len(known)), -math.inf)

    return Dataset(
        name=f"bars{size}",
        split=split,
        event=Event.image(1, size, levels=2),
        x=known.repeat(_COPIES[split], 1, 1, 1),
        log_prob=log_prob,
        notes=(f"{len(known)} patterns, equally often; the entropy is ln {len(known)} nats",),
    )


def bars3(split: Split) -> Dataset:
    """Bars and stripes of 3 x 3 pixels: 14 patterns, entropy ln 14 = 2.639 nats."""
    return _bars(3, split)


def bars4(split: Split) -> Dataset:
    """Bars and stripes of 4 x 4 pixels: 30 patterns, entropy ln 30 = 3.401 nats."""
    return _bars(4, split)
