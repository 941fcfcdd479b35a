"""What samples of a run are conditioned on: labels, the user's own images, test examples."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.errors import ConfigError
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.data.condition_images import read_conditions
from phosphene.evaluate.pictures import grid, pixels, resized
from phosphene.subjects.dataset.opening import data_of
from phosphene.subjects.dataset.rows import label_number
from phosphene.train.folder import Run

__all__ = ["Given", "conditioned_sheet", "context_of", "given_images"]

_WIDEST = 16
_GROUND = 140  # the gray of the gaps of a grid


@dataclass(frozen=True)
class Given:
    """Images that samples are conditioned on.

    Args:
        images: Codes (k, *event.shape).
        event: What they are.
        each: Samples of one image; of the last there may be fewer.
    """

    images: Tensor
    event: Event
    each: int

    def of(self, n: int) -> Tensor:
        """The image of each of n samples."""
        return self.images.repeat_interleave(self.each, 0)[:n]


def context_of(
    run: Run, model: Model, n: int, label: int | str | None, vector: Tensor | None = None
) -> Context | None:
    """The context of n samples: one label, labels in turn, or test examples in turn.

    Args:
        run: A trained run.
        model: Its model.
        n: The number of samples.
        label: A class by name or number.
        vector: One for each sample (n, d), in place of the test examples'.

    Raises:
        ConfigError: The label is out of range, or the model knows of none.
    """
    names, count = model.context.names, model.context.label
    label = None if label is None else label_number(run, model, label)
    context: Context | None = None
    if set(names) - ({"label"} if vector is None else {"label", "vector"}):
        test = data_of(run, "test")
        context = test.take(torch.arange(n) % len(test))[1]
    elif count is not None:
        context = Context(label=torch.arange(n) % count)
    if vector is not None:
        context = replace(context or Context(), vector=vector)
    if label is not None:
        context = replace(context or Context(), label=torch.full((n,), label))
    return context


def given_images(
    run: Run,
    model: Model,
    n: int | None,
    label: int | str | None,
    image: str | Path | Tensor | None,
) -> tuple[int, Context, Given]:
    """The number of samples of a model that is conditioned on an image, and what each is given.

    Args:
        run: A trained run.
        model: Its model.
        n: Samples of each of the user's images (None for 8), or of test images together (64).
        label: For models that are also conditioned on a label; None for all in turn, or for those
            of the test examples.
        image: A file, a folder, or codes (k, c, h, w); None for images of the test split.

    Raises:
        ConfigError: The model is not conditioned on an image.
        DataError: An image cannot be read, or is not what the model is conditioned on.
    """
    event = model.context.image
    if event is None:
        raise ConfigError(f"{str(run.path)!r} is not conditioned on an image")
    if image is None:
        n = 64 if n is None else n
        each = max(1, min(_WIDEST, round(n**0.5)))
        first = context_of(run, model, -(-n // each), label)
        assert first is not None
        assert first.image is not None
        context = first.repeat(each)[slice(0, n)]
        return n, context, Given(first.image, event, each)
    images = image if isinstance(image, Tensor) else read_conditions(image, event)
    each = 8 if n is None else n
    given = Given(images, event, each)
    total = each * len(images)
    others = set(model.context.names) - {"label", "image"}
    if others:
        raise ConfigError(
            f"{str(run.path)!r} is also conditioned on {min(others)}: "
            "images of your own do not say enough"
        )
    labels = None
    if model.context.label:
        labels = torch.arange(each).repeat(len(images)) % model.context.label
        if label is not None:
            labels = torch.full((total,), label_number(run, model, label))
    elif label is not None:
        context_of(run, model, 1, label)  # refuses it
    return total, Context(label=labels, image=given.of(total)), given


def conditioned_sheet(x: Tensor, event: Event, given: Given, columns: int) -> Image.Image:
    """A picture: each image that was given, and the samples of it beside and below it."""
    size = event.shape[1], event.shape[2]
    shown, samples = resized(pixels(given.images, given.event), size), pixels(x, event)
    blank = np.full((*size, 3), _GROUND, dtype=np.uint8)
    tiles = []
    for k, image in enumerate(shown):
        own = list(samples[k * given.each : (k + 1) * given.each])
        own += [blank] * (-len(own) % columns)
        for start in range(0, len(own), columns):
            tiles.append(image if start == 0 else blank)
            tiles += own[start : start + columns]
    return grid(np.stack(tiles), columns + 1)
