"""The pictures of a report: what a model of images or of points in the plane shows of itself."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.core.protocols import (
    Bounded,
    Decodes,
    Density,
    Encodes,
    Invertible,
    Reconstructs,
    Samples,
    SamplesMean,
    Transfers,
)
from phosphene.core.rng import generator
from phosphene.data.dataset import Dataset
from phosphene.evaluate import page, pictures, plots, transfers, views
from phosphene.evaluate.likelihood import exact_log_prob, importance_weighted
from phosphene.evaluate.super_resolution import comparison, super_resolves

__all__ = ["Images", "Plane", "number"]

_TEMPERATURES = (0.5, 0.7, 0.9, 1.0)
_SIDE = 160
"""Points along each axis at which densities of the plane are shown."""


def number(value: float) -> str:
    """A score in four digits, large ones with commas.

    Example:
        >>> number(102.44), number(0.0312345), number(1234567.0)
        ('102.4', '0.03123', '1,234,567')
    """
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def context_of(dataset: Dataset, model: Model, index: Tensor) -> Context | None:
    return dataset.take(index)[1] if model.context else None


class Images:
    """The pictures of a model of images: samples, reconstructions, paths, directions, neighbors.

    Images made of smaller ones are shown beside their inputs.
    """

    def __init__(self, model: Model, test: Dataset, train: Dataset, seed: int) -> None:
        self.model, self.test, self.train, self.seed = model, test, train, seed
        self.event = model.event
        order = torch.randperm(len(test), generator=generator(seed, 41))
        self.index = order[: min(64, len(test))]
        self.x, _ = test.take(self.index)
        self.context = context_of(test, model, self.index)
        self.coded = isinstance(model, Encodes) and isinstance(model, Decodes)

    def sections(self) -> list[str]:
        """Those sections that are true for this model."""
        parts = []
        if self.coded:
            parts.append(self._fitted())
        if isinstance(self.model, Transfers):
            parts.append(self._transfers())
        if isinstance(self.model, Samples):
            upscales = super_resolves(self.model, self.test)
            parts.append(self._solutions() if upscales else self._conditioned())
            parts += [self._samples(), self._temperatures(), self._classes()]
        if isinstance(self.model, Reconstructs):
            parts.append(self._reconstructions())
        if self.coded:
            parts += [self._interpolations(), self._traversals()]
        if isinstance(self.model, Samples):
            parts.append(self._neighbors())
        return parts

    def _sheet(self, x: Tensor, columns: int, **layout: int) -> Any:
        return pictures.grid(pictures.pixels(x, self.event), columns, **layout)

    def _fitted(self) -> str:
        shown = views.fitted_draws(
            self.model, self.train, len(self.x), self.context, seed=self.seed
        )
        pair = [
            page.figure(self._sheet(self.x, 8), "held out, not trained on", "Test examples"),
            page.figure(self._sheet(shown, 8), "decoded, not chosen", "Draws of a fitted prior"),
        ]
        lead = (
            "A mixture of Gaussians was fitted to the training examples' codes after training; "
            "these codes are drawn from it, not from N(0, I). The scores do not use it."
        )
        body = f'<div class="pair">{"".join(pair)}</div>'
        return page.section("Draws where the codes lie", body, lead=lead)

    def _conditioned(self) -> str:
        """Images that condition, the examples they belong to, and what the model makes of them."""
        event, given = self.model.context.image, self.context
        if event is None or given is None or given.image is None or not self.event.is_image:
            return ""
        n, copies = min(8, len(self.x)), 6
        drawn = views.draws(
            self.model, n * copies, given[slice(0, n)].repeat(copies), seed=self.seed + 2
        )
        shown, real = pictures.pixels(drawn, self.event), pictures.pixels(self.x[:n], self.event)
        left = pictures.resized(
            pictures.pixels(given.image[:n], event), (real.shape[1], real.shape[2])
        )
        many = shown.reshape(n, copies, *shown.shape[1:])
        rows = np.concatenate([left[:, None], real[:, None], many], axis=1)
        sheet = pictures.grid(rows.reshape(-1, *real.shape[1:]), 2 + copies)
        lead = (
            "Each row: an image of the test split that conditions, the example that belongs to it, "
            f"and {copies} samples of the model given that image, not chosen."
        )
        return page.section("Samples of one condition", page.figure(sheet), lead=lead)

    def _samples(self) -> str:
        n = len(self.x)
        drawn = views.draws(self.model, n, self.context, seed=self.seed)
        shown, name, caption = drawn, "Samples", "drawn from the model, not chosen"
        below = ""
        if isinstance(self.model, SamplesMean):
            shown = views.draws(self.model, n, self.context, seed=self.seed, mean=True)
            name, caption = "Samples, as means", "the mean image of each latent draw, not chosen"
            note = "the same latent draws with every pixel drawn from its distribution"
            sheet = page.figure(self._sheet(drawn, 16), note, "Samples, as pixels")
            below = f'<div style="margin-top:24px">{sheet}</div>'
        pair = [
            page.figure(self._sheet(self.x, 8), "held out, not trained on", "Test examples"),
            page.figure(self._sheet(shown, 8), caption, name),
        ]
        asked = [
            {"image": "images", "label": "labels"}[name]
            for name in self.model.context.names
            if name in ("image", "label")
        ]
        lead = ""
        if asked:
            lead = f"Samples were given the {' and '.join(asked)} of the examples beside them."
        return page.section("Samples", f'<div class="pair">{"".join(pair)}</div>', below, lead=lead)

    def _temperatures(self) -> str:
        """Draws of a flow nearer to the center of its base: the same noise in each column."""
        if not isinstance(self.model, Invertible) or self.model.context.image is not None:
            return ""
        n = min(16, len(self.x))
        context = None if self.context is None else self.context[slice(0, n)]
        rows = [
            views.draws(self.model, n, context, seed=self.seed + 3, temperature=temperature)
            for temperature in _TEMPERATURES
        ]
        lead = (
            "From above, the base's spread times "
            f"{', '.join(f'{t:g}' for t in _TEMPERATURES)}: each column is one draw of noise. "
            "A lower temperature gives likelier and less varied images."
        )
        figure = page.figure(self._sheet(torch.cat(rows), n))
        return page.section("Samples by temperature", figure, lead=lead)

    def _solutions(self) -> str:
        draws = 5
        rows = comparison(self.model, self.test, self.index[:10], draws=draws, seed=self.seed)
        heads = ["given", "bicubic", "temperature 0", *["0.8"] * draws, "truth"]
        names = ", ".join(dict.fromkeys(heads))
        sheet = self._sheet(rows.flatten(0, 1), len(heads))
        lead = (
            "One row for each test example: the low-resolution image that the model is given, its "
            f"bicubic interpolation, the model's image at temperature 0, {draws} of its images at "
            "temperature 0.8, and the true one. None is chosen."
        )
        figure = page.figure(sheet, f"from left to right: {names}")
        return page.section("Super-resolution", figure, lead=lead)

    def _transfers(self) -> str:
        table, columns = transfers.transferred(self.model, self.test, self.index[:8])
        lead = (
            "Test examples, on the left, as they would be for the conditions above: what the "
            "condition does not say is kept. On the diagonal stand the examples' own conditions, "
            "which give them back."
        )
        figure = page.figure(pictures.grid(table, columns))
        return page.section("Transfers", figure, lead=lead)

    def _classes(self) -> str:
        count = self.model.context.label
        if not count or self.model.context.names != ("label",):
            return ""
        labels = torch.arange(count).repeat_interleave(12)
        mean = isinstance(self.model, SamplesMean)
        context = Context(label=labels)
        drawn = views.draws(self.model, len(labels), context, seed=self.seed, mean=mean)
        names = self.test.classes or tuple(map(str, range(count)))
        rows = zip(names, drawn.split(12), strict=True)
        strips = page.strips((str(name), self._sheet(x, 12)) for name, x in rows)
        return page.section("Samples by class", strips, lead="One row for each label asked for.")

    def _reconstructions(self) -> str:
        n = min(24, len(self.x))
        assert isinstance(self.model, Reconstructs)
        x, context = self.x[:n], None if self.context is None else self.context[slice(0, n)]
        with torch.no_grad():
            given = () if context is None else (context.to(self.model.device),)
            back = self.model.reconstruct(x.to(self.model.device), *given).cpu()
        rows: list[Any] = []
        for start in range(0, n, 12):
            part = slice(start, start + 12)
            rows += [("test", self._sheet(x[part], 12)), ("model", self._sheet(back[part], 12))]
            rows.append(None)
        lead = "Test examples, and what is left of them after encoder and decoder."
        return page.section("Reconstructions", page.strips(rows[:-1]), lead=lead)

    def _interpolations(self) -> str:
        n = min(5, len(self.x) // 2)
        context = None if self.context is None else self.context[slice(0, n)]
        a, b = self.x[:n], self.x[n : 2 * n]
        paths = views.interpolations(self.model, a, b, 10, context)
        rows = [torch.cat([a[k : k + 1], paths[k], b[k : k + 1]]) for k in range(n)]
        strips = "".join(page.figure(self._sheet(row, 12)) for row in rows)
        strips = f'<div class="rows">{strips}</div>'
        lead = (
            "Straight lines between the codes of two test examples, decoded. The first and the "
            "last image of each row are the examples themselves."
        )
        return page.section("Interpolations", strips, lead=lead)

    def _traversals(self) -> str:
        whole = torch.arange(min(1000, len(self.test)))
        x, _ = self.test.take(whole)
        moments = views.spread(self.model, x, context_of(self.test, self.model, whole))
        one = None if self.context is None else self.context[slice(0, 1)]
        moved, order = views.traversals(self.model, self.x[:1], moments, steps=11, context=one)
        rows = [
            (f"z{d}, spread {float(moments[1][d]):.2f}", self._sheet(x, 11))
            for d, x in zip(order, moved, strict=True)
        ]
        lead = (
            "One latent dimension at a time, over 2.5 standard deviations of the data's codes to "
            "either side; those that vary most come first."
        )
        return page.section("Latent directions", page.strips(rows), lead=lead)

    def _neighbors(self) -> str:
        n = min(12, len(self.x))
        context = None if self.context is None else self.context[slice(0, n)]
        drawn = views.draws(self.model, n, context, seed=self.seed + 1)
        index, distances = views.neighbors(drawn, self.train.x, 3)
        rows: list[Any] = [("sample", self._sheet(drawn, n)), None]
        names = ("nearest", "second", "third")
        for k in range(index.shape[1]):
            rows.append((names[k], self._sheet(self.train.x[index[:, k]], n)))
        held, _ = views.neighbors(self.x[:n], self.train.x, 1)
        real = (self.x[:n].float() - self.train.x[held[:, 0]].float()).flatten(1).norm(dim=1)
        lead = (
            "Is it memory? Each sample above its nearest training examples, by Euclidean distance: "
            f"{number(float(distances[:, 0].mean()))} on average to the first, against "
            f"{number(float(real.mean()))} for test examples."
        )
        return page.section("Nearest training examples", page.strips(rows), lead=lead)


class Plane:
    """The pictures of a model of points in the plane; nothing for other events."""

    def __init__(self, model: Model, test: Dataset, train: Dataset, seed: int) -> None:
        self.model, self.test, self.seed = model, test, seed
        self.drawn = model.event == Event.real(2)

    def sections(self) -> list[str]:
        """Samples beside data, and densities where they are known."""
        if not self.drawn:
            return []
        parts = [self._samples()] if isinstance(self.model, Samples) else []
        return [*parts, self._density()]

    def _samples(self) -> str:
        n = min(2000, len(self.test))
        index = torch.arange(n)
        context = context_of(self.test, self.model, index)
        drawn = views.draws(self.model, n, context, seed=self.seed)
        sets = {"Test examples": self.test.x[:n], "Samples": drawn}
        low, high = self._extent()
        figures = []
        for name, x in sets.items():
            chart = plots.scatter({"": x}, limits=(low, high))
            figures.append(page.figure(plots.svg(chart), f"{n:,} points", name))
        return page.section("Samples", f'<div class="pair">{"".join(figures)}</div>')

    def _extent(self) -> tuple[float, float]:
        low, high = float(self.test.x.min()), float(self.test.x.max())
        room = 0.12 * (high - low)
        return low - room, high + room

    def _density(self) -> str:
        low, high = self._extent()
        side = torch.linspace(low, high, _SIDE)
        y, x = torch.meshgrid(side, side, indexing="ij")
        points = torch.stack([x, y], dim=-1).reshape(-1, 2)
        found: dict[str, Tensor] = {}
        if self.test.log_prob is not None:
            found["True density"] = self.test.log_prob(points).exp()
        known = isinstance(self.model, Density) or self.model.likelihood == "ode"
        if known and not self.model.context:
            found["Density of the model"] = exact_log_prob(self.model, points).exp()
        elif isinstance(self.model, Bounded) and not self.model.context:
            bound = importance_weighted(self.model, points, particles=50, seed=self.seed)
            found["Density of the model, importance-weighted"] = bound.exp()
        if not found:
            return ""
        # Colors are the truth's where it is known: a peak that is too high does not dim the rest.
        top = float(next(iter(found.values())).max())
        charts = []
        for name, values in found.items():
            picture = plots.density(
                values.reshape(_SIDE, _SIDE), (low, high, low, high), brightest=top
            )
            charts.append(page.figure(plots.svg(picture), name=name))
        return page.section("Density", f'<div class="pair">{"".join(charts)}</div>')
