"""Pairs: pictures of sprites and their segmentation maps, either given the other.

The sprites of :mod:`phosphene.data.sprites`, painted in a random color on a random ground: a slope
between two colors with stripes across it, and a little noise everywhere. A map holds the class of
each pixel, 0 for the ground and 1, 2, 3 for square, ellipse and heart. Color, ground and noise are
independent of the map, so that many pictures belong to one map, and one map to each picture.
"""

from functools import cache, partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from phosphene.core.event import Event
from phosphene.data import sprites
from phosphene.data.dataset import Dataset, Split

__all__ = ["CLASSES", "NOISE", "masks_sprites", "paint", "sprites_masks"]

CLASSES = ("ground", *sprites.SHAPES)
"""What the codes of a segmentation map mean."""

NOISE = 3.0
"""Standard deviation of the noise, in codes: no pixel can be told more exactly than that."""

_SIZE = 16
_PAINTINGS: dict[Split, int] = {"train": 3, "validation": 1, "test": 1}
_SEEDS: dict[Split, int] = {"train": 10, "validation": 11, "test": 12}

Array = NDArray[np.floating[Any]]
Codes = NDArray[np.uint8]


def _colors(random: np.random.RandomState, n: int, low: float, high: float) -> Array:
    """Colors (n, 3) of any hue, their brightest channel between low and high."""
    color = random.random_sample((n, 3))
    bright = low + (high - low) * random.random_sample((n, 1))
    return np.asarray(bright * color / color.max(1, keepdims=True))


def _grounds(random: np.random.RandomState, n: int, size: int) -> Array:
    """Dark grounds (n, 3, size, size): a slope between two colors, and stripes across it."""
    a, b = (_colors(random, n, 40.0, 150.0)[:, :, None, None] for _ in range(2))
    slope, stripes = 2 * np.pi * random.random_sample((2, n, 1, 1))
    periods, phase = 1.0 + 2.0 * random.random_sample((n, 1, 1)), slope + stripes
    t = (np.arange(size) + 0.5) / size - 0.5
    x, y = t[None, None, :], t[None, :, None]
    along = 0.5 + 0.7 * (x * np.cos(slope) + y * np.sin(slope))
    across = np.sin(2 * np.pi * periods * (x * np.cos(stripes) + y * np.sin(stripes)) + phase)
    ground = a + (b - a) * along[:, None].clip(0.0, 1.0)
    return np.asarray(ground * (1.0 + 0.25 * across[:, None]))


def paint(cover: Codes, seed: int) -> Codes:
    """Pictures (n, 3, h, w) of sprites whose cover (n, h, w) is 0..255, drawn by the seed.

    Example:
        >>> images, _ = sprites.grid(16)
        >>> paint(images[:5], 0).shape
        (5, 3, 16, 16)
    """
    random = np.random.RandomState(seed)  # a stream that numpy has frozen
    n, size = cover.shape[:2]
    ground = _grounds(random, n, size)
    color = _colors(random, n, 190.0, 245.0)[:, :, None, None]
    part = cover[:, None] / 255.0
    picture = part * color + (1.0 - part) * ground
    picture += NOISE * random.standard_normal(picture.shape)
    return np.rint(picture).clip(0, 255).astype(np.uint8)


@cache
def _pairs(split: Split) -> tuple[Codes, Codes, NDArray[np.int64]]:
    """Pictures, maps and factors of a split, whose sprites are those of the plain data set."""
    plain = sprites.sprites16(split)
    assert plain.factors is not None
    times = _PAINTINGS[split]
    cover = np.tile(plain.x[:, 0].numpy(), (times, 1, 1))
    factors = np.tile(plain.factors.numpy(), (times, 1))
    shape = (factors[:, 0] + 1).astype(np.uint8)
    maps = np.where(cover >= 128, shape[:, None, None], np.uint8(0))
    return paint(cover, _SEEDS[split]), np.ascontiguousarray(maps[:, None]), factors


def _dataset(name: str, given: Literal["map", "picture"], split: Split) -> Dataset:
    pictures, maps, factors = _pairs(split)
    picture = (torch.from_numpy(pictures), Event.image(3, _SIZE))
    segmented = (torch.from_numpy(maps), Event.image(1, _SIZE, levels=len(CLASSES)))
    (x, event), (image, image_event) = (
        (picture, segmented) if given == "map" else (segmented, picture)
    )
    known = torch.from_numpy(factors)
    return Dataset(
        name=name,
        split=split,
        event=event,
        x=x,
        y=known[:, 0].clone(),
        classes=sprites.SHAPES,
        image=image,
        image_event=image_event,
        factors=known,
        factor_names=tuple(sprites.FACTORS),
    )


sprites_masks = partial(_dataset, "sprites-masks", "map")
masks_sprites = partial(_dataset, "masks-sprites", "picture")
