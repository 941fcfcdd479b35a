"""Pairs of an image and its low-resolution version, for super-resolution.

The kernel is the area average: a pixel of low resolution is the mean of a block of
``factor x factor`` pixels, rounded to a code of 256 levels. Of all kernels it is the one for which
an image can be consistent with its low resolution exactly and block by block: an image whose blocks
have the right means, to within half a code, gives the input back. A rounding error is
uniform in half a code to either side, 59 dB below the peak, so that a consistency of 40 dB (2.55
codes, root mean square) is asked of the image and not of the rounding.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from phosphene.core.errors import ConfigError, DataError
from phosphene.core.event import Event
from phosphene.data.dataset import Dataset, Split, images_alone
from phosphene.data.embedded import mnist
from phosphene.data.openmoji import openmoji

__all__ = ["LEVELS", "downsample", "mnist_x4", "openmoji_x4", "with_low_resolution", "x4"]

LEVELS = 256
"""Of the codes of an image of low resolution, whatever those of the image have."""

_PIXELS = 2**22
"""Values that are averaged at once."""


def downsample(x: Tensor, factor: int, levels: int = LEVELS) -> Tensor:
    """Block means of images of codes, as uint8 codes of 256 levels.

    Args:
        x: Codes (n, c, h, w) in 0..levels-1.
        factor: The block's side; h and w are its multiples.
        levels: Of x.

    Returns:
        Codes (n, c, h / factor, w / factor) in 0..255.

    Raises:
        ConfigError: The factor is below 2 or divides no whole number of times into a side.

    Example:
        >>> x = torch.tensor([[[[0, 4], [4, 1]]]])
        >>> downsample(x, 2)
        tensor([[[[2]]]], dtype=torch.uint8)
        >>> downsample(torch.ones(1, 1, 4, 4), 2, levels=2).unique()
        tensor([255], dtype=torch.uint8)
    """
    height, width = x.shape[-2:]
    if factor < 2:
        raise ConfigError(f"a resolution is lowered by a factor of 2 or more, got {factor}")
    if height % factor or width % factor:
        raise ConfigError(
            f"an image of {height} x {width} pixels has no blocks of {factor} x {factor}: "
            f"its sides must be multiples of {factor}"
        )
    scale = (LEVELS - 1) / (levels - 1)
    # Halves go up, and not to even codes: an image one code brighter has means one code brighter.
    parts = [
        F.avg_pool2d(part.float(), factor).mul_(scale).add_(0.5).floor_().to(torch.uint8)
        for part in x.split(max(1, _PIXELS // x[:1].numel()))
    ]
    return torch.cat(parts)


def with_low_resolution(dataset: Dataset, factor: int = 4) -> Dataset:
    """The data set, each image beside its block means; its name gets ``-xFACTOR``.

    Args:
        dataset: Images of codes.
        factor: How many times smaller the other image is.

    Raises:
        DataError: The examples are not images of codes, already have images beside them, or have
            sides that the factor does not divide.

    Example:
        >>> import phosphene as ph
        >>> pairs = with_low_resolution(ph.data.load("digits", "test"), factor=2)
        >>> pairs.name, tuple(pairs.image.shape), pairs.reduction
        ('digits-x2', (300, 1, 4, 4), 2)
    """
    _, levels = images_alone(dataset, "has no low resolution")
    try:
        image = downsample(dataset.x, factor, levels)
    except ConfigError as error:
        raise DataError(f"data set {dataset.name!r}: {error}") from None
    return replace(
        dataset,
        name=f"{dataset.name}-x{factor}",
        image=image,
        image_event=Event.image(image.shape[1], (image.shape[2], image.shape[3]), LEVELS),
        reduction=factor,
    )


def mnist_x4(split: Split) -> Dataset:
    """``mnist`` beside its block means of shape (1, 7, 7)."""
    return with_low_resolution(mnist(split))


def openmoji_x4(split: Split) -> Dataset:
    """``openmoji`` beside its block means of shape (3, 8, 8)."""
    return with_low_resolution(openmoji(split))


def x4(argument: str, split: Split) -> Dataset:
    """The data set of another name, beside its block means."""
    from phosphene.data.loading import load  # which finds this function by its name

    return with_low_resolution(load(argument, split))
