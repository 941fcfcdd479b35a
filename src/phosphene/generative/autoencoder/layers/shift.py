"""Small translations of images, as augmentation."""

import torch
from torch import Tensor

__all__ = ["shift_images"]


def shift_images(x: Tensor, by: Tensor) -> Tensor:
    """Move each image by whole pixels; what comes in at a border repeats the border.

    Args:
        x: Images (n, c, h, w), any dtype.
        by: Whole numbers (n, 2): rows down and columns right.

    Example:
        >>> shift_images(torch.tensor([[[[1, 2], [3, 4]]]]), torch.tensor([[0, 1]]))
        tensor([[[[1, 1],
                  [3, 3]]]])
    """
    n, _, height, width = x.shape
    rows = (torch.arange(height, device=x.device) - by[:, :1]).clamp_(0, height - 1)
    columns = (torch.arange(width, device=x.device) - by[:, 1:]).clamp_(0, width - 1)
    index = torch.arange(n, device=x.device)[:, None, None]
    # Advanced indices around a slice put the channels last; they go back to their place.
    moved = x[index, :, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)
