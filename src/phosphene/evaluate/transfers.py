"""Pictures of image-to-image models: one example under many conditions."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phosphene.core.model import Model
from phosphene.core.protocols import Transfers
from phosphene.data.dataset import Dataset
from phosphene.evaluate import pictures
from phosphene.evaluate.batches import evaluating
from phosphene.evaluate.missing_capability import lacking

__all__ = ["transferred"]

Pixels = NDArray[np.uint8]

_BLANK = 255


def transferred(model: Model, data: Dataset, index: Tensor) -> tuple[Pixels, int]:
    """A table of :meth:`~phosphene.generative.flow.cflow.CFlow.transfer`: each x under each x_A.

    Args:
        model: A model with ``transfer(x, given, wanted)``.
        data: Its pairs.
        index: Which of them (n,).

    Returns:
        Pictures ((n + 1) (n + 1), h, w, 3), row by row, and how many make a row. The first row
        holds the conditions; each row after it an example, and what it is under each of them. So
        the diagonal holds the examples themselves.
    """
    x, context = data.take(index)
    if not isinstance(model, Transfers):
        raise lacking(model, Transfers)
    assert context.image is not None
    assert model.context.image is not None
    n, real = len(x), pictures.pixels(x, model.event)
    size = (real.shape[1], real.shape[2])
    given = pictures.resized(pictures.pixels(context.image, model.context.image), size)
    every = torch.arange(n).repeat(n)
    with evaluating(model):
        moved: Tensor = model.transfer(
            x.repeat_interleave(n, 0).to(model.device),
            context.repeat(n).to(model.device),
            context[every].to(model.device),
        ).cpu()
    shown = pictures.pixels(moved, model.event)
    head = [np.full_like(real[:1], _BLANK), given]
    rows = [[real[k : k + 1], shown[k * n : (k + 1) * n]] for k in range(n)]
    return np.concatenate([picture for row in [head, *rows] for picture in row]), n + 1
