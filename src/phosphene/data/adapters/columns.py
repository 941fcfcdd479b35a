"""Columns of tables: float32, or float64 where float32 would merge different values."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from phosphene.core.errors import listed
from phosphene.core.moments import Moments, outgrows

__all__ = ["far_from_zero", "far_note", "narrowed", "wide"]


def wide(values: NDArray[Any]) -> list[int]:
    """The columns of (n, d) reals whose values lie so far from 0 that float32 would round them.

    Example:
        >>> wide(np.array([[1.0, 1.7e9], [2.0, 1.7e9 + 60]]))
        [1]
    """
    return far_from_zero(Moments.of(torch.from_numpy(values)))


def far_from_zero(m: Moments) -> list[int]:
    """The same of what is known of the columns."""
    far = outgrows(torch.maximum(m.low.abs(), m.high.abs()), m.std) & (m.high > m.low)
    return far.nonzero()[:, 0].tolist()


def narrowed(values: NDArray[Any], names: Sequence[str]) -> tuple[NDArray[Any], list[str]]:
    """The values in float32, or in float64 with a note where that would round off what they say."""
    far = wide(values)
    return (values, far_note(far, names)) if far else (values.astype(np.float32), [])


def far_note(far: Sequence[int], names: Sequence[str]) -> list[str]:
    """What is said of columns that float32 would round."""
    if not far:
        return []
    shown = listed([repr(names[i]) if i < len(names) else str(i) for i in far], 3)
    return [f"kept in 64 bits, since 32 would round off what they tell apart: column {shown}"]
