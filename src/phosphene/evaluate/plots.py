"""Charts: curves, scatters, densities, histograms, lines, comparisons.

Figures are made either as SVG whose colors follow the page (light or dark), or as PNG files on
white.
"""

import math
import re
from collections.abc import Mapping, Sequence
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "bands",
    "compare_figure",
    "curves",
    "density",
    "histogram",
    "png",
    "scatter",
    "svg",
    "waves",
    "ways",
]

INK, MUTED, FAINT, ACCENT, SECOND = "#1f2430", "#6b7280", "#d9dce3", "#4f5bd5", "#d9822b"
"""Colors of a figure on white. In SVG they become variables of the page."""

_VARIABLES = {INK: "ink", MUTED: "muted", FAINT: "line", ACCENT: "accent", SECOND: "second"}
CLASSES = (
    "#4f5bd5", "#d9822b", "#2a9d70", "#c8443f", "#8f63c7",
    "#9a6b45", "#d86bab", "#7f8694", "#a3a32b", "#2fa3bd",
)  # fmt: skip


def waves(
    series: np.ndarray[Any, np.dtype[np.float64]],
    *,
    columns: int = 1,
    height: float = 0.8,
    rate: int | None = None,
    width: float = 10.2,
) -> "Figure":
    """Lines (n, T) below one another, on one scale.

    Args:
        series: One row a line.
        columns: Lines beside one another.
        height: Of one line, in inches.
        rate: Values a second; the axis then counts seconds.
        width: Of the whole, in inches.
    """
    from matplotlib.figure import Figure

    rows = -(-len(series) // columns)
    figure = Figure(figsize=(width, max(1.2, height * rows + 0.4)), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    time = np.arange(series.shape[1]) / (rate or 1)
    for k, panel in enumerate(panels.reshape(-1)):
        plain_axes(panel)
        if k < len(series):
            panel.plot(time, series[k], color=ACCENT, linewidth=0.8)
            panel.margins(x=0)
        else:
            panel.set_axis_off()
    for panel in panels[-1]:
        panel.set_xlabel("seconds" if rate else "place", color=MUTED, fontsize=9)
    return figure


def _axes(width: float, height: float) -> tuple["Figure", Any]:
    from matplotlib.figure import Figure  # no pyplot: nothing global, no window system

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    plain_axes(axes)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(MUTED)
        label.set_fontsize(9)
    return figure, axes


def plain_axes(axes: Any) -> None:
    """Axes without a frame, with a faint grid."""
    axes.set_facecolor("none")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    axes.tick_params(colors=MUTED, labelsize=9, length=0)
    axes.grid(True, color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)


def svg(figure: "Figure") -> str:
    """A figure as inline SVG: text stays text, and colors are the page's variables."""
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "phosphene"}):
        buffer = StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.S)
    for color, variable in _VARIABLES.items():
        text = text.replace(color, f"var(--{variable})")
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", text)
    return re.sub(
        r'(<svg[^>]*?) width="[^"]*pt"', r"\1", re.sub(r' height="[\d.]+pt"', "", text, count=1)
    )


