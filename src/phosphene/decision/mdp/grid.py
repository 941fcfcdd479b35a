"""Grid worlds from text: the map, its legend, and the outcomes of moves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phosphene.core.errors import ConfigError, UnknownNameError, listed

__all__ = ["BUILT_IN", "LEGEND", "Grid", "grid_of", "grid_outcomes"]

LEGEND = {
    ".": "free", "F": "free", "S": "start", "G": "goal", "H": "hole", "C": "cliff", "#": "wall",
}  # fmt: skip
_MOVES = {"left": (0, -1), "down": (1, 0), "right": (0, 1), "up": (-1, 0)}
_ARROWS = {"left": "←", "down": "↓", "right": "→", "up": "↑"}


@dataclass(frozen=True)
class Grid:
    """A map whose cells are states, row by row, so that values and policies can be drawn.

    Args:
        text: The map, a string for each row, in the letters of ``LEGEND``.
        directions: What each action means: ``("left", "down", "right", "up")``.
    """

    text: tuple[str, ...]
    directions: tuple[str, ...]

    @property
    def rows(self) -> int:
        """How many rows."""
        return len(self.text)

    @property
    def columns(self) -> int:
        """How many columns."""
        return len(self.text[0])

    @property
    def cells(self) -> NDArray[np.str_]:
        """(rows, columns), the letter of each cell."""
        return np.array([list(line) for line in self.text])

    @property
    def walls(self) -> NDArray[np.bool_]:
        """(rows, columns), bool: which cells are walls."""
        return np.asarray(self.cells == "#")

    @property
    def arrows(self) -> tuple[str, ...]:
        """The arrow of each action."""
        return tuple(_ARROWS[name] for name in self.directions)

    @property
    def moves(self) -> tuple[tuple[int, int], ...]:
        """The step (rows, columns) of each action."""
        return tuple(_MOVES[name] for name in self.directions)

    def map(self, values: ArrayLike) -> NDArray[Any]:
        """Something of each state (S,) as (rows, columns)."""
        return np.asarray(values).reshape(self.rows, self.columns)

    def draw(self, policy: ArrayLike) -> str:
        """A policy (S,) as lines of arrows; goals, holes, cliffs and walls keep their letters.

        Example:
            >>> print(grid_of(["S.", "#G"], "left down right up").draw([2, 1, 0, 0]))
            →↓
            #G
        """
        chosen = self.map(policy)
        return "\n".join(
            "".join(
                letter if letter in "GHC#" else self.arrows[int(chosen[r, c])]
                for c, letter in enumerate(line)
            )
            for r, line in enumerate(self.text)
        )


@dataclass(frozen=True)
class _Preset:
    """A map that is built in, and the settings that belong to it."""

    text: str
    slip: float | tuple[float, float, float] = 0.0
    step: float = 0.0
    goal: float = 1.0
    hole: float = 0.0
    cliff: float = -100.0
    order: str = "left down right up"
    limit: int | None = None
    name: str = "grid"


# gymnasium's probabilities, to the last bit.
_ICE = ((1 - 1 / 3) / 2, 1 / 3, (1 - 1 / 3) / 2)

BUILT_IN = {
    "frozen-lake-4x4": _Preset(
        "SFFF\nFHFH\nFFFH\nHFFG", slip=_ICE, limit=100, name="frozen-lake-4x4"
    ),
    "frozen-lake-8x8": _Preset(
        "SFFFFFFF\nFFFFFFFF\nFFFHFFFF\nFFFFFHFF\nFFFHFFFF\nFHHFFFHF\nFHFFHFHF\nFFFHFFFG",
        slip=_ICE,
        limit=100,
        name="frozen-lake-8x8",
    ),
    "cliff": _Preset(
        f"{'.' * 12}\n{'.' * 12}\n{'.' * 12}\nS{'C' * 10}G",
        step=-1.0,
        goal=-1.0,
        order="up right down left",
        name="cliff",
    ),
    "gridworld": _Preset(
        "G...\n....\n....\n...G", step=-1.0, goal=-1.0, order="up right down left", name="gridworld"
    ),
}
"""Maps by name; those of gymnasium have its numbers of states and actions."""


def grid_of(lines: Sequence[str], order: str) -> Grid:
    """A map from its lines.

    Raises:
        ConfigError: A line of another length, or a letter that means nothing, with its place.
    """
    if not lines or not lines[0]:
        raise ConfigError("the map is empty: it needs a line of cells for each row")
    for number, line in enumerate(lines, 1):
        if len(line) != len(lines[0]):
            need = f"{len(lines[0])} cells as line 1"
            raise ConfigError(f"line {number} of the map must have {need}, and has {len(line)}")
        for place, letter in enumerate(line, 1):
            if letter not in LEGEND:
                known = listed(f"{key} {meaning}" for key, meaning in LEGEND.items())
                at = f"line {number}, character {place} of the map"
                raise ConfigError(f"{at} is {letter!r}, which means nothing; known: {known}")
    directions = tuple(order.split())
    if sorted(directions) != sorted(_MOVES):
        raise ConfigError(f"order must name left, down, right and up, each once, got {order!r}")
    ahead = [_MOVES[name] for name in directions]
    if ahead[0] != (-ahead[2][0], -ahead[2][1]):
        raise ConfigError(f"order must go round, so that one slides to the sides, got {order!r}")
    return Grid(tuple(lines), directions)


def grid_outcomes(text: str, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of ``MDP.from_outcomes`` for a map, or for the name of one."""
    lines = text.strip("\n").splitlines()
    preset = BUILT_IN.get(text, _Preset(text))
    if preset.text == text and len(lines) == 1 and not set(text) & set(LEGEND):
        raise UnknownNameError("grid", text, BUILT_IN)
    if preset.text == text and len(lines) == 1 and "-" in text:
        raise UnknownNameError("grid", text, BUILT_IN)
    chosen = {**vars(preset), **{k: v for k, v in given.items() if v is not None}}
    grid = grid_of([line.strip() for line in preset.text.strip("\n").splitlines()], chosen["order"])
    cells = grid.cells.ravel()
    starts = np.flatnonzero(cells == "S")
    if (cells == "C").any() and len(starts) != 1:
        raise ConfigError(
            f"a map with a cliff sends back to its start and needs one S, not {len(starts)}"
        )
    table = _moves(grid, cells, _sides(chosen["slip"]), chosen, starts)
    columns = [np.array(column) for column in zip(*table, strict=True)]
    start = None
    if len(starts):
        start = np.zeros(len(cells))
        start[starts] = 1.0 / len(starts)
    names = ("state", "action", "next", "probability", "reward", "ends")
    return {
        "states": len(cells),
        "actions": 4,
        **dict(zip(names, columns, strict=True)),
        "start": start,
        "limit": chosen["limit"],
        "name": chosen["name"],
        "grid": grid,
    }


