"""Random small distortions of images: shift, rotation, stretching, by nearest pixels."""

import torch
from torch import Tensor

__all__ = ["DISTORTIONS", "distort_images", "random_distortions"]

DISTORTIONS = 5
"""Numbers that describe a distortion: down, right, rotation, vertical and horizontal stretch."""

_UNTOUCHED = 0.1


def random_distortions(uniform: Tensor) -> Tensor:
    """Distortions (n, 5) in [-1, 1] from uniform numbers (n, 6); one in ten is none at all.

    Example:
        >>> random_distortions(torch.tensor([[0.0, 1.0, 0.5, 0.5, 0.5, 0.9]]))
        tensor([[-1.,  1.,  0.,  0.,  0.]])
    """
    amount, chance = uniform.split((DISTORTIONS, 1), dim=1)
    drawn: Tensor = (2.0 * amount - 1.0) * (chance >= _UNTOUCHED)
    return drawn


def distort_images(x: Tensor, by: Tensor, *, shift: float = 0.0, warp: float = 0.0) -> Tensor:
    """Distort each image about its center; codes stay codes, and borders are repeated.

    Args:
        x: Images (n, c, h, w), any dtype.
        by: Distortions (n, 5) in [-1, 1].
        shift: Pixels that a distortion of 1 moves down or right.
        warp: Radians that it rotates, and logarithm of the factor by which it stretches.

    Example:
        >>> one = torch.tensor([[0.0, 1.0, 0.0, 0.0, 0.0]])
        >>> distort_images(torch.tensor([[[[1, 2], [3, 4]]]]), one, shift=1)
        tensor([[[[1, 1],
                  [3, 3]]]])
    """
    _, channels, height, width = x.shape
    middle = torch.tensor([(height - 1) / 2, (width - 1) / 2], device=x.device)
    rows = torch.arange(height, device=x.device) - middle[0]
    columns = torch.arange(width, device=x.device) - middle[1]
    angle, stretch = warp * by[:, 2, None, None], torch.exp(-warp * by[:, 3:, None, None])
    # Where each pixel comes from: the inverse rotation, then the inverse stretch, then the shift.
    turned_row = angle.cos() * rows[:, None] - angle.sin() * columns
    turned_column = angle.sin() * rows[:, None] + angle.cos() * columns
    origin = middle[:, None] - shift * by[:, :2, None]
    row = turned_row * stretch[:, 0] + origin[:, 0, :, None]
    column = turned_column * stretch[:, 1] + origin[:, 1, :, None]
    row = row.round().clamp(0, height - 1)
    column = column.round().clamp(0, width - 1)
    place = (row * width + column).long().flatten(1)
    return x.flatten(2).gather(2, place[:, None].expand(-1, channels, -1)).view_as(x)
