"""Files of what was drawn: texts, sounds, tables, pictures, arrays."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.event import Event
from phosphene.data.sound import signal_of, wav_bytes
from phosphene.evaluate.animation import ENDINGS, animated
from phosphene.evaluate.data_kind import picture
from phosphene.evaluate.formatting import legible
from phosphene.evaluate.pictures import series_of, shape_of_image
from phosphene.evaluate.table_plots import table_picture
from phosphene.subjects.dataset.drawing import Drawn
from phosphene.subjects.dataset.recorded_format import columns_of, tokenizer_of
from phosphene.subjects.dataset.rows import write_rows
from phosphene.subjects.dataset.sample_context import conditioned_sheet
from phosphene.train.files import destination, replacing, write_atomically
from phosphene.train.folder import Run

__all__ = ["save_drawn", "texts"]

_CODES = ("samples", "refined", "filled")
"""What is of the event's own values, and not means or states on the way."""


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
            Several sounds are numbered; a moving picture is a GIF or an APNG. A name that ends in
            ``.npz`` asks for the array alone.
        npz: Also write ``x`` (and ``y``, labels, and ``image``, conditions), as
            :func:`phosphene.data.load` reads them.

    Returns:
        The paths written.
    """
    endings = (*ENDINGS, ".npz") if drawn.frames is not None else _endings(run)
    beside = out is None
    if out is None:
        out = run.place("samples") / f"{drawn.what}{endings[0]}"
    path = destination(out, endings)
    written: list[Path] = []
    if drawn.frames is not None and path.suffix.lower() in ENDINGS:
        written.append(_write_animation(path, run, drawn))
    elif path.suffix.lower() == ".txt":
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


def _write_animation(path: Path, run: Run, drawn: Drawn) -> Path:
    assert drawn.frames is not None
    event = run.model.event
    shape = shape_of_image(event)
    # A moving picture of noise is as large as all its frames.
    layout: dict[str, Any] = {} if shape is None else {"scale": max(1, 40 // max(shape[1:]))}
    if event == Event.real(2):
        # Of the last frames, which are near the data: noise may fly far out of the picture.
        reach = 1.2 * float(drawn.x[len(drawn.x) // 2 :].abs().quantile(0.995))
        layout = {"limits": (-reach, reach), "size": (3.0, 3.0)}
    frames = [
        picture(x, event, drawn.columns, **layout)
        for x in drawn.x.split(len(drawn.x) // drawn.frames)
    ]
    write_atomically(path, animated(frames, path.suffix.lower()))
    return path


def _write_table(path: Path, run: Run, drawn: Drawn) -> Path:
    names = ("vector_columns", ()), ("classes", ()), ("label_name", "")
    beside = [run.config.get(name, default) for name, default in names]
    given = dict((drawn.context or Context(label=drawn.labels)).parts())
    told = Context(**{k: v for k, v in given.items() if k in run.model.context.names})
    return write_rows(path, drawn.x, columns_of(run), told, *beside)


def _sheet(run: Run, drawn: Drawn) -> Image.Image:
    event = run.model.event
    if columns_of(run):
        return table_picture({"": drawn.x}, columns_of(run))
    if drawn.given is None or not event.has_image_shape:
        return picture(drawn.x, event, drawn.columns)
    return conditioned_sheet(drawn.x, event, drawn.given, drawn.columns)


def _pictured(run: Run) -> bool:
    if columns_of(run):
        return True
    event = run.model.event
    series = series_of(torch.zeros(1, *event.shape), event)
    return shape_of_image(event) is not None or event == Event.real(2) or series is not None


def _endings(run: Run) -> tuple[str, ...]:
    """Of the files that samples can be written to, the usual one first."""
    if tokenizer_of(run) is not None:
        return ".txt", ".npz"
    if columns_of(run):
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
    if event.levels is not None and drawn.what in _CODES and event.levels <= 256:
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