def _sides(slip: float | tuple[float, float, float]) -> tuple[float, float, float]:
    """Probabilities of the action before, the one meant and the one after."""
    sides = (slip, 1.0 - 2.0 * slip, slip) if isinstance(slip, float | int) else tuple(slip)
    if len(sides) != 3 or min(sides) < 0 or abs(sum(sides) - 1.0) > 1e-9:
        raise ConfigError(
            f"slip must be a probability from 0 to 0.5, or three that sum to 1, got {slip}"
        )
    return sides


def _moves(
    grid: Grid,
    cells: NDArray[np.str_],
    sides: tuple[float, float, float],
    reward: dict[str, Any],
    starts: NDArray[np.int64],
) -> list[tuple[int, int, int, float, float, bool]]:
    """(state, action, next, probability, reward, ends) of every move."""
    table = []
    for state, letter in enumerate(cells):
        for action in range(4):
            if letter in "GH#":
                table.append((state, action, state, 1.0, 0.0, True))
                continue
            for turn, p in zip((-1, 0, 1), sides, strict=True):
                if p == 0:
                    continue
                after = _step(grid, state, grid.moves[(action + turn) % 4])
                found = cells[after]
                if found == "C":
                    table.append((state, action, int(starts[0]), p, reward["cliff"], False))
                    continue
                earned = {"G": "goal", "H": "hole"}.get(str(found), "step")
                table.append((state, action, after, p, reward[earned], found in "GH"))
    return table


def _step(grid: Grid, state: int, move: tuple[int, int]) -> int:
    """The cell that a move leads to; the same one at a wall and at the edge."""
    row, column = divmod(state, grid.columns)
    r, c = row + move[0], column + move[1]
    inside = 0 <= r < grid.rows and 0 <= c < grid.columns and grid.text[r][c] != "#"
    return r * grid.columns + c if inside else state
