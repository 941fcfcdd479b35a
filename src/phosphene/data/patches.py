"""Patches of natural images: photographs that come with scikit-image, which is optional.

Only files inside the installed package are read; nothing is downloaded and scikit-image itself is
not imported. All are PNG, so that every machine has the same pixels: a portrait of the astronaut
Eileen Collins (NASA, public domain), Chelsea the cat (Stefan van der Walt, CC0), and a cup of
coffee (Rachel Michetti, CC0).
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from phosphene.core.errors import DataError
from phosphene.core.event import Event
from phosphene.data.dataset import Dataset, Split

__all__ = ["PHOTOGRAPHS", "natural_patches"]

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee")

_SIZE = 16
_REGION = 64
_STRIDE = 8
_SHARE = 8  # one region in so many is held out, for validation and again for test


def natural_patches(split: Split) -> Dataset:
    """Patches of photographs: codes 0..255 of shape (3, 16, 16), labelled by the photograph.

    Photographs are cut into regions of 64 x 64 pixels, what is left at their edges being lost, and
    each region belongs to one part: no pixel is in two. Training patches start every 8 pixels of a
    region, held-out ones lie side by side.

    Raises:
        DataError: scikit-image is not installed, or lacks a photograph.
    """
    regions, photograph = _regions(_folder())
    held_out = len(regions) // _SHARE
    order = np.random.RandomState(0).permutation(len(regions))  # its stream is frozen
    bounds = {
        "validation": (0, held_out),
        "test": (held_out, 2 * held_out),
        "train": (2 * held_out, None),
    }
    index = order[slice(*bounds[split])]
    stride = _STRIDE if split == "train" else _SIZE
    windows = np.lib.stride_tricks.sliding_window_view(regions[index], (_SIZE, _SIZE), (1, 2))
    found = windows[:, ::stride, ::stride]  # (regions, rows, columns, 3, 16, 16)
    x = found.reshape(-1, 3, _SIZE, _SIZE)
    y = np.repeat(photograph[index], found.shape[1] * found.shape[2])
    mixed = np.random.RandomState(1).permutation(len(x))  # the first ones must not be of one region
    return Dataset(
        name="natural-patches",
        split=split,
        event=Event.image(3, _SIZE),
        x=torch.from_numpy(np.ascontiguousarray(x[mixed])),
        y=torch.from_numpy(y[mixed]),
        classes=PHOTOGRAPHS,
    )


def _folder() -> Path:
    spec = find_spec("skimage")
    if spec is None or not spec.submodule_search_locations:
        raise DataError(
            "natural-patches needs the package 'scikit-image'; install it with "
            "pip install 'phosphene[images]'"
        )
    return Path(next(iter(spec.submodule_search_locations))) / "data"


@cache
def _regions(folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Regions (n, 64, 64, 3) of all photographs in raster order, and which one each is of."""
    found, photograph = [], []
    for k, name in enumerate(PHOTOGRAPHS):
        path = folder / f"{name}.png"
        try:
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("RGB"))
        except OSError as error:
            raise DataError(
                f"the installed scikit-image has no photograph {path.name!r}"
            ) from error
        rows, columns = (n // _REGION for n in pixels.shape[:2])
        whole = pixels[: rows * _REGION, : columns * _REGION]
        cut = whole.reshape(rows, _REGION, columns, _REGION, 3).swapaxes(1, 2)
        found.append(cut.reshape(-1, _REGION, _REGION, 3))
        photograph += [k] * (rows * columns)
    return np.concatenate(found), np.array(photograph, dtype=np.int64)
