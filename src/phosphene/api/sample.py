"""Pictures, texts, sounds and arrays of what a run makes."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from phosphene.core.config import decode
from phosphene.core.context import Context
from phosphene.core.errors import ConfigError, RunError, UnknownNameError
from phosphene.core.model import Model
from phosphene.core.rng import generator
from phosphene.data.dataset import Dataset
from phosphene.data.limits import admit
from phosphene.data.sound import signal_of, wav_bytes
from phosphene.data.tokenizers import Tokenizer
from phosphene.evaluate import views
from phosphene.evaluate.data_kind import picture
from phosphene.evaluate.pictures import series_of, shape_of_image
from phosphene.evaluate.subject import data_of
from phosphene.evaluate.table_plots import table_picture
from phosphene.evaluate.text import legible
from phosphene.nn.choosing import Choosing
from phosphene.subjects.dataset.given import Given, conditioned_sheet, context_of, given_images
from phosphene.subjects.dataset.rows import GivenRows, given_labels, given_rows, write_rows
from phosphene.train.files import destination, replacing, write_atomically
from phosphene.train.folder import Run

__all__ = [
    "Drawn",
    "complete",
    "inpaint",
    "interpolate",
    "sample",
    "save_drawn",
    "texts",
    "tokenizer_of",
    "translate",
    "traverse",
]

What = Literal["samples", "interpolation", "traversal", "inpainting", "translation"]
Prior = Literal["normal", "mixture"]


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
    """

    x: Tensor
    columns: int
    what: What
    labels: Tensor | None = None
    given: Given | None = None
    context: Context | None = None


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

    Raises:
        ConfigError: ``n`` is below 1, or a setting means nothing to the model or is out of range.
        DataError: An image cannot be read, or is not of the size and channels of those that the
            model is conditioned on.
        EventError: The model does not sample.
    """
    how = _choosing(temperature, top_k, top_p)
    if n is not None and n < 1:
        raise ConfigError(f"the number of samples must be at least 1, got {n}")
    model = run.model
    images: Given | None = None
    context: Context | None
    if image is not None or model.context.image is not None:
        n, context, images = given_images(run, model, n, label, image)
    elif given is not None:
        vector = given_rows(run, model, given)
        classes = given_labels(run, model, given, len(vector)) if label is None else None
        n = (1000 if len(vector) == 1 else 8) if n is None else n
        vector = vector.repeat_interleave(n, 0)
        n = len(vector)
        context = context_of(run, model, n, label, vector)
        if classes is not None and context is not None:
            every = torch.tensor(classes).repeat_interleave(n // len(classes))
            context = replace(context, label=every)
    elif n is None and _columns(run):
        n = 1000
        context = context_of(run, model, n, label)
    else:
        n = (4 if _is_sequence(run) else 64) if n is None else n
        context = context_of(run, model, n, label)
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


def _columns(run: Run) -> list[str]:
    """The names of the values, of a run on a table."""
    return list(run.config.get("columns", ()))


def _choosing(temperature: float | None, top_k: int | None, top_p: float | None) -> dict[str, Any]:
    """The settings of a sampler, refused where they are out of range."""
    Choosing(temperature=1.0 if temperature is None else temperature, top_k=top_k, top_p=top_p)
    return {"temperature": temperature, "top_k": top_k, "top_p": top_p}


def tokenizer_of(run: Run) -> Tokenizer | None:
    """What turns codes into text, for a run that was trained on text."""
    stored = run.config.get("tokenizer")
    tokenizer: Tokenizer | None = None if stored is None else decode(stored)
    if not isinstance(tokenizer, Tokenizer | None):
        raise RunError(f"{str(run.path)!r} names a tokenizer that turns nothing into text")
    return tokenizer


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
) -> Drawn:
    """Texts that begin with a prompt, the rest drawn given it.

    Raises:
        ConfigError: The run is not of text, or the prompt leaves no room for a character.
        DataError: The prompt holds a character that the run does not know.
        EventError: The model cannot go on from a part that is known.
    """
    how = _choosing(temperature, top_k, top_p)
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
) -> Drawn:
    """Test images, their upper halves, and what the model draws below these.

    Raises:
        ConfigError: The run is not of images.
        EventError: The model cannot fill in the lower half given the upper.
    """
    how = _choosing(temperature, top_k, top_p)
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


def texts(run: Run, drawn: Drawn) -> list[str]:
    """What was drawn, as texts; none where the run is not of text."""
    tokenizer = tokenizer_of(run)
    if tokenizer is None:
        return []
    return [legible(tokenizer.decode(codes.round())) for codes in drawn.x.double()]


def save_drawn(
    run: Run, drawn: Drawn, out: str | Path | None = None, npz: bool = False
) -> list[Path]:
    """Write texts, sounds, a table or a picture, and, if asked or needed, an npz.

    Args:
        run: Whose samples they are.
        drawn: What was drawn.
        out: The file; None for ``samples/`` in the run, where a table has its picture beside it.
            Several sounds are numbered. A name that ends in ``.npz`` asks for the array alone.
        npz: Also write ``x`` (and ``y``, labels, and ``image``, conditions), as
            :func:`phosphene.data.load` reads them.

    Returns:
        The paths written.
    """
    endings = _endings(run)
    beside = out is None
    if out is None:
        out = run.place("samples") / f"{drawn.what}{endings[0]}"
    path = destination(out, endings)
    written: list[Path] = []
    if path.suffix.lower() == ".txt":
        written.append(_write_texts(path, texts(run, drawn)))
    elif path.suffix.lower() == ".wav":
        written += _write_sounds(path, run, drawn.x)
    elif path.suffix.lower() == ".csv":
        written.append(_write_table(path, run, drawn))
        if beside:
            written.append(_write_picture(path.with_suffix(".png"), run, drawn))
    elif path.suffix.lower() == ".png" and _pictured(run):
        written.append(_write_picture(path, run, drawn))
    if npz or not written:
        written.append(_write_arrays(path.with_suffix(".npz"), run, drawn))
    return written


def _write_picture(path: Path, run: Run, drawn: Drawn) -> Path:
    with replacing(path) as aside:
        _sheet(run, drawn).save(aside, format="PNG")
    return path


def _write_table(path: Path, run: Run, drawn: Drawn) -> Path:
    names = ("vector_columns", ()), ("classes", ()), ("label_name", "")
    beside = [run.config.get(name, default) for name, default in names]
    given = dict((drawn.context or Context(label=drawn.labels)).parts())
    told = Context(**{k: v for k, v in given.items() if k in run.model.context.names})
    return write_rows(path, drawn.x, _columns(run), told, *beside)


def _sheet(run: Run, drawn: Drawn) -> Image.Image:
    event = run.model.event
    if _columns(run):
        return table_picture({"": drawn.x}, _columns(run))
    if drawn.given is None or not event.is_image:
        return picture(drawn.x, event, drawn.columns)
    return conditioned_sheet(drawn.x, event, drawn.given, drawn.columns)


def _pictured(run: Run) -> bool:
    from phosphene.core.event import Event

    if _columns(run):
        return True
    event = run.model.event
    series = series_of(torch.zeros(1, *event.shape), event)
    return shape_of_image(event) is not None or event == Event.real(2) or series is not None


def _endings(run: Run) -> tuple[str, ...]:
    """Of the files that samples can be written to, the usual one first."""
    if tokenizer_of(run) is not None:
        return ".txt", ".npz"
    if _columns(run):
        return ".csv", ".png", ".npz"
    return (".wav", ".png", ".npz") if run.model.event.kind == "audio" else (".png", ".npz")


def _write_texts(path: Path, found: list[str]) -> Path:
    parts = found
    if len(found) > 1:
        parts = [f"=== {k + 1} ===\n{text}" for k, text in enumerate(found)]
    write_atomically(path, "\n".join(parts) + "\n")
    return path


def _write_sounds(path: Path, run: Run, x: Tensor) -> list[Path]:
    levels = run.model.event.levels
    assert levels is not None
    rate = run.config.get("sample_rate") or 8000  # what Event.audio is at by default
    signals = signal_of(x, levels)
    digits = len(str(len(signals)))
    paths = [path]
    if len(signals) > 1:
        paths = [path.with_stem(f"{path.stem}-{k + 1:0{digits}d}") for k in range(len(signals))]
    for one, place in zip(signals, paths, strict=True):
        write_atomically(place, wav_bytes(one, rate))
    return paths


def _write_arrays(path: Path, run: Run, drawn: Drawn) -> Path:
    event = run.model.event
    arrays: dict[str, Any] = {"x": drawn.x.numpy()}
    if event.levels is not None and drawn.what == "samples" and event.levels <= 256:
        arrays["x"] = drawn.x.round().to(torch.uint8).numpy()
    if drawn.labels is not None:
        arrays["y"] = drawn.labels.numpy()
    if drawn.context is not None and drawn.context.vector is not None:
        arrays["vector"] = drawn.context.vector.numpy()
    if drawn.given is not None:
        arrays["image"] = drawn.given.of(len(drawn.x)).numpy()
    with replacing(path) as aside, aside.open("wb") as file:
        np.savez_compressed(file, **arrays)
    return path
