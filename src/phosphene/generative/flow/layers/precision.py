"""What stays in full precision where networks are computed in half precision."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

__all__ = ["unrounded"]


def unrounded(x: Tensor) -> AbstractContextManager[object]:
    """Autocast switched off: a rounded map is not undone by its inverse."""
    kind = x.device.type
    if not torch.is_autocast_enabled(kind):
        return nullcontext()
    return torch.autocast(kind, enabled=False)
