"""Examples drawn from a run, and walks through its codes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.core.rng import generator
from phosphene.data.dataset import Dataset
from phosphene.data.limits import admit
from phosphene.evaluate import views
from phosphene.evaluate.denoising import paths
from phosphene.evaluate.pictures import shape_of_image
from phosphene.nn.choosing import Choosing
from phosphene.subjects.dataset.opening import data_of
from phosphene.subjects.dataset.recorded_format import columns_of, tokenizer_of
from phosphene.subjects.dataset.rows import GivenRows, given_labels, given_rows
from phosphene.subjects.dataset.sample_context import Given, context_of, given_images
from phosphene.train.folder import Run

__all__ = [
    "FRAMES",
    "STATES",
    "Drawn",
    "complete",
    "inpaint",
    "interpolate",
    "path",
    "sample",
    "translate",
    "traverse",
]

What = Literal[
    "samples",
    "interpolation",
    "traversal",
    "inpainting",
    "translation",
    "refined",
    "filled",
    "path",
    "animation",
]
Prior = Literal["normal", "mixture"]

STATES, FRAMES = 10, 40
"""States of a row that shows how samples come about, and of a moving picture."""


@dataclass(frozen=True)
class Drawn:
    """Examples made by a model, laid out in rows.

    Args:
        x: (rows * columns, *event.shape): codes or reals for samples, means otherwise.
        columns: Examples in a row of the picture.
        what: What they are.
        labels: The labels that were asked for (n,).
        given: The images that the samples are conditioned on.
        context: All that the samples are conditioned on.
        frames: Of a moving picture; x then holds (frames * n, *event.shape).
    """

    x: Tensor
    columns: int
    what: What
    labels: Tensor | None = None
    given: Given | None = None
    context: Context | None = None
    frames: int | None = None


def sample(
    run: Run,
    n: int | None = None,
    *,
    seed: int = 0,
    label: int | str | None = None,
    mean: bool = False,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    prior: Prior | None = None,
    image: str | Path | Tensor | None = None,
    given: GivenRows | None = None,
    sampler: Mapping[str, Any] | None = None,
) -> Drawn:
    """Draw samples; a model that is conditioned on labels goes through them in turn.

    A model that is conditioned on an image is given those of the run's test split, about as many
    as samples of each; or the user's own.

    Args:
        run: A trained run.
        n: How many; None for 64, 4 texts or sounds, or 1000 rows of a table. Of images of your own,
            how many of each; None for 8. Of several rows that are given, how many of each.
        seed: The same seed gives the same samples.
        label: One label for all of them, by its number or its name.
        mean: The means that draws scatter around, where the model has them.
        temperature: For samplers that know it; 0 is greedy.
        top_k: Choose among the k most probable values, for samplers that know it.
        top_p: Choose among the fewest values that have this probability together.
        prior: Fit a ``normal`` or a ``mixture`` to the training examples' codes and decode draws
            from it, instead of the model's own prior; autoencoders have no other way to sample.
        image: An image file, a folder of them, or codes (k, c, h, w) to be conditioned on.
        given: Values of the columns that a model of a table is conditioned on: ``a=1,b=2``, a CSV
            file of rows, a mapping, or (k, d); None for those of test rows in turn.
        sampler: Other settings of the model's own ``sample``, by name.

    Raises:
        ConfigError: ``n`` is below 1, or a setting means nothing to the model or is out of range.
        DataError: An image cannot be read, or is not of the size and channels of those that the
            model is conditioned on.
        EventError: The model does not sample.
    """
    how = {**_choosing(temperature, top_k, top_p), **(sampler or {})}
    model = run.model
    n, context, images = _asked(run, model, n, label, image, given)
    admit(str(run.path), 16 * n * model.event.dimensions, f"{n} samples", "ask for fewer")
    if prior is None:
        x = views.draws(model, n, context, seed=seed, mean=mean, **how)
    elif prior in get_args(Prior):
        train = data_of(run, "train")
        x = views.fitted_draws(model, train, n, context, seed=seed, kind=prior)
    else:
        raise UnknownNameError("prior", prior, get_args(Prior))
    columns = max(1, min(16, round(n**0.5)))
    if images is not None:
        columns = images.each if images.each <= 16 else round(images.each**0.5)
    labels = None if context is None else context.label
    return Drawn(x, columns, "samples", labels, images, context)


def _asked(
    run: Run,
    model: Model,
    n: int | None,
    label: int | str | None,
    image: str | Path | Tensor | None,
    given: GivenRows | None,
) -> tuple[int, Context | None, Given | None]:
    """How many samples, what each is given, and the images among it."""
    if n is not None and n < 1:
        raise ConfigError(f"the number of samples must be at least 1, got {n}")
    if image is not None or model.context.image is not None:
        return given_images(run, model, n, label, image)
    if given is not None:
        vector = given_rows(run, model, given)
        classes = given_labels(run, model, given, len(vector)) if label is None else None
        n = (1000 if len(vector) == 1 else 8) if n is None else n
        vector = vector.repeat_interleave(n, 0)
        n = len(vector)
        context = context_of(run, model, n, label, vector)
        if classes is not None and context is not None:
            every = torch.tensor(classes).repeat_interleave(n // len(classes))
            context = replace(context, label=every)
        return n, context, None
    if n is None:
        n = 1000 if columns_of(run) else 4 if _is_sequence(run) else 64
    return n, context_of(run, model, n, label), None


def path(
    run: Run,
    n: int | None = None,
    *,
    frames: int = STATES,
    moving: bool = False,
    seed: int = 0,
    label: int | str | None = None,
    image: str | Path | Tensor | None = None,
    given: GivenRows | None = None,
    sampler: Mapping[str, Any] | None = None,
) -> Drawn:
    """How samples come about: a row for each from noise to the sample, or a moving picture of all.

    Args:
        run: A trained run.
        n: How many; None for 8 rows, or for the 64 samples of a moving picture (1000 points).
        frames: States that are shown.
        moving: Whether they are frames of a moving picture, and not tiles of a row.
        seed: The same seed gives the same samples.
        label: As for :func:`sample`.
        image: The same.
        given: The same.
        sampler: The same.

    Raises:
        EventError: The model draws its samples in no steps.
        ConfigError: As for :func:`sample`; or the samples are no pictures.
    """
    model = run.model
    many = 8
    if moving:
        many = 1000 if model.event == Event.real(2) else 64
    elif shape_of_image(model.event) is None:
        raise ConfigError(
            f"{str(run.path)!r} models {model.event}: a row shows images; "
            "--animate shows points in the plane"
        )
    n, context, _ = _asked(run, model, many if n is None else n, label, image, given)
    room = 16 * n * frames * model.event.dimensions
    admit(str(run.path), room, f"{frames} states of {n} samples", "ask for fewer")
    states = paths(model, n, context, frames=frames, seed=seed, **(sampler or {}))
    labels = None if context is None else context.label
    if moving:
        columns = max(1, min(16, round(n**0.5)))
        x = states.flatten(0, 1)
        return Drawn(x, columns, "animation", labels, None, context, len(states))
    return Drawn(states.transpose(0, 1).flatten(0, 1), len(states), "path", labels, None, context)


def _choosing(temperature: float | None, top_k: int | None, top_p: float | None) -> dict[str, Any]:
    """The settings of a sampler, refused where they are out of range."""
    Choosing(temperature=1.0 if temperature is None else temperature, top_k=top_k, top_p=top_p)
    return {"temperature": temperature, "top_k": top_k, "top_p": top_p}


def _is_sequence(run: Run) -> bool:
    return tokenizer_of(run) is not None or run.model.event.kind == "audio"


def complete(
    run: Run,
    prompt: str,
    n: int = 4,
    *,
    seed: int = 0,
    label: int | str | None = None,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    **settings: Any,
) -> Drawn:
    """Texts that begin with a prompt, the rest drawn given it.

    Raises:
        ConfigError: The run is not of text, or the prompt leaves no room for a character.
        DataError: The prompt holds a character that the run does not know.
        EventError: The model cannot go on from a part that is known.
    """
    how = {**_choosing(temperature, top_k, top_p), **settings}
    tokenizer, model = tokenizer_of(run), run.model
    if tokenizer is None:
        raise ConfigError(
            f"{str(run.path)!r} models {model.event}, not text: there is no prompt to go on from"
        )
    codes, length = tokenizer.encode(prompt), model.event.dimensions
    if not 0 < len(codes) < length:
        raise ConfigError(
            f"the prompt holds {len(codes)} symbols; "
            f"from 1 to {length - 1} leave room in a text of {length}"
        )
    x = torch.zeros(n, length, dtype=codes.dtype)
    x[:, : len(codes)] = codes
    known = torch.arange(length) < len(codes)
    context = context_of(run, model, n, label)
    return Drawn(views.filled(model, x, known, context, seed=seed, **how), 1, "samples")


def inpaint(
    run: Run,
    rows: int = 8,
    *,
    copies: int = 6,
    seed: int = 0,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    **settings: Any,
) -> Drawn:
    """Test images, their upper halves, and what the model draws below these.

    Raises:
        ConfigError: The run is not of images.
        EventError: The model cannot fill in the lower half given the upper.
    """
    how = {**_choosing(temperature, top_k, top_p), **settings}
    model = run.model
    shape = shape_of_image(model.event)
    if shape is None:
        hint = "; text goes on from --prompt" if tokenizer_of(run) is not None else ""
        raise ConfigError(f"{str(run.path)!r} models {model.event}, not images to fill in{hint}")
    x, context, _ = _examples(run, model, rows, seed)
    upper = torch.arange(shape[1])[:, None].expand(shape) < shape[1] // 2
    known = upper.reshape(model.event.shape)
    many = None if context is None else context.repeat(copies)
    drawn = views.filled(model, x.repeat_interleave(copies, 0), known, many, seed=seed, **how)
    drawn = drawn.to(x.dtype).reshape(len(x), copies, *x.shape[1:])
    half = torch.where(known, x, torch.zeros_like(x))
    whole = torch.cat([x[:, None], half[:, None], drawn], dim=1)
    return Drawn(whole.flatten(0, 1), 2 + copies, "inpainting")


def _examples(run: Run, model: Model, n: int, seed: int) -> tuple[Tensor, Context | None, Dataset]:
    test = data_of(run, "test")
    index = torch.randperm(len(test), generator=generator(seed, 42))[:n]
    x, context = test.take(index)
    return x, context if model.context else None, test


def interpolate(
    run: Run, rows: int = 8, *, count: int = 10, seed: int = 0, **settings: Any
) -> Drawn:
    """The model's way between test examples, the examples at both ends.

    That is its own, or decoded straight lines between their codes.

    Raises:
        EventError: The model does not interpolate, and has no codes.
        ConfigError: It does not know one of the settings.
    """
    model = run.model
    x, context, _ = _examples(run, model, 2 * rows, seed)
    a, b = x[: len(x) // 2], x[len(x) // 2 :][: len(x) // 2]
    first = None if context is None else context[slice(0, len(a))]
    ways = views.interpolations(model, a, b, count, first, **settings)
    whole = torch.cat([a[:, None].to(ways.dtype), ways, b[:, None].to(ways.dtype)], dim=1)
    return Drawn(whole.flatten(0, 1), count + 2, "interpolation")


def traverse(run: Run, dimensions: int = 8, *, steps: int = 11, seed: int = 0) -> Drawn:
    """One latent dimension of a test example's code at a time, those that vary most.

    Raises:
        EventError: The model has no codes.
    """
    model = run.model
    x, context, test = _examples(run, model, 1, seed)
    index = torch.arange(min(1000, len(test)))
    many, many_context = test.take(index)
    moments = views.spread(model, many, many_context if model.context else None)
    moved, _ = views.traversals(
        model, x, moments, dimensions=dimensions, steps=steps, context=context
    )
    return Drawn(moved.flatten(0, 1), steps, "traversal")


def translate(run: Run, rows: int = 8, *, seed: int = 0) -> Drawn:
    """Test examples, and each of them in its own style under every label.

    Raises:
        EventError: The model does not translate between labels.
    """
    model = run.model
    x, _, _ = _examples(run, model, rows, seed)
    changed = views.translations(model, x)
    whole = torch.cat([x[:, None].to(changed.dtype), changed], dim=1)
    return Drawn(whole.flatten(0, 1), whole.shape[1], "translation")
