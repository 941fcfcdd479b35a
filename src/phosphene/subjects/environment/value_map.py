"""A table of values drawn on its grid: shades for values, arrows for actions."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from phosphene.decision.mdp.grid import Grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["value_map"]

_NAMES = {"S": "start", "G": "goal", "H": "hole", "C": "cliff"}


def value_map(grid: Grid, values: ArrayLike, policy: ArrayLike | None = None) -> "Figure":
    """A figure of values (S,) on the map, with an arrow for the action that a policy takes.

    Args:
        grid: Of the process.
        values: V(s).
        policy: One action for each state, or probabilities (S, A), whose likely actions get an
            arrow each; None for no arrows.
    """
    from matplotlib.figure import Figure

    shown = np.ma.masked_array(grid.map(values).astype(float), grid.walls | (grid.cells == "C"))
    rows, columns = shown.shape
    side = float(np.clip(9.0 / columns, 0.45, 1.1))
    figure = Figure(
        figsize=(max(columns * side, 3.2) + 0.9, rows * side + 0.3), layout="constrained"
    )
    axes = figure.add_subplot()
    picture = axes.imshow(shown, cmap="viridis")
    axes.set_facecolor("#3a3f4b")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    bar = figure.colorbar(picture, ax=axes, fraction=0.04, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=0, colors="#6b7280")
    middle = (float(shown.min()) + float(shown.max())) / 2
    for (r, c), letter in np.ndenumerate(grid.cells):
        if letter == "#":
            continue
        value = shown[r, c]
        ink = "#ffffff" if value is np.ma.masked or value < middle else "#1f2430"
        _cell(axes, grid, (r, c), letter, value, ink, policy, side)
    return figure


def _cell(
    axes: Any,
    grid: Grid,
    place: tuple[int, int],
    letter: str,
    value: Any,
    ink: str,
    policy: ArrayLike | None,
    side: float,
) -> None:
    r, c = place
    text = {"ha": "center", "va": "center", "color": ink}
    if letter in _NAMES:
        axes.text(c, r - 0.33, _NAMES[letter], fontsize=6.5 * min(1, side), **text)
    if letter in "CHG":
        return
    if side >= 0.6 and value is not np.ma.masked:
        axes.text(c, r + 0.35, f"{value:.3g}", fontsize=6.5 * min(1, side), alpha=0.85, **text)
    if policy is None:
        return
    chosen = np.asarray(policy)
    state = r * grid.columns + c
    share = chosen[state] if chosen.ndim == 2 else np.eye(len(grid.moves))[int(chosen[state])]
    for (down, right), p in zip(grid.moves, share, strict=True):
        if p > 0.05:
            tip = (c + 0.3 * right * p**0.5, r + 0.3 * down * p**0.5)
            style = {"arrowstyle": "-|>", "color": ink, "lw": 1.2, "shrinkA": 0, "shrinkB": 0}
            axes.annotate("", xy=tip, xytext=(c - 0.18 * right, r - 0.18 * down), arrowprops=style)
