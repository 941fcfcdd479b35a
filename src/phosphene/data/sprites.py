"""Procedural sprites: images of one white shape whose five generative factors are known.

After the idea of dSprites (Matthey, Higgins, Hassabis and Lerchner, 2017), drawn by our own code
and anti-aliased: every combination of 3 shapes, 4 scales, 8 orientations, 8 x and 8 y positions,
6,144 images. Orientations span a quarter turn, because a square looks the same after one: no two
images are equal, and every factor can be read from every image.
"""

import math
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from phosphene.core.event import Event
from phosphene.data.dataset import Dataset, Split

__all__ = ["FACTORS", "SHAPES", "grid", "sprites", "sprites16", "sprites_binary"]

SHAPES = ("square", "ellipse", "heart")
FACTORS = {"shape": 3, "scale": 4, "orientation": 8, "x": 8, "y": 8}

_SCALES = (0.55, 0.7, 0.85, 1.0)
_SAMPLES = 8  # per pixel and axis, of the 32-pixel images
_TRAIN, _HELD_OUT = 4944, 600

Array = NDArray[np.floating[Any]]


def _inside(shape: str, x: Array, y: Array) -> NDArray[np.bool_]:
    """Where the shape of scale 1 is; it fits the unit circle, y points up."""
    if shape == "square":
        return (np.abs(x) < 0.7) & (np.abs(y) < 0.7)
    if shape == "ellipse":
        return x**2 + (y / 0.5) ** 2 < 1
    # The sextic heart (x^2 + y^2 - 1)^3 < x^2 y^3, moved and shrunk into the circle.
    u, v = 1.3 * x, 1.3 * y + 0.2
    w = u * u + v * v - 1
    heart: NDArray[np.bool_] = w * w * w < u * u * v * v * v
    return heart


def _templates(size: int) -> NDArray[np.uint8]:
    """Each shape, scale and orientation once, in the middle of a canvas with a margin.

    Windows of ``size`` pixels cut from the canvas put the shape anywhere (3, 4, 8, width, width).
    """
    step = size // 16
    width = size + 7 * step
    fine = _SAMPLES * 32 // size
    t = ((np.arange(width * fine) + 0.5) / fine - width / 2) / (size / 2 - 3.5 * step)
    x, y = np.meshgrid(t.astype(np.float32), -t.astype(np.float32))
    canvas = np.empty((3, 4, 8, width, width), dtype=np.uint8)
    for k in range(8):
        angle = (k + 0.5) * math.pi / 16  # never along the sampling grid, which would alias
        across = x * math.cos(angle) + y * math.sin(angle)
        up = y * math.cos(angle) - x * math.sin(angle)
        for i, shape in enumerate(SHAPES):
            for j, scale in enumerate(_SCALES):
                cover = _inside(shape, across / scale, up / scale)
                blocks = cover.reshape(width, fine, width, fine).mean((1, 3))
                canvas[i, j, k] = np.rint(255 * blocks)
    return canvas


@cache
def grid(size: int = 32) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All images (6144, size, size) and their factors (6144, 5), the last factor fastest.

    Example:
        >>> images, factors = grid(16)
        >>> images.shape, factors[-1].tolist()
        ((6144, 16, 16), [2, 3, 7, 7, 7])
    """
    assert size in (16, 32), size
    step = size // 16
    windows = np.lib.stride_tricks.sliding_window_view(_templates(size), (size, size), (3, 4))
    # A window further left shows the shape further right: x runs right and y runs down.
    placed = windows[:, :, :, ::-step, ::-step].swapaxes(3, 4)
    images = np.ascontiguousarray(placed.reshape(-1, size, size))
    factors = np.indices(tuple(FACTORS.values())).reshape(5, -1).T
    return images, np.ascontiguousarray(factors.astype(np.int64))


def _dataset(name: str, size: int, levels: int, split: Split) -> Dataset:
    images, factors = grid(size)
    if levels == 2:
        images = (images >= 128).astype(np.uint8)
    order = np.random.RandomState(0).permutation(len(images))
    cut = {"train": slice(None, _TRAIN), "validation": slice(_TRAIN, _TRAIN + _HELD_OUT)}
    index = order[cut.get(split, slice(_TRAIN + _HELD_OUT, None))]
    known = torch.from_numpy(factors[index])
    return Dataset(
        name=name,
        split=split,
        event=Event.image(1, size, levels),
        x=torch.from_numpy(images[index][:, None]),
        y=known[:, 0].clone(),
        classes=SHAPES,
        factors=known,
        factor_names=tuple(FACTORS),
    )


sprites = partial(_dataset, "sprites", 32, 256)
sprites_binary = partial(_dataset, "sprites-binary", 32, 2)
sprites16 = partial(_dataset, "sprites16", 16, 256)
