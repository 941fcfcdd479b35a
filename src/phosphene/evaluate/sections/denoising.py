"""How samples come about: strips from noise to data, a moving picture, ways across the plane."""

import inspect
from typing import Any

import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.errors import ConfigError
from phosphene.core.model import Model
from phosphene.core.protocols import Samples, SamplesPath, Transports
from phosphene.evaluate import page, pictures, plots, views
from phosphene.evaluate.animation import animated
from phosphene.evaluate.batches import evaluating
from phosphene.evaluate.denoising import paths
from phosphene.evaluate.section import Shown, section

__all__ = ["WEIGHTS", "across_the_plane", "guided", "strips"]

WEIGHTS = (0.0, 0.5, 1.0, 2.0, 4.0)
"""Of guidance, from above."""

_ROWS, _STATES = 6, 10
_MOVING, _FRAMES = 25, 24
_WAYS = 40


@section(needs=(Samples, SamplesPath), kinds=("images",), place=110)
def strips(shown: Shown) -> str:
    """Rows from noise to the sample, and many samples as a moving picture."""
    model = shown.model
    some = shown.first(max(_ROWS, _MOVING))
    if len(some.x) < _MOVING:
        return ""
    few = some.upto(_ROWS)
    rows = paths(model, _ROWS, few.context, frames=_STATES, seed=shown.seed)
    sheet = pictures.grid(_pixels(rows.transpose(0, 1).flatten(0, 1), model), len(rows))
    moving = paths(model, _MOVING, some.upto(_MOVING).context, frames=_FRAMES, seed=shown.seed + 5)
    scale = max(1, round(36 / max(model.event.shape[1:])))
    frames = [pictures.grid(_pixels(x, model), 5, scale=scale) for x in moving]
    data = pictures.data_uri(animated(frames), "gif")
    figure = page.figure(f'<img class="pix" alt="samples as they come about" src="{data}">')
    lead = (
        "Each row is one sample, from noise at the left to the data at the right: states of the "
        "sampler, evenly spread over its steps. Below, more samples as a moving picture."
    )
    return page.section("Denoising", page.figure(sheet), figure, lead=lead)


def _pixels(x: Tensor, model: Model) -> Any:
    return pictures.pixels(x, model.event)


def _takes_guidance(model: Model) -> bool:
    draw = getattr(model, "sample", None)
    return draw is not None and "guidance" in inspect.signature(draw).parameters


@section(needs=(Samples,), kinds=("images",), place=155)
def guided(shown: Shown) -> str:
    """Samples of each label under guidance of several weights, from the same noise."""
    model, count = shown.model, shown.model.context.label
    if not count or model.context.names != ("label",) or not _takes_guidance(model):
        return ""
    each = max(1, 20 // count)
    labels = torch.arange(min(count, 20)).repeat_interleave(each)
    rows, told = [], Context(label=labels)
    try:
        for weight in WEIGHTS:
            drawn = views.draws(model, len(labels), told, seed=shown.seed + 6, guidance=weight)
            rows.append((f"{weight:g}", pictures.grid(_pixels(drawn, model), len(labels))))
    except ConfigError:  # training never withheld the label
        return ""
    names = shown.test.classes or tuple(map(str, range(count)))
    asked = ", ".join(str(name) for name in names[: len(labels) // each])
    lead = (
        "One row for each weight w of (1 + w) m(x, c) - w m(x), from the same noise: 0 is the "
        "conditional model, and a larger weight gives samples that agree more with their label "
        f"and vary less. Labels from left to right, {each} each: {asked}."
    )
    return page.section("Guidance", page.strips(rows), lead=lead)


@section(needs=(Samples, SamplesPath), kinds=("plane",), place=205)
def across_the_plane(shown: Shown) -> str:
    """Ways of samples from noise to data, over the field that carries them."""
    model = shown.model
    if model.context:
        return ""
    ways = paths(model, _WAYS, frames=30, seed=shown.seed + 7)
    field = _field(model, shown)
    chart = plots.ways(ways, shown.test.x[:1500], field)
    lead = "Ways of samples from noise (gray) to data (blue), over test examples."
    if field is not None:
        lead += (
            " Arrows are the direction in which the flow of probability carries a sample in the "
            "middle of the way."
        )
    return page.section("From noise to data", page.figure(plots.svg(chart)), lead=lead)


def _field(model: Model, shown: Shown) -> tuple[Tensor, Tensor] | None:
    """Places (n, 2) on the scale of the data, and the direction there, toward the data."""
    if not isinstance(model, Transports):
        return None
    mean, std = shown.train.x.mean(0), shown.train.x.std(0)
    side = torch.linspace(-2.2, 2.2, 15)
    y = torch.stack(torch.meshgrid(side, side, indexing="xy"), -1).reshape(-1, 2)
    y = y.to(model.device, model.dtype)
    with evaluating(model):
        v = model.velocity(y, torch.full((len(y),), 0.5, device=y.device, dtype=y.dtype))
    if not bool(v.any()):  # nothing is learned yet
        return None
    # Within, data have mean 0 and variance 1; time runs from data to noise.
    return y.cpu() * std + mean, -v.cpu() * std
