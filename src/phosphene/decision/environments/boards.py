"""Pictures of numbered states: on their map if they have one, else in rows."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phosphene.decision.environments.canvas import Canvas, Color, Colors

__all__ = ["draw_grid", "draw_states", "draw_taxi"]

_LARGEST = 70.0
_TURNS = {"left": (-1.0, 0.0), "down": (0.0, 1.0), "right": (1.0, 0.0), "up": (0.0, -1.0)}


def draw_grid(
    state: int, action: int | None, text: Sequence[str], directions: Sequence[str]
) -> NDArray[np.uint8]:
    """A map in the letters of :data:`phosphene.decision.mdp.grid.LEGEND`, and who walks on it.

    Args:
        state: The agent's cell.
        action: What it last meant to do.
        text: The map, a string for each row.
        directions: What each action means.
    """
    rows, columns = len(text), len(text[0])
    cell = min(_LARGEST, 380 / columns, 380 / rows)
    # Even, as most encoders of films ask.
    width, height = (2 * math.ceil(count * cell / 2) + 20 for count in (max(columns, 2), rows))
    canvas, left = Canvas(width, height, Colors.faint), (width - columns * cell) / 2
    for row, line in enumerate(text):
        for column, letter in enumerate(line):
            _cell(canvas, letter, left + column * cell, 10 + row * cell, cell)
    row, column = divmod(state, columns)
    x, y = left + (column + 0.5) * cell, 10 + (row + 0.5) * cell
    canvas.disc((x, y), cell * 0.31, Colors.paper)
    canvas.disc((x, y), cell * 0.27, Colors.orange)
    if action is not None:
        dx, dy = (cell * 0.11 * part for part in _TURNS[directions[action]])
        canvas.arrow((x - dx, y - dy), (x + dx * 0.5, y + dy * 0.5), cell * 0.06, Colors.paper)
    return canvas.picture()


def _cell(canvas: Canvas, letter: str, x: float, y: float, size: float) -> None:
    grounds: dict[str, Color] = {"#": Colors.soft, "S": Colors.sky, "C": Colors.night}
    canvas.box(x + 0.5, y + 0.5, size - 1, size - 1, grounds.get(letter, Colors.paper))
    middle = (x + size / 2, y + size / 2)
    if letter == "H":
        canvas.disc(middle, size * 0.38, Colors.line)
        canvas.disc(middle, size * 0.34, Colors.night)
    if letter == "G":
        pole, top = x + size * 0.32, y + size * 0.18
        canvas.line([(pole, top), (pole, y + size * 0.84)], size * 0.05, Colors.ink)
        tip = (x + size * 0.8, top + size * 0.17)
        canvas.polygon([(pole, top), tip, (pole, top + size * 0.34)], Colors.green)


def draw_states(state: int, states: int, terminal: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """All states as squares in rows: the present one full, terminal ones dark.

    Args:
        state: The present one.
        states: How many there are; of more than 4,800 the 4,800 around the present one are drawn.
        terminal: (states,), bool.
    """
    shown = min(states, 4800)
    begin = max(0, min(state - shown // 2, states - shown))
    columns = math.ceil(math.sqrt(shown * 4 / 3))
    rows = math.ceil(shown / columns)
    cell = min(_LARGEST, 380 / columns, 280 / rows)
    canvas = Canvas(paper=Colors.faint)
    left, top = (400 - columns * cell) / 2, (300 - rows * cell) / 2
    for number in range(shown):
        x, y = left + number % columns * cell, top + number // columns * cell
        here = begin + number
        color = Colors.soft if terminal[here] else Colors.paper
        color = Colors.orange if here == state else color
        canvas.box(x + 0.4, y + 0.4, cell - 0.8, cell - 0.8, color)
    return canvas.picture()


_WALLS = ((0, 2), (1, 2), (3, 1), (3, 3), (4, 1), (4, 3))
"""Cells (row, column) with a wall on their left."""
_STANDS = ((0, 0), (0, 4), (4, 0), (4, 3))


def draw_taxi(state: int) -> NDArray[np.uint8]:
    """A state of Taxi-v4: taxi, passenger (a disc), and where the passenger wants to go (a frame).

    Args:
        state: ((row * 5 + column) * 5 + passenger) * 4 + destination; passenger 4 is in the taxi.
    """
    rest, destination = divmod(state, 4)
    rest, passenger = divmod(rest, 5)
    row, column = divmod(rest, 5)
    canvas, cell, left, top = Canvas(paper=Colors.faint), 54.0, 65.0, 15.0
    canvas.box(left, top, 5 * cell, 5 * cell, Colors.paper)
    colors = (Colors.red, Colors.green, Colors.yellow, Colors.blue)
    for (r, c), color in zip(_STANDS, colors, strict=True):
        pale = tuple((part + 2 * 247) // 3 for part in color)
        canvas.box(left + c * cell, top + r * cell, cell, cell, (pale[0], pale[1], pale[2]))
    for r, c in _WALLS:
        x = left + c * cell
        canvas.line([(x, top + r * cell), (x, top + (r + 1) * cell)], 4, Colors.ink)
    r, c = _STANDS[destination]
    corners = [(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)]
    frame = [(left + (c + a) * cell, top + (r + b) * cell) for a, b in corners]
    canvas.line(frame, 4, colors[destination])
    x, y = left + (column + 0.5) * cell, top + (row + 0.5) * cell
    canvas.rounded(x - 20, y - 11, 40, 22, 6, Colors.orange)
    for wheel in (-12, 12):
        canvas.disc((x + wheel, y + 11), 5, Colors.ink)
    if passenger < 4:
        r, c = _STANDS[passenger]
        canvas.disc((left + (c + 0.5) * cell, top + (r + 0.25) * cell), 8, Colors.ink)
    else:
        canvas.disc((x, y - 9), 8, Colors.ink)
    return canvas.picture()
