"""Pictures and arrays of samples, interpolations and latent traversals of a run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.core.model import Model
from phosphene.core.rng import generator
from phosphene.data.dataset import Dataset
from phosphene.evaluate import views
from phosphene.evaluate.plots import picture
from phosphene.recipes.training import load_split
from phosphene.train.folder import Run

__all__ = ["Drawn", "interpolate", "sample", "save_drawn", "traverse"]

What = Literal["samples", "interpolation", "traversal"]
Prior = Literal["normal", "mixture"]


@dataclass(frozen=True)
class Drawn:
    """Examples made by a model, laid out in rows.

    Args:
        x: (rows * columns, *event.shape): codes or reals for samples, means otherwise.
        columns: Examples in a row of the picture.
        what: What they are.
        labels: The labels that were asked for (n,).
    """

    x: Tensor
    columns: int
    what: What
    labels: Tensor | None = None


def _context(run: Run, model: Model, n: int, label: int | None) -> Context | None:
    names = model.context.names
    if label is not None:
        count = model.context.label
        if not count:
            raise ConfigError(f"{str(run.path)!r} is not conditioned on a label")
        if not 0 <= label < count:
            raise ConfigError(f"label {label} must lie in 0..{count - 1}")
        return Context(label=torch.full((n,), label))
    if names == ("label",):
        assert model.context.label is not None
        return Context(label=torch.arange(n) % model.context.label)
    if names:
        return load_split(run.config["data"], "test").take(torch.arange(n))[1]
    return None


def sample(
    run: Run,
    n: int = 64,
    *,
    seed: int = 0,
    label: int | None = None,
    mean: bool = False,
    temperature: float | None = None,
    prior: Prior | None = None,
) -> Drawn:
    """Draw samples; a model that is conditioned on labels goes through them in turn.

    Args:
        run: A trained run.
        n: How many.
        seed: The same seed gives the same samples.
        label: One label for all of them.
        mean: The means that draws scatter around, where the model has them.
        temperature: For samplers that know it.
        prior: Fit a ``normal`` or a ``mixture`` to the training examples' codes and decode draws
            from it, instead of the model's own prior; autoencoders have no other way to sample.

    Raises:
        ConfigError: ``n`` is below 1, or the label or temperature means nothing to the model.
        EventError: The model does not sample.
    """
    if n < 1:
        raise ConfigError(f"the number of samples must be at least 1, got {n}")
    model = run.model
    context = _context(run, model, n, label)
    if prior is None:
        x = views.draws(model, n, context, seed=seed, mean=mean, temperature=temperature)
    elif prior in get_args(Prior):
        train = load_split(run.config["data"], "train")
        x = views.fitted_draws(model, train, n, context, seed=seed, kind=prior)
    else:
        raise UnknownNameError("prior", prior, get_args(Prior))
    columns = max(1, min(16, round(n**0.5)))
    return Drawn(x, columns, "samples", None if context is None else context.label)


def _examples(run: Run, model: Model, n: int, seed: int) -> tuple[Tensor, Context | None, Dataset]:
    test = load_split(run.config["data"], "test")
    index = torch.randperm(len(test), generator=generator(seed, 42))[:n]
    x, context = test.take(index)
    return x, context if model.context else None, test


def interpolate(run: Run, rows: int = 8, *, steps: int = 10, seed: int = 0) -> Drawn:
    """Decoded straight lines between the codes of test examples, the examples at both ends.

    Raises:
        EventError: The model has no codes.
    """
    model = run.model
    x, context, _ = _examples(run, model, 2 * rows, seed)
    a, b = x[: len(x) // 2], x[len(x) // 2 :][: len(x) // 2]
    first = None if context is None else context[slice(0, len(a))]
    paths = views.interpolations(model, a, b, steps, first)
    whole = torch.cat([a[:, None].to(paths.dtype), paths, b[:, None].to(paths.dtype)], dim=1)
    return Drawn(whole.flatten(0, 1), steps + 2, "interpolation")


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


def save_drawn(
    run: Run, drawn: Drawn, out: str | Path | None = None, npz: bool = False
) -> list[Path]:
    """Write a picture (where the event has one) and, if asked or needed, an npz.

    Args:
        run: Whose samples they are.
        drawn: What was drawn.
        out: The picture's path; None for ``samples/`` in the run. A name that ends in ``.npz``
            asks for the array alone.
        npz: Also write ``x`` (and ``y``, the labels), as :func:`phosphene.data.load` reads them.

    Returns:
        The paths written.
    """
    from phosphene.core.event import Event
    from phosphene.evaluate.plots import shape_of_image

    path = Path(out) if out is not None else run.path / "samples" / f"{drawn.what}.png"
    if path.suffix not in (".png", ".npz"):
        raise ConfigError(f"{str(path)!r} must end in .png or .npz")
    path.parent.mkdir(parents=True, exist_ok=True)
    event = run.model.event
    pictured = shape_of_image(event) is not None or event == Event.real(2)
    written = []
    if pictured and path.suffix == ".png":
        picture(drawn.x, event, drawn.columns).save(path)
        written.append(path)
    if npz or not pictured or path.suffix == ".npz":
        arrays: dict[str, Any] = {"x": drawn.x.numpy()}
        if event.levels is not None and drawn.what == "samples" and event.levels <= 256:
            arrays["x"] = drawn.x.round().to(torch.uint8).numpy()
        if drawn.labels is not None:
            arrays["y"] = drawn.labels.numpy()
        written.append(path.with_suffix(".npz"))
        np.savez_compressed(written[-1], **arrays)
    return written
