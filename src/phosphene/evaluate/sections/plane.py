"""Points in the plane: samples beside data, and densities where they are known."""

import torch
from torch import Tensor

from phosphene.core.protocols import Bounded, Density, Samples
from phosphene.evaluate import page, plots, views
from phosphene.evaluate.likelihood import exact_log_prob, importance_weighted
from phosphene.evaluate.section import Shown, section

__all__ = ["density", "points"]

_SIDE = 160
"""Points along each axis at which densities of the plane are shown."""


@section(needs=(Samples,), kinds=("plane",), place=200)
def points(shown: Shown) -> str:
    """Test examples and samples, on the same axes."""
    some = shown.at(torch.arange(min(2000, len(shown.test))))
    n = len(some.x)
    drawn = views.draws(shown.model, n, some.context, seed=shown.seed)
    figures = []
    for name, x in {"Test examples": some.x, "Samples": drawn}.items():
        chart = plots.scatter({"": x}, limits=_extent(shown))
        figures.append(page.figure(plots.svg(chart), f"{n:,} points", name))
    return page.section("Samples", f'<div class="pair">{"".join(figures)}</div>')


def _extent(shown: Shown) -> tuple[float, float]:
    low, high = float(shown.test.x.min()), float(shown.test.x.max())
    room = 0.12 * (high - low)
    return low - room, high + room


@section(kinds=("plane",), place=210)
def density(shown: Shown) -> str:
    """The true density and the model's, as far as they are known."""
    low, high = _extent(shown)
    side = torch.linspace(low, high, _SIDE)
    y, x = torch.meshgrid(side, side, indexing="ij")
    found = _densities(shown, torch.stack([x, y], dim=-1).reshape(-1, 2))
    if not found:
        return ""
    # Colors are the truth's where it is known: a peak that is too high does not dim the rest.
    top = float(next(iter(found.values())).max())
    charts = []
    for name, values in found.items():
        picture = plots.density(values.reshape(_SIDE, _SIDE), (low, high, low, high), brightest=top)
        charts.append(page.figure(plots.svg(picture), name=name))
    return page.section("Density", f'<div class="pair">{"".join(charts)}</div>')


def _densities(shown: Shown, at: Tensor) -> dict[str, Tensor]:
    model, found = shown.model, {}
    if shown.test.log_prob is not None:
        found["True density"] = shown.test.log_prob(at).exp()
    if model.context:
        return found
    if isinstance(model, Density) or model.likelihood == "ode":
        found["Density of the model"] = exact_log_prob(model, at).exp()
    elif isinstance(model, Bounded):
        bound = importance_weighted(model, at, particles=50, seed=shown.seed)
        found["Density of the model, importance-weighted"] = bound.exp()
    return found
