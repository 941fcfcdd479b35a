"""Data sets of a few dozen examples, made by formula: no file, no download, the same each time."""

import math

import torch
from torch import Tensor

from phosphene.core.event import Event
from phosphene.core.rng import generator
from phosphene.data.dataset import Dataset, Split

__all__ = ["examples", "tiny_digits", "tiny_moons"]


def examples(event: Event, n: int, seed: int = 0) -> Tensor:
    """Random examples in the support: uint8 codes (int64 above 256 levels), or float32 reals."""
    g = generator(seed, n, event.dimensions)
    if event.levels is None:
        return torch.randn((n, *event.shape), generator=g)
    codes = torch.randint(event.levels, (n, *event.shape), generator=g)
    return codes.to(torch.uint8) if event.levels <= 256 else codes


def tiny_digits(n: int = 64, levels: int = 2, split: Split = "train") -> Dataset:
    """Bars of 8x8 pixels: the class says which quarter of the image is bright."""
    g = generator(0, n, levels)
    y = torch.arange(n) % 4
    prototype = torch.zeros(4, 1, 8, 8)
    for c in range(4):
        row, column = 4 * (c // 2), 4 * (c % 2)
        prototype[c, :, row : row + 4, column : column + 4] = 1.0
    noise = torch.rand((n, 1, 8, 8), generator=g)
    on = torch.where(prototype[y] > 0, noise < 0.9, noise < 0.05)
    x = (on * (levels - 1)).to(torch.uint8)
    names = ("top left", "top right", "bottom left", "bottom right")
    event = Event.image(1, 8, levels=levels)
    return Dataset(name="tiny-digits", split=split, event=event, x=x, y=y, classes=names)


def tiny_moons(n: int = 64, split: Split = "train") -> Dataset:
    """Two half circles with a little noise."""
    g = generator(1, n)
    y = torch.arange(n) % 2
    angle = math.pi * torch.rand(n, generator=g)
    upper = torch.stack([angle.cos(), angle.sin()], dim=1)
    lower = torch.stack([1 - angle.cos(), 0.5 - angle.sin()], dim=1)
    x = torch.where(y[:, None] == 0, upper, lower)
    x = x + 0.05 * torch.randn((n, 2), generator=g)
    names = ("upper", "lower")
    return Dataset(name="tiny-moons", split=split, event=Event.real(2), x=x, y=y, classes=names)
