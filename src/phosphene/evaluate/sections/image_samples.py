"""Samples of images: plain, given a condition, nearer to the mode, beside what was trained on."""

from typing import Any

import numpy as np
import torch

from phosphene.core.context import Context
from phosphene.core.protocols import Invertible, Samples, SamplesMean
from phosphene.evaluate import page, pictures, views
from phosphene.evaluate.formatting import number
from phosphene.evaluate.section import Shown, section
from phosphene.evaluate.super_resolution import comparison, super_resolves

__all__ = ["classes", "conditioned", "neighbors", "samples", "sheet", "solutions", "temperatures"]

SHOWN = 64
_TEMPERATURES = (0.5, 0.7, 0.9, 1.0)


def sheet(shown: Shown, x: torch.Tensor, columns: int) -> Any:
    """Images in rows."""
    return pictures.grid(pictures.pixels(x, shown.model.event), columns)


@section(needs=(Samples,), kinds=("images",), place=120)
def conditioned(shown: Shown) -> str:
    """Images that condition, the examples they belong to, and what the model makes of them."""
    model, some = shown.model, shown.first(SHOWN)
    event, given = model.context.image, some.context
    if super_resolves(model, shown.test) or not model.event.has_image_shape:
        return ""
    if event is None or given is None or given.image is None:
        return ""
    n, copies = min(8, len(some.x)), 6
    asked = given[slice(0, n)].repeat(copies)
    drawn = views.draws(model, n * copies, asked, seed=shown.seed + 2)
    made, real = pictures.pixels(drawn, model.event), pictures.pixels(some.x[:n], model.event)
    size = (real.shape[1], real.shape[2])
    left = pictures.resized(pictures.pixels(given.image[:n], event), size)
    many = made.reshape(n, copies, *made.shape[1:])
    rows = np.concatenate([left[:, None], real[:, None], many], axis=1)
    grid = pictures.grid(rows.reshape(-1, *real.shape[1:]), 2 + copies)
    lead = (
        "Each row: an image of the test split that conditions, the example that belongs to it, "
        f"and {copies} samples of the model given that image, not chosen."
    )
    return page.section("Samples of one condition", page.figure(grid), lead=lead)


@section(needs=(Samples,), kinds=("images",), place=121)
def solutions(shown: Shown) -> str:
    """Low-resolution inputs, and several images made of each."""
    if not super_resolves(shown.model, shown.test):
        return ""
    draws, some = 5, shown.first(SHOWN)
    rows = comparison(shown.model, shown.test, some.index[:10], draws=draws, seed=shown.seed)
    heads = ["given", "bicubic", "temperature 0", *["0.8"] * draws, "truth"]
    names = ", ".join(dict.fromkeys(heads))
    lead = (
        "One row for each test example: the low-resolution image that the model is given, its "
        f"bicubic interpolation, the model's image at temperature 0, {draws} of its images at "
        "temperature 0.8, and the true one. None is chosen."
    )
    grid = sheet(shown, rows.flatten(0, 1), len(heads))
    figure = page.figure(grid, f"from left to right: {names}")
    return page.section("Super-resolution", figure, lead=lead)


@section(needs=(Samples,), kinds=("images",), place=130)
def samples(shown: Shown) -> str:
    """Draws beside test examples; where the model has means, those and their draws."""
    model, some = shown.model, shown.first(SHOWN)
    n = len(some.x)
    drawn = views.draws(model, n, some.context, seed=shown.seed)
    right, name, caption = drawn, "Samples", "drawn from the model, not chosen"
    below = ""
    if isinstance(model, SamplesMean):
        right = views.draws(model, n, some.context, seed=shown.seed, mean=True)
        name, caption = "Samples, as means", "the mean image of each latent draw, not chosen"
        note = "the same latent draws with every pixel drawn from its distribution"
        grid = page.figure(sheet(shown, drawn, 16), note, "Samples, as pixels")
        below = f'<div style="margin-top:24px">{grid}</div>'
    pair = [
        page.figure(sheet(shown, some.x, 8), "held out, not trained on", "Test examples"),
        page.figure(sheet(shown, right, 8), caption, name),
    ]
    words = {"image": "images", "label": "labels"}
    asked = [words[part] for part in model.context.names if part in words]
    lead = ""
    if asked:
        lead = f"Samples were given the {' and '.join(asked)} of the examples beside them."
    return page.section("Samples", f'<div class="pair">{"".join(pair)}</div>', below, lead=lead)


@section(needs=(Samples, Invertible), kinds=("images",), place=140)
def temperatures(shown: Shown) -> str:
    """Draws of a flow nearer to the center of its base: the same noise in each column."""
    model, some = shown.model, shown.first(SHOWN).upto(16)
    if model.context.image is not None:
        return ""
    n = len(some.x)
    rows = [
        views.draws(model, n, some.context, seed=shown.seed + 3, temperature=temperature)
        for temperature in _TEMPERATURES
    ]
    lead = (
        "From above, the base's spread times "
        f"{', '.join(f'{t:g}' for t in _TEMPERATURES)}: each column is one draw of noise. "
        "A lower temperature gives likelier and less varied images."
    )
    figure = page.figure(sheet(shown, torch.cat(rows), n))
    return page.section("Samples by temperature", figure, lead=lead)


@section(needs=(Samples,), kinds=("images",), place=150)
def classes(shown: Shown) -> str:
    """One row of samples for each label, of a model that is given a label alone."""
    model, count = shown.model, shown.model.context.label
    if not count or model.context.names != ("label",):
        return ""
    labels = torch.arange(count).repeat_interleave(12)
    mean = isinstance(model, SamplesMean)
    drawn = views.draws(model, len(labels), Context(label=labels), seed=shown.seed, mean=mean)
    names = shown.test.classes or tuple(map(str, range(count)))
    rows = zip(names, drawn.split(12), strict=True)
    strips = page.strips((str(name), sheet(shown, x, 12)) for name, x in rows)
    return page.section("Samples by class", strips, lead="One row for each label asked for.")


@section(needs=(Samples,), kinds=("images",), place=190)
def neighbors(shown: Shown) -> str:
    """Samples above the training examples that are nearest to them."""
    some = shown.first(SHOWN).upto(12)
    n, known = len(some.x), shown.train.x
    drawn = views.draws(shown.model, n, some.context, seed=shown.seed + 1)
    index, distances = views.neighbors(drawn, known, 3)
    rows: list[Any] = [("sample", sheet(shown, drawn, n)), None]
    names = ("nearest", "second", "third")
    for k in range(index.shape[1]):
        rows.append((names[k], sheet(shown, known[index[:, k]], n)))
    held, _ = views.neighbors(some.x, known, 1)
    real = (some.x.float() - known[held[:, 0]].float()).flatten(1).norm(dim=1)
    lead = (
        "Is it memory? Each sample above its nearest training examples, by Euclidean distance: "
        f"{number(float(distances[:, 0].mean()))} on average to the first, against "
        f"{number(float(real.mean()))} for test examples."
    )
    return page.section("Nearest training examples", page.strips(rows), lead=lead)
