"""Examples drawn from the user's own images: others like them, or holes filled in."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.errors import ConfigError
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.data.condition_images import read_conditions
from phosphene.data.limits import admit
from phosphene.evaluate import views
from phosphene.evaluate.denoising import refined
from phosphene.subjects.dataset.drawing import Drawn
from phosphene.subjects.dataset.sample_context import Given, context_of, given_images
from phosphene.train.folder import Run

__all__ = ["STRENGTH", "draw", "holes"]

STRENGTH = 0.6
"""How far images that are drawn from others may be from them, where nobody says it."""


def draw(
    run: Run,
    images: str | Path | Tensor,
    n: int | None = None,
    *,
    seed: int = 0,
    label: int | str | None = None,
    control: str | Path | Tensor | None = None,
    strength: float | None = None,
    mask: str | Path | Tensor | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Drawn:
    """Draw examples like images that are given; or, with a mask, what is missing of them.

    Args:
        run: A trained run.
        images: A file, a folder of them, or codes (k, c, h, w) of the model's event.
        n: How many of each image; None for 8.
        seed: The same seed gives the same draws.
        label: For models that are conditioned on labels; None for all in turn.
        control: For models that are conditioned on an image: one for all images, or one for each.
        strength: Above 0 and at most 1, which forgets the image; None for 0.6.
        mask: A picture of the images' size, or booleans (h, w): white (True) is filled in.
        settings: Of the model's own ``refine`` or ``inpaint``, by name.

    Raises:
        ConfigError: A mask beside a strength, a mask that leaves nothing to fill in or to keep, a
            setting that means nothing to the model, or a condition that is missing.
        DataError: An image cannot be read, or is not of the model's size and channels.
        EventError: The model cannot.
    """
    if mask is not None and strength is not None:
        raise ConfigError(
            "--strength says how far the whole image may change, and --mask what of it: "
            "ask for one at a time"
        )
    model, each = run.model, 8 if n is None else n
    if each < 1:
        raise ConfigError(f"the number of samples must be at least 1, got {each}")
    x = images if isinstance(images, Tensor) else read_conditions(images, model.event, _MAKES)
    total = each * len(x)
    admit(str(run.path), 16 * total * model.event.dimensions, f"{total} samples", "ask for fewer")
    context = _context(run, model, len(x), each, label, control)
    labels = None if context is None else context.label
    many, how = x.repeat_interleave(each, 0), dict(settings or {})
    columns = each if each <= 16 else round(each**0.5)
    if mask is None:
        y = refined(
            model, many, STRENGTH if strength is None else strength, context, seed=seed, **how
        )
        return Drawn(y, columns, "refined", labels, Given(x, model.event, each), context)
    kept = ~holes(mask, model.event)
    y = views.filled(model, many, kept, context, seed=seed, **how)
    half = torch.as_tensor(0 if model.event.levels is None else model.event.levels // 2)
    left = torch.where(kept, x, half.to(x.dtype))
    return Drawn(y, columns, "filled", labels, Given(left, model.event, each), context)


_MAKES = "the model makes"


def holes(mask: str | Path | Tensor, event: Event) -> Tensor:
    """Booleans (c, h, w), True where an image is filled in: where the mask is white.

    Args:
        mask: A picture of the images' size, of which the lighter half is white; or booleans (h, w).
        event: What the images are.

    Raises:
        ConfigError: It leaves nothing to fill in, or nothing to keep.
        DataError: It cannot be read, or has another size.
    """
    size, name = (event.shape[1], event.shape[2]), "the mask"
    if isinstance(mask, Tensor):
        event.check_shape(mask.expand(1, *event.shape))
        white = mask.bool()
    else:
        name = repr(str(mask))
        found = read_conditions(mask, Event.image(1, size, 2), "the mask is for")
        if len(found) != 1:
            raise ConfigError(f"one mask is for all images, and {name} holds {len(found)}")
        white = found[0] > 0
    if not white.any():
        raise ConfigError(f"{name} is black everywhere, and white is filled in: nothing is to do")
    if white.all():
        raise ConfigError(
            f"{name} is white everywhere, so that nothing is kept of the image: without --mask and "
            "--from-image samples are drawn anew"
        )
    return white.expand(event.shape)


def _context(
    run: Run,
    model: Model,
    k: int,
    each: int,
    label: int | str | None,
    control: str | Path | Tensor | None,
) -> Context | None:
    """What each of the k images, n times, is drawn under."""
    if model.context.image is None:
        if control is not None:
            raise ConfigError(f"{str(run.path)!r} is not conditioned on an image")
        return context_of(run, model, k * each, label)
    if control is None:
        raise ConfigError(
            f"{str(run.path)!r} is also conditioned on an image: name one by --control"
        )
    total, context, given = given_images(run, model, each, label, control)
    if total == k * each:
        return context
    if len(given.images) != 1:
        raise ConfigError(
            f"{len(given.images)} conditions do not belong to {k} images: give one for all, or one "
            "for each"
        )
    return context.repeat(k)
