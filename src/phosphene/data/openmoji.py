"""Emoji that ship with the library: small color drawings, and the black lines they were made of."""

import numpy as np
import torch
from numpy.typing import NDArray

from phosphene.core.event import Event
from phosphene.data.dataset import Dataset, Split
from phosphene.data.embedded import read_asset

__all__ = ["openmoji", "openmoji_lines"]


def openmoji(split: Split) -> Dataset:
    """Color emoji of the OpenMoji project over white: codes 0..255 of shape (3, 32, 32).

    The labels are the project's groups of meaning (animals-nature, food-drink, flags ...). Variants
    of one motif by gender or direction are in one part; variants in a skin tone and logos of brands
    are left out.
    """
    arrays = read_asset("openmoji")
    return _dataset("openmoji", split, arrays[split].astype(np.int64))


def openmoji_lines(split: Split) -> Dataset:
    """Pairs of ``openmoji``: the line drawing (1, 32, 32) conditions the color drawing (3, 32, 32).

    Pictures whose lines another picture has as well are left out: the outline of a flag does not
    say which flag it is.
    """
    arrays = read_asset("openmoji")
    index = arrays[split].astype(np.int64)
    return _dataset("openmoji-lines", split, index[_alone(arrays["lines"])[index]], pairs=True)


def _alone(lines: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Whether a drawing is the only one with its lines."""
    _, inverse, count = np.unique(
        lines.reshape(len(lines), -1), axis=0, return_inverse=True, return_counts=True
    )
    alone: NDArray[np.bool_] = count[inverse.reshape(-1)] == 1
    return alone


def _dataset(name: str, split: Split, index: NDArray[np.int64], pairs: bool = False) -> Dataset:
    arrays = read_asset("openmoji")
    return Dataset(
        name=name,
        split=split,
        event=Event.image(3, 32),
        x=torch.from_numpy(arrays["x"][index]),
        y=torch.from_numpy(arrays["y"][index].astype(np.int64)),
        classes=tuple(arrays["groups"].tobytes().decode("utf-8").split("\n")),
        image=torch.from_numpy(arrays["lines"][index]) if pairs else None,
        image_event=Event.image(1, 32) if pairs else None,
    )
