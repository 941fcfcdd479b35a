"""Pictures of tables: the histogram of each column, and columns in pairs."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from phosphene.evaluate.plots import ACCENT, FAINT, INK, MUTED, SECOND, png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["histograms", "pairs", "strongest", "table_picture"]

MOST_COLUMNS = 24
"""The most columns of which histograms are drawn."""
MOST_PAIRED = 5
"""The most columns that are drawn in pairs."""

_COLORS = (SECOND, ACCENT)
_BINS = 30
_TAIL = 0.002
"""The share of a set beyond either end of an axis: one stray value shall not hide the rest."""


def _limits(sets: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    low = min(float(np.quantile(v, _TAIL)) for v in sets)
    high = max(float(np.quantile(v, 1 - _TAIL)) for v in sets)
    room = 0.04 * (high - low) or 0.5
    return low - room, high + room


def _plain(axes: Any) -> None:
    axes.set_facecolor("none")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.tick_params(colors=MUTED, labelsize=7, length=0)


def _outline(axes: Any, sets: Mapping[str, NDArray[np.float64]]) -> None:
    """Histograms over one another, each of unit area on the same bins."""
    low, high = _limits(list(sets.values()))
    edges = np.linspace(low, high, _BINS + 1)
    for k, (name, values) in enumerate(sets.items()):
        kind = {"histtype": "stepfilled", "alpha": 0.35} if k == 0 else {"histtype": "step"}
        inside = values[(values >= low) & (values <= high)]
        color = _COLORS[k % 2]
        axes.hist(inside, edges, density=True, color=color, label=name or None, lw=1.4, **kind)
    axes.set_xlim(low, high)
    axes.set_yticks([])
    axes.xaxis.set_major_locator(_ticks(3))


def _ticks(n: int) -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(n)


def _legend(figure: "Figure", sets: Mapping[str, Any]) -> None:
    if any(sets):
        from matplotlib.patches import Patch

        marks = [Patch(color=_COLORS[k % 2], alpha=0.7, label=n) for k, n in enumerate(sets)]
        figure.legend(
            handles=marks, frameon=False, fontsize=9, labelcolor=INK, loc="outside upper right",
            ncols=len(marks),
        )  # fmt: skip


def histograms(sets: Mapping[str, Tensor], names: Sequence[str], *, columns: int = 4) -> "Figure":
    """The histogram of each column, the sets over one another.

    Args:
        sets: Name to rows (n, d).
        names: Of the d columns; the first 24 are drawn.
        columns: Histograms side by side.
    """
    from matplotlib.figure import Figure

    shown = list(names)[:MOST_COLUMNS]
    across = min(columns, len(shown))
    down = -(-len(shown) // across)
    figure = Figure(figsize=(10.2 / columns * across, 1.45 * down + 0.35), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False)
    arrays = {name: x.detach().double().cpu().numpy() for name, x in sets.items()}
    for i, axes in enumerate(grid.flat):
        _plain(axes)
        if i >= len(shown):
            axes.set_visible(False)
            continue
        _outline(axes, {name: x[:, i] for name, x in arrays.items()})
        axes.set_title(_short(shown[i]), fontsize=8.5, color=INK, loc="left", parse_math=False)
    _legend(figure, sets)
    return figure


def strongest(x: Tensor, most: int = MOST_PAIRED) -> list[int]:
    """The columns that are most correlated with others, the strongest pair first.

    Example:
        >>> x = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
        >>> strongest(torch.stack([x[:, 0], x[:, 1], x[:, 0] + 0.1 * x[:, 2]], 1), 2)
        [0, 2]
    """
    y = x.double()
    y = (y - y.mean(0)) / y.std(0).clamp(min=1e-300)
    r = (y.T @ y / max(1, len(y) - 1)).nan_to_num().abs().fill_diagonal_(0)
    found: list[int] = []
    order = r.triu().flatten().argsort(descending=True)
    for place in order.tolist():
        for column in divmod(place, len(r)):
            if column not in found and len(found) < most:
                found.append(column)
    return sorted(found)


def pairs(sets: Mapping[str, Tensor], names: Sequence[str], which: Sequence[int]) -> "Figure":
    """Columns against one another below the diagonal, and their histograms on it.

    Args:
        sets: Name to rows (n, d).
        names: Of the d columns.
        which: The columns that are drawn.
    """
    from matplotlib.figure import Figure

    k = len(which)
    figure = Figure(figsize=(1.95 * k + 0.4, 1.75 * k + 0.5), layout="constrained")
    grid = figure.subplots(k, k, squeeze=False)
    arrays = {name: x.detach().double().cpu().numpy()[:2000] for name, x in sets.items()}
    limits = [_limits([x[:, i] for x in arrays.values()]) for i in which]
    for a in range(k):
        for b in range(k):
            axes = grid[a][b]
            _plain(axes)
            if b > a:
                axes.set_visible(False)
                continue
            if a == b:
                _outline(axes, {n: x[:, which[a]] for n, x in arrays.items()})
            else:
                _points(axes, arrays, which[b], which[a], limits[b], limits[a])
            if a == k - 1:
                axes.set_xlabel(_short(names[which[b]]), fontsize=8, color=MUTED, parse_math=False)
            else:
                axes.set_xticklabels([])
            if b == 0 and a > 0:
                axes.set_ylabel(_short(names[which[a]]), fontsize=8, color=MUTED, parse_math=False)
            elif a != b:
                axes.set_yticklabels([])
    _legend(figure, sets)
    return figure


def _points(
    axes: Any,
    arrays: Mapping[str, NDArray[np.float64]],
    x: int,
    y: int,
    wide: tuple[float, float],
    high: tuple[float, float],
) -> None:
    for k, rows in enumerate(arrays.values()):
        size = max(1.5, min(9.0, 2500 / len(rows)))
        axes.scatter(
            rows[:, x], rows[:, y], s=size, color=_COLORS[k % 2], alpha=0.45, linewidths=0,
            rasterized=True,
        )  # fmt: skip
    axes.set_xlim(*wide)
    axes.set_ylim(*high)
    axes.xaxis.set_major_locator(_ticks(3))
    axes.yaxis.set_major_locator(_ticks(3))


def _short(name: str, most: int = 26) -> str:
    clean = "".join(c if c.isprintable() else "�" for c in name)
    return clean if len(clean) <= most else clean[: most - 1] + "…"


def table_picture(sets: Mapping[str, Tensor], names: Sequence[str]) -> Image.Image:
    """A picture of rows: columns in pairs where they are few, else the histogram of each."""
    (first, *_) = sets.values()
    if 2 <= len(names) <= MOST_PAIRED:
        figure = pairs(sets, names, range(len(names)))
    else:
        figure = histograms(sets, names)
    assert first.ndim == 2
    return Image.open(BytesIO(png(figure))).convert("RGB")
