"""Scores of super-resolution: closeness to the truth, consistency with the input, diversity.

They are true for a model that is conditioned on an image and can sample at a temperature, on data
whose images are the examples at a lower resolution (``Dataset.reduction``).
"""

import math
from inspect import signature
from typing import Protocol, TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.errors import EventError
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.core.protocols import Samples
from phosphene.core.rng import generator
from phosphene.data.dataset import Dataset
from phosphene.data.low_resolution import downsample
from phosphene.evaluate.batches import evaluating
from phosphene.evaluate.image_similarity import psnr
from phosphene.evaluate.score import Score, mean_score, standard_error

__all__ = ["bicubic", "comparison", "solutions", "super_resolution", "super_resolves"]

_KIND = "super-resolution"
_ROWS = 128
_DRAWS = 8
_MANY = 128
"""The most examples of which several images are drawn."""


class Tempered(Protocol):
    """Draws examples at a temperature."""

    def sample(
        self,
        n: int,
        context: Context | None = None,
        *,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """Draw (n, *event.shape); at 0 without noise."""
        ...


def tempered(model: Model) -> TypeGuard[Tempered]:
    """Whether a model samples at a temperature."""
    return isinstance(model, Samples) and "temperature" in signature(model.sample).parameters


def super_resolves(model: Model, data: Dataset) -> bool:
    """Whether the scores are true for this model and these data."""
    paired = data.reduction is not None and model.context.image is not None
    return paired and model.event.discrete and tempered(model)


def bicubic(low: Tensor, low_event: Event, event: Event) -> Tensor:
    """Bicubic interpolation of codes to an event's size and scale, clamped: float64 reals.

    Pixels are squares whose corners are not aligned, and there is no antialiasing.

    Args:
        low: Codes (n, c, h, w).
        low_event: What they are.
        event: What they are to become.

    Example:
        >>> low = torch.tensor([[[[0, 255]]]])
        >>> bicubic(low, Event.image(1, (1, 2)), Event.image(1, (2, 4)))[0, 0, 0].round()
        tensor([  0.,  58., 197., 255.], dtype=torch.float64)
    """
    assert event.levels is not None
    assert low_event.levels is not None
    size = (event.shape[1], event.shape[2])
    y = F.interpolate(low.double(), size=size, mode="bicubic", align_corners=False)
    return (y * ((event.levels - 1) / (low_event.levels - 1))).clamp(0, event.levels - 1)


def solutions(
    model: Model, context: Context, n: int, *, temperature: float, seed: int = 0
) -> Tensor:
    """Images (n, *event.shape) at a temperature, one for each row of the context."""
    parts, device = [], model.device
    with evaluating(model):
        if not tempered(model):
            raise EventError(f"{type(model).__name__} does not sample at a temperature")
        for start in range(0, n, _ROWS):
            rows = slice(start, min(start + _ROWS, n))
            g = generator(seed, 27, start, device=device)
            c = context[rows].to(device)
            drawn = model.sample(rows.stop - start, c, generator=g, temperature=temperature)
            parts.append(drawn.cpu())
    return torch.cat(parts)


def _squared(x: Tensor, y: Tensor, levels: int) -> Tensor:
    """Mean squared error of each example, (n,), on a scale whose peak is 1."""
    return ((x.double() - y.double()) / (levels - 1)).square().flatten(1).mean(1)


def _decibels(squared: Tensor, note: str) -> Score:
    """PSNR of the mean squared error of all examples together; its error by the delta method.

    Not a mean of decibels, in which one example without an error would hide many with one.
    """
    error, mean = standard_error(squared), float(squared.mean())
    if error is not None:
        error = 10 / math.log(10) * error / max(mean, 1e-12)
    return Score(float(psnr(squared.mean())), _KIND, error, note=note)


def super_resolution(
    model: Model, test: Dataset, *, temperature: float = 0.8, seed: int = 0
) -> dict[str, Score]:
    """``psnr``, ``psnr_bicubic``, ``psnr_gain``, ``lr_consistency`` and ``solution_diversity``.

    - PSNR at temperature 0 against the true image, that of bicubic interpolation, and the gain of
      one over the other, example by example, in dB (peak: the highest code).
    - Consistency: PSNR of the drawn images' block means
      (:func:`~phosphene.data.low_resolution.downsample`) against the codes that were given.
    - Diversity: the standard deviation of a pixel over 8 images of one input, averaged, on the
      scale of 0..255.

    Args:
        model: One that :func:`super_resolves` these data.
        test: Held-out images beside those of lower resolution.
        temperature: Of the images that consistency and diversity are measured on.
        seed: Seeds the draws.
    """
    assert test.image is not None
    assert test.image_event is not None
    assert test.reduction is not None
    levels = model.event.levels
    assert levels is not None
    x, context = test.take(torch.arange(len(test)))
    still = solutions(model, context, len(x), temperature=0.0)
    own = psnr(_squared(still, x, levels))
    base = psnr(_squared(bicubic(test.image, test.image_event, test.event), x, levels))
    rows = torch.randperm(len(test), generator=generator(seed, 28))[:_MANY]
    asked = context[rows].repeat(_DRAWS)
    drawn = solutions(model, asked, len(rows) * _DRAWS, temperature=temperature, seed=seed)
    assert asked.image is not None
    again = downsample(drawn, test.reduction, levels)
    miss = _squared(again, asked.image, test.image_event.levels or 256)
    spread = drawn.double().unflatten(0, (len(rows), _DRAWS)).std(1) * (255 / (levels - 1))
    how = f"of images at temperature {temperature:g}"
    return {
        "psnr": mean_score(own, _KIND, "at temperature 0, peak 1"),
        "psnr_bicubic": mean_score(base, _KIND, "the same inputs, interpolated"),
        "psnr_gain": mean_score(own - base, _KIND, "at temperature 0, paired"),
        "lr_consistency": _decibels(miss.view(-1, _DRAWS).mean(1), how),
        "solution_diversity": mean_score(spread.flatten(1).mean(1), _KIND, how),
    }


def comparison(
    model: Model,
    test: Dataset,
    index: Tensor,
    *,
    draws: int = 4,
    temperature: float = 0.8,
    seed: int = 0,
) -> Tensor:
    """What belongs to each of some inputs, in a row: (n, 4 + draws, *event.shape), in codes of x.

    The input as it is, its bicubic interpolation, the image at temperature 0, images at a
    temperature, and the true one.

    Args:
        model: One that :func:`super_resolves` these data.
        test: Images beside those of lower resolution.
        index: Positions (n,) of the inputs.
        draws: Images at the temperature.
        temperature: Theirs.
        seed: Seeds them.
    """
    x, context = test.take(index)
    assert context.image is not None
    assert test.image_event is not None
    n, event = len(x), test.event
    scale = ((event.levels or 2) - 1) / ((test.image_event.levels or 2) - 1)
    size = (event.shape[1], event.shape[2])
    low = F.interpolate(context.image.double() * scale, size=size, mode="nearest")
    smooth = bicubic(context.image, test.image_event, event)
    still = solutions(model, context, n, temperature=0.0, seed=seed)
    many = solutions(model, context.repeat(draws), n * draws, temperature=temperature, seed=seed)
    parts = [t.double()[:, None] for t in (low, smooth, still)]
    drawn = many.double().unflatten(0, (n, draws))
    return torch.cat([*parts, drawn, x.double()[:, None]], 1)