def png(figure: "Figure", dpi: int = 144) -> bytes:
    """A figure as a PNG on white."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, facecolor="white")
    return buffer.getvalue()


def curves(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    x: str,
    y: str,
    mark: tuple[float, float] | None = None,
    size: tuple[float, float] = (10.2, 3.4),
) -> "Figure":
    """Curves by name; the y axis leaves out the first steep fall.

    Args:
        lines: Name to x and y values.
        x: Label of the x axis.
        y: Label of the y axis.
        mark: A point to ring, such as the best validation.
        size: Width and height in inches.
    """
    figure, axes = _axes(*size)
    colors = (MUTED, ACCENT, SECOND)
    seen: list[float] = []
    for k, (name, (xs, ys)) in enumerate(lines.items()):
        color = colors[k % len(colors)]
        axes.plot(xs, ys, color=color, linewidth=1.0 + 0.8 * (k > 0), label=name)
        late = list(ys)[len(ys) // 10 :] or list(ys)
        seen += [v for v in late if math.isfinite(v)]
    if mark is not None:
        axes.plot(*mark, "o", markersize=7, markerfacecolor="none", markeredgecolor=SECOND)
        place = {"xytext": (0, 10), "textcoords": "offset points", "ha": "center"}
        axes.annotate(f"best {mark[1]:.4g}", mark, color=SECOND, fontsize=9, **place)
    if seen:
        low, high = min(seen), float(np.quantile(seen, 0.99))
        room = 0.08 * max(high - low, 1e-9)
        axes.set_ylim(low - room, high + 2 * room)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK, loc="best")
    return figure


def scatter(
    sets: Mapping[str, Tensor],
    labels: Tensor | None = None,
    classes: Sequence[str] = (),
    *,
    size: tuple[float, float] = (4.9, 4.9),
    limits: tuple[float, float] | None = None,
) -> "Figure":
    """Points in the plane: one set by class, with each class named at its median, or several sets.

    Args:
        sets: Name to points (n, 2); with labels, exactly one set.
        labels: Classes (n,); -1 is drawn in gray.
        classes: Their names.
        size: Width and height in inches.
        limits: Of both axes; None for what the points need.
    """
    figure, axes = _axes(*size)
    if labels is None:
        for k, (name, points) in enumerate(sets.items()):
            p = points.detach().double().numpy()
            color = (ACCENT, SECOND)[k % 2]
            marks = {"s": 5, "alpha": 0.55, "linewidths": 0, "rasterized": True}
            axes.scatter(p[:, 0], p[:, 1], color=color, label=name or None, **marks)
        if any(sets):
            axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    else:
        (points,) = sets.values()
        _by_class(axes, points.detach().double().numpy(), labels.numpy(), classes)
    if limits is not None:
        axes.set_xlim(*limits)
        axes.set_ylim(*limits)
    axes.set_aspect("equal", "datalim" if limits is None else "box")
    return figure


def ways(states: Tensor, data: Tensor, field: tuple[Tensor, Tensor] | None = None) -> "Figure":
    """Ways of points in the plane, over data and over a field of directions.

    Args:
        states: (steps, n, 2), in order.
        data: Points (m, 2).
        field: Places (k, 2) and directions there (k, 2).
    """
    figure, axes = _axes(6.4, 6.4)
    axes.grid(False)
    p, x = data.detach().double().numpy(), states.detach().double().numpy()
    axes.scatter(p[:, 0], p[:, 1], color=FAINT, s=5, linewidths=0, rasterized=True)
    if field is not None:
        place, way = (part.detach().double().numpy() for part in field)
        arrows = {"color": SECOND, "alpha": 0.55, "width": 0.0022, "angles": "xy"}
        axes.quiver(place[:, 0], place[:, 1], way[:, 0], way[:, 1], **arrows)
    for k in range(x.shape[1]):
        axes.plot(x[:, k, 0], x[:, k, 1], color=MUTED, linewidth=0.7, alpha=0.6)
    axes.scatter(x[0, :, 0], x[0, :, 1], color=MUTED, s=9, linewidths=0, alpha=0.7)
    axes.scatter(x[-1, :, 0], x[-1, :, 1], color=ACCENT, s=14, linewidths=0)
    axes.set_aspect("equal", "datalim")
    return figure


def _by_class(axes: Any, p: Any, labels: Any, classes: Sequence[str]) -> None:
    marks = {"s": 13, "alpha": 0.75, "linewidths": 0, "rasterized": True}
    for c in sorted(set(labels.tolist())):
        here = p[labels == c]
        color = FAINT if c < 0 else CLASSES[c % len(CLASSES)]
        axes.scatter(here[:, 0], here[:, 1], color=color, **marks)
        if c >= 0:
            name = classes[c] if c < len(classes) else str(c)
            box = {"boxstyle": "round,pad=0.15", "facecolor": color, "edgecolor": "none"}
            place = {"ha": "center", "va": "center", "fontsize": 9, "fontweight": "bold"}
            middle = np.median(here, axis=0)
            axes.text(middle[0], middle[1], name, color="white", bbox=box, **place)


def density(
    values: Tensor, extent: tuple[float, float, float, float], *, brightest: float | None = None
) -> "Figure":
    """A density on a grid (rows, columns), the first row at the bottom, as a picture.

    Args:
        values: Densities, not logarithms.
        extent: Left, right, bottom, top.
        brightest: The density that is shown brightest, so that pictures can share their colors;
            None for the largest.
    """
    figure, axes = _axes(4.9, 4.9)
    axes.grid(False)
    axes.imshow(
        values.double().numpy(),
        origin="lower",
        extent=extent,
        cmap="magma",
        aspect="auto",
        vmin=0.0,
        vmax=brightest,
    )
    return figure


def histogram(
    values: Sequence[float], *, x: str, size: tuple[float, float] = (10.2, 2.6)
) -> "Figure":
    """How values are spread.

    Args:
        values: Numbers.
        x: What they are.
        size: Width and height in inches.
    """
    figure, axes = _axes(*size)
    axes.hist(values, bins=min(40, max(8, len(values) // 4)), color=ACCENT, alpha=0.85)
    axes.set_xlabel(x)
    axes.set_ylabel("count")
    return figure


def bands(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float], Sequence[float], Sequence[float]]],
    *,
    x: str,
    y: str,
    size: tuple[float, float] = (10.2, 4.2),
) -> "Figure":
    """Curves with an interval about each.

    Args:
        lines: Name to x values, middles, lows and highs.
        x: Label of the x axis.
        y: Label of the y axis.
        size: Width and height in inches.
    """
    figure, axes = _axes(*size)
    for k, (name, (xs, middle, low, high)) in enumerate(lines.items()):
        color = CLASSES[k % len(CLASSES)]
        axes.fill_between(xs, low, high, color=color, alpha=0.18, linewidth=0)
        axes.plot(xs, middle, color=color, linewidth=1.8, label=name)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK, loc="best")
    return figure


def compare_figure(
    groups: Mapping[str, Sequence[tuple[str, float, float | None]]], *, x: str
) -> "Figure":
    """Values with their standard errors, one row a system, one panel a group.

    Panels are apart because groups are not ranked together; those in nats share their scale.

    Args:
        groups: What is compared, with its kind, to (system, value, stderr) in order.
        x: Label of the lowest axis.
    """
    from matplotlib.figure import Figure

    heights = [len(group) + 1.1 for group in groups.values()]
    figure = Figure(figsize=(10.2, 0.7 + 0.42 * sum(heights)), layout="constrained")
    panels = figure.subplots(len(groups), 1, squeeze=False, height_ratios=heights)[:, 0]
    first: Any = None
    for k, (panel, (title, entries)) in enumerate(zip(panels, groups.items(), strict=True)):
        plain_axes(panel)
        panel.grid(False, axis="y")
        panel.set_title(title, color=MUTED, fontsize=9, loc="left")
        for row, (_, value, error) in enumerate(entries):
            marks = {"color": CLASSES[k % len(CLASSES)], "markersize": 7, "elinewidth": 1.6}
            panel.errorbar(value, row, xerr=error, fmt="o", capsize=3, **marks)
            label = {"xytext": (0, 7), "textcoords": "offset points", "ha": "center"}
            panel.annotate(f"{value:.4g}", (value, row), color=INK, fontsize=9, **label)
        panel.set_yticks(range(len(entries)), [name for name, _, _ in entries])
        panel.tick_params(axis="y", labelcolor=INK, labelsize=10)
        panel.set_ylim(len(entries) - 0.5, -0.8)
        panel.margins(x=0.12)
        if "nats" in title:
            if first is None:
                first = panel
            else:
                panel.sharex(first)
    panels[-1].set_xlabel(x, color=MUTED, fontsize=9)
    return figure
