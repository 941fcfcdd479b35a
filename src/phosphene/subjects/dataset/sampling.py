"""``phosphene sample`` for models of data: samples are drawn and written to files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phosphene.core.errors import ConfigError
from phosphene.subjects.dataset import drawing
from phosphene.subjects.dataset.drawing import Drawn
from phosphene.subjects.dataset.writing import save_drawn, texts
from phosphene.subjects.results import Sampled
from phosphene.train.folder import Run

__all__ = ["draw_and_write"]

_THINGS = ("interpolate", "traverse", "translate", "inpaint", "prompt", "image")
_CHOOSING = ("temperature", "top_k", "top_p")


def draw_and_write(
    run: Run, *, seed: int, out: str | Path | None, sampler: Mapping[str, Any], **options: Any
) -> Sampled:
    """Draw what was asked for, and write it.

    Raises:
        ConfigError: Two things were asked for.
    """
    asked = [name for name in _THINGS if options[name] not in (None, False)]
    if len(asked) > 1:
        raise ConfigError(f"--{asked[0]} and --{asked[1]} are two things; ask for one at a time")
    drawn = _draw(run, options, seed, sampler)
    written = save_drawn(run, drawn, out, options["npz"])
    return Sampled(written, tuple(drawn.x.shape), texts(run, drawn))


def _draw(run: Run, options: Mapping[str, Any], seed: int, sampler: Mapping[str, Any]) -> Drawn:
    number = options["number"]
    rows = number or 8
    chosen = {name: options[name] for name in _CHOOSING}
    if options["interpolate"]:
        return drawing.interpolate(run, rows, seed=seed)
    if options["traverse"]:
        return drawing.traverse(run, rows, seed=seed)
    if options["translate"]:
        return drawing.translate(run, rows, seed=seed)
    if options["inpaint"]:
        return drawing.inpaint(run, rows, seed=seed, **chosen)
    if options["prompt"] is not None:
        label = options["label"]
        return drawing.complete(
            run, options["prompt"], number or 4, seed=seed, label=label, **chosen
        )
    told = {name: options[name] for name in ("label", "mean", "prior", "image", "given")}
    return drawing.sample(run, number, seed=seed, sampler=sampler, **told, **chosen)
