"""Pairs of an image and what is easily seen of it: its edges, its foreground, a rough sketch.

Each is a pure function of the image, so that the condition of a drawn image can be computed again
and compared with the one that was asked for.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from phosphene.core.errors import UnknownNameError
from phosphene.core.event import Event
from phosphene.data.dataset import Dataset, Split, images_alone

__all__ = [
    "CONDITIONS",
    "EDGE",
    "FINE_EDGE",
    "SKETCH_LEVELS",
    "ImageCondition",
    "conditions_of",
    "edges",
    "mask",
    "sketch",
    "with_condition",
]

ImageCondition = Literal["edges", "fine-edges", "mask", "sketch"]

EDGE, FINE_EDGE = 0.4, 0.15
"""Differences of luminance that make an edge: of drawings and digits, and of photographs."""

SKETCH_LEVELS = 4
"""Of the codes of a sketch."""

_RED, _GREEN, _BLUE = 0.299, 0.587, 0.114
_ROWS = 1024
"""Images that are treated at once."""


def _unit(x: Tensor, levels: int) -> Tensor:
    """Codes as reals in [0, 1]."""
    return x.float() / (levels - 1)


def _luminance(x: Tensor, levels: int) -> Tensor:
    """Gray images (n, 1, h, w) in [0, 1]; of three channels by the weights of BT.601."""
    values = _unit(x, levels)
    if values.shape[1] != 3:
        return values.mean(1, keepdim=True)
    weights = values.new_tensor([_RED, _GREEN, _BLUE])
    return torch.einsum("nchw,c->nhw", values, weights)[:, None]


def edges(x: Tensor, levels: int, threshold: float = EDGE) -> Tensor:
    """Where the luminance changes: 1 where it differs from the next pixel's by the threshold.

        e(i, j) = max(|y(i, j) - y(i, j + 1)|, |y(i, j) - y(i + 1, j)|) >= threshold

    with y the luminance in [0, 1] and neighbors within the image: forward differences, so that an
    edge is one pixel wide, above or to the left of where the change is.

    Args:
        x: Codes (n, c, h, w) in 0..levels-1; with three channels, red, green and blue.
        levels: Of x.
        threshold: Part of the whole range; ``fine-edges`` of photographs have 0.15.

    Returns:
        Codes (n, 1, h, w), 0 or 1, as uint8.

    Example:
        >>> edges(torch.tensor([[[[0, 0, 9, 9, 9]]]]), levels=10)
        tensor([[[[0, 1, 0, 0, 0]]]], dtype=torch.uint8)
    """
    y = _luminance(x, levels)
    across = F.pad(y.diff(dim=-1).abs(), (0, 1))
    down = F.pad(y.diff(dim=-2).abs(), (0, 0, 0, 1))
    # A difference of so many levels is the threshold up to rounding, which must not decide.
    return (torch.maximum(across, down) >= threshold - 1e-6).to(torch.uint8)


def mask(x: Tensor, levels: int, threshold: float = 0.25) -> Tensor:
    """The foreground: 1 where a channel differs from the background by at least the threshold.

    The background is one color, the median of each channel over the image's border.

    Args:
        x: Codes (n, c, h, w) in 0..levels-1.
        levels: Of x.
        threshold: Part of the whole range; by default a quarter.

    Returns:
        Codes (n, 1, h, w), 0 or 1, as uint8.

    Example:
        >>> x = torch.zeros(1, 1, 3, 3)
        >>> x[..., 1, 1] = 1
        >>> mask(x, levels=2).sum().item()
        1
    """
    y = _unit(x, levels)
    inner = y[..., 1:-1, :1], y[..., 1:-1, -1:]
    border = torch.cat([y[..., 0, :], y[..., -1, :], *(part.flatten(2) for part in inner)], -1)
    ground = border.median(-1).values[..., None, None]
    return ((y - ground).abs().amax(1, keepdim=True) >= threshold - 1e-6).to(torch.uint8)


def sketch(x: Tensor, levels: int) -> Tensor:
    """A rough drawing: the luminance blurred, and reduced to four levels.

    The blur is the mean over a square of 2 r + 1 pixels (those within the image), with r a
    sixteenth of the shorter side and at least 1; a mean m in [0, 1] has the code floor(4 m), at
    most 3.

    Args:
        x: Codes (n, c, h, w) in 0..levels-1.
        levels: Of x.

    Returns:
        Codes (n, 1, h, w) in 0..3, as uint8.

    Example:
        >>> sketch(torch.full((1, 3, 4, 4), 255), levels=256).unique()
        tensor([3], dtype=torch.uint8)
    """
    y = _luminance(x, levels)
    r = max(1, min(y.shape[-2:]) // 16)
    smooth = F.avg_pool2d(y, 2 * r + 1, stride=1, padding=r, count_include_pad=False)
    codes = (smooth * SKETCH_LEVELS + 1e-5).floor().clamp(0, SKETCH_LEVELS - 1)
    return codes.to(torch.uint8)


_FUNCTIONS: Mapping[ImageCondition, tuple[Callable[[Tensor, int], Tensor], int]] = {
    "edges": (edges, 2),
    "fine-edges": (partial(edges, threshold=FINE_EDGE), 2),
    "mask": (mask, 2),
    "sketch": (sketch, SKETCH_LEVELS),
}

CONDITIONS: tuple[ImageCondition, ...] = tuple(_FUNCTIONS)
"""The kinds of conditions that are computed of an image."""


def conditions_of(x: Tensor, levels: int, kind: ImageCondition) -> Tensor:
    """The condition of each image by its kind, (n, 1, h, w) codes as uint8.

    Raises:
        UnknownNameError: There is no such kind.

    Example:
        >>> conditions_of(torch.zeros(2, 1, 4, 4), 2, "edges").sum().item()
        0
    """
    if kind not in _FUNCTIONS:
        raise UnknownNameError("condition of images", kind, CONDITIONS)
    function, _ = _FUNCTIONS[kind]
    return torch.cat([function(part, levels) for part in x.split(_ROWS)])


def with_condition(dataset: Dataset, kind: ImageCondition) -> Dataset:
    """The data set, each image beside a condition made of it; its name gets ``-KIND``.

    Args:
        dataset: Images of codes.
        kind: ``edges``, ``fine-edges``, ``mask`` or ``sketch``.

    Raises:
        DataError: The examples are not images of codes, or already have images beside them.
        UnknownNameError: There is no such kind.

    Example:
        >>> import phosphene as ph
        >>> pairs = with_condition(ph.data.load("digits", "test"), "edges")
        >>> pairs.name, tuple(pairs.image.shape), pairs.image_of
        ('digits-edges', (300, 1, 8, 8), 'edges')
    """
    event, levels = images_alone(dataset, f"has no {kind}")
    image = conditions_of(dataset.x, levels, kind)
    return replace(
        dataset,
        name=f"{dataset.name}-{kind}",
        image=image,
        image_event=Event.image(1, (event.shape[1], event.shape[2]), _FUNCTIONS[kind][1]),
        image_of=kind,
    )


def _of_base(kind: ImageCondition, base: str, split: Split) -> Dataset:
    from phosphene.data.loading import load  # which finds this function by its name

    return with_condition(load(base, split), kind)


edges_of = partial(_of_base, "edges")
fine_edges_of = partial(_of_base, "fine-edges")
mask_of = partial(_of_base, "mask")
sketch_of = partial(_of_base, "sketch")
digits_edges = partial(_of_base, "edges", "digits")
mnist_edges = partial(_of_base, "edges", "mnist")
openmoji_edges = partial(_of_base, "edges", "openmoji")
