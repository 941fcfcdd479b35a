"""The figure of a lesson: its panels beside one another."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from phosphene.core.lesson import Bars, Curves, Heat, Images, Lesson, Plane, Points
from phosphene.evaluate.plots import CLASSES, FAINT, INK, MUTED, plain_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["lesson_figure"]

_COLUMNS, _WIDTH, _HEIGHT = 3, 4.2, 3.5
_NAMES_IN_A_ROW = 4  # of a legend below
_MOST_WRITTEN = 100  # values of a matrix that are written into it

_MOST_LETTERS = 36  # of names below a matrix, on one line


def lesson_figure(lesson: Lesson) -> "Figure":
    """All panels, at most three in a row.

    Args:
        lesson: With one panel or more.
    """
    from matplotlib.figure import Figure

    n = len(lesson.panels)
    columns = 2 if n == 4 else min(n, _COLUMNS)
    rows = -(-n // columns)
    figure = Figure(figsize=(_WIDTH * columns, _HEIGHT * rows), layout="constrained")
    places = figure.subplots(rows, columns, squeeze=False).reshape(-1)
    for place, panel in zip(places, lesson.panels, strict=False):
        plain_axes(place)
        _DRAW[type(panel)](place, panel)
        place.set_title(panel.title, fontsize=10, color=INK)
    for place in places[n:]:
        place.set_axis_off()
    return figure


def _label(axes: Any, x: str, y: str) -> None:
    axes.set_xlabel(x, color=MUTED, fontsize=9)
    axes.set_ylabel(y, color=MUTED, fontsize=9)


def _curves(axes: Any, panel: Curves) -> None:
    for k, (name, (xs, ys)) in enumerate(panel.lines.items()):
        style = "--" if name in panel.dashed else "-"
        axes.plot(xs, ys, style, color=CLASSES[k % len(CLASSES)], linewidth=1.6, label=name)
    if "x" in panel.log:
        axes.set_xscale("log")
    if "y" in panel.log:
        axes.set_yscale("log")
    if panel.log:
        axes.tick_params(which="both", colors=MUTED, labelsize=8, length=0)
    _label(axes, panel.x, panel.y)
    axes.legend(frameon=False, fontsize=8, labelcolor=INK)


def _points(axes: Any, panel: Points) -> None:
    for k, (name, points) in enumerate(panel.sets.items()):
        p = points.double().numpy()
        axes.scatter(p[:, 0], p[:, 1], s=12, color=CLASSES[k % len(CLASSES)], alpha=0.7, label=name)
    for k, (name, points) in enumerate(panel.lines.items()):
        p = points.double().numpy()
        color = CLASSES[(len(panel.sets) + k) % len(CLASSES)]
        axes.plot(p[:, 0], p[:, 1], color=color, linewidth=1.4, label=name)
    if panel.equal:
        axes.set_aspect("equal")
    _label(axes, panel.x, panel.y)
    axes.legend(  # below: points may lie anywhere inside
        loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=_NAMES_IN_A_ROW,
        frameon=False, fontsize=8, labelcolor=INK, handlelength=1.2, columnspacing=1.0,
    )  # fmt: skip


def _plane(axes: Any, panel: Plane) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    axes.grid(False)
    size = panel.size
    if panel.density is not None:
        shades = LinearSegmentedColormap.from_list("density", ("#ffffff", "#b9bff0", CLASSES[0]))
        extent = (-size, size, -size, size)
        values = panel.density.double().numpy()
        axes.imshow(values, cmap=shades, extent=extent, origin="lower", interpolation="bilinear")
    if panel.arrows is not None:
        a = panel.arrows.double().numpy()
        axes.quiver(
            a[:, 0], a[:, 1], a[:, 2], a[:, 3], color=INK, alpha=0.75, angles="xy",
            scale_units="xy", scale=1, width=0.004, headwidth=4, headlength=5, headaxislength=4.5,
        )  # fmt: skip
    if panel.paths is not None:
        p = panel.paths.double().numpy()
        for k, path in enumerate(p):
            color = CLASSES[(1, 2, 3, 4, 6, 9)[k % 6]]  # not that of the density
            axes.plot(path[:, 0], path[:, 1], color=color, linewidth=0.9, alpha=0.75)
            axes.plot(*path[0], "o", color="white", markeredgecolor=color, markersize=4)
            axes.plot(*path[-1], "o", color=color, markersize=4)
    for k, (name, points) in enumerate(panel.sets.items()):
        q = points.double().numpy()
        axes.scatter(q[:, 0], q[:, 1], s=5, color=CLASSES[1 + k], alpha=0.6, label=name, lw=0)
    axes.set(xlim=(-size, size), ylim=(-size, size), aspect="equal", xticks=(), yticks=())
    for side in axes.spines.values():
        side.set_visible(True)
        side.set_color(FAINT)
    if panel.sets:
        axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=_NAMES_IN_A_ROW,
            frameon=False, fontsize=8, labelcolor=INK, handlelength=1.2, markerscale=2,
        )  # fmt: skip


def _images(axes: Any, panel: Images) -> None:
    axes.set_axis_off()
    n = len(panel.images)
    columns = panel.columns or n
    rows = -(-n // columns)
    for k in range(n):
        row, column = divmod(k, columns)
        height = 1 / rows
        inset = axes.inset_axes(
            (column / columns, 1 - (row + 1) * height, 0.94 / columns, 0.82 * height)
        )
        _image(inset, panel.images[k].double().numpy())
        inset.set_xticks([])
        inset.set_yticks([])
        if k < len(panel.names):
            inset.set_xlabel(panel.names[k], fontsize=8, color=MUTED)


def _image(inset: Any, values: Any) -> None:
    low, high = values.min(), values.max()
    if values.ndim > 2 or low < high:
        inset.imshow(values, cmap="gray", interpolation="nearest")
        return
    inset.imshow(values, cmap="gray", vmin=low - 1, vmax=low + 1)
    inset.text(
        0.5, 0.5, f"{low:.4g}", transform=inset.transAxes,
        ha="center", va="center", fontsize=9, color=INK,
    )  # fmt: skip


def _heat(axes: Any, panel: Heat) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.grid(False)
    values = panel.values.double().numpy()
    most = max(abs(values).max(), 1e-12)
    axes.imshow(values, cmap="coolwarm", vmin=-most, vmax=most, interpolation="nearest")
    if values.size <= _MOST_WRITTEN:
        for (i, j), value in _entries(values):
            axes.text(j, i, f"{value:.3g}", ha="center", va="center", fontsize=7, color=INK)
    for axis, names in ((axes.xaxis, panel.columns), (axes.yaxis, panel.rows)):
        if names:
            axis.set_ticks(range(len(names)), names)
        else:
            axis.set_major_locator(MaxNLocator(integer=True))
    if sum(map(len, panel.columns)) > _MOST_LETTERS:
        axes.tick_params(axis="x", rotation=90)
    _label(axes, panel.x, panel.y)


def _entries(values: Any) -> Any:
    import numpy as np

    return np.ndenumerate(values)


def _bars(axes: Any, panel: Bars) -> None:
    names, values = list(panel.values), list(panel.values.values())
    axes.barh(range(len(names)), values, color=CLASSES[0], alpha=0.85)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    for row, value in enumerate(values):
        axes.annotate(
            f"{value:.4g}", (value, row), xytext=(3, 0), textcoords="offset points",
            va="center", fontsize=8, color=INK,
        )  # fmt: skip
    axes.margins(x=0.18)
    _label(axes, panel.x, "")


_DRAW: dict[type, Callable[[Any, Any], None]] = {
    Bars: _bars,
    Curves: _curves,
    Heat: _heat,
    Images: _images,
    Plane: _plane,
    Points: _points,
}
