"""Catch: move a paddle under a ball that falls; the smallest environment that is seen as pixels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from phosphene.core.errors import ConfigError
from phosphene.core.event import Event
from phosphene.decision.environments.canvas import Canvas, Colors
from phosphene.decision.environments.dynamics import Array, Dynamics

__all__ = ["Catch"]


class Catch(Dynamics):
    """A board of one bit a cell: the ball falls one row a step, the paddle moves in the last row.

    The state is (row of the ball, column of the ball, column of the paddle). Actions move the
    paddle to the left, not at all, or to the right, and stop at the walls. An episode ends after
    rows - 1 steps, when the ball is in the last row, with the reward 1 if the paddle is there and
    -1 if not; all other rewards are 0. It begins with the ball in a uniform column of the first
    row, and the paddle in the middle. After Mnih, Heess, Graves and Kavukcuoglu (2014), as in
    bsuite (Osband and others, 2020), where the board is 10 by 5.

    What is seen is the board (1, rows, columns): 1 for the ball and the paddle, 0 elsewhere.

    Args:
        rows: At least 2.
        columns: At least 2. Every ball can be caught if rows - 1 >= columns // 2.

    Example:
        >>> game = Catch(rows=3, columns=3)
        >>> game.observe(game.start(np.array([[0.9]])))[0, 0].tolist()
        [[0, 0, 1], [0, 0, 0], [0, 1, 0]]
    """

    name, limit, size, draws, actions = "Catch", None, 3, 1, 3

    def __init__(self, *, rows: int = 10, columns: int = 10) -> None:
        for name, value in (("rows", rows), ("columns", columns)):
            if value < 2:
                raise ConfigError(f"{name} of Catch must be 2 or more, got {value}")
        self.rows, self.columns = rows, columns
        self.event = Event.image(1, (rows, columns), levels=2)

    @property
    def options(self) -> tuple[float, ...]:
        """The settings as the native library takes them."""
        return float(self.rows), float(self.columns)

    def start(self, u: Array) -> Array:
        """The ball above, the paddle in the middle."""
        ball = np.floor(u * self.columns)
        return np.concatenate((0 * ball, ball, np.full_like(ball, self.columns // 2)), 1)

    def move(self, state: Array, action: NDArray[Any]) -> tuple[Array, Array, NDArray[np.bool_]]:
        """One step."""
        row, ball, paddle = state.T
        paddle = np.clip(paddle + (action - 1), 0, self.columns - 1)
        row = row + 1
        over = row == self.rows - 1
        reward = np.where(over, np.where(ball == paddle, 1.0, -1.0), 0.0)
        return np.stack((row, ball, paddle), 1), reward, over

    def possible(self, state: Array) -> NDArray[np.bool_]:
        """The ball above the last row, ball and paddle on the board."""
        most = np.array([self.rows - 2, self.columns - 1, self.columns - 1])
        return np.asarray(((state >= 0) & (state <= most) & (np.floor(state) == state)).all(1))

    def observe(self, state: Array) -> NDArray[np.uint8]:
        """The board."""
        row, ball, paddle = state.astype(np.int64).T
        board = np.zeros((len(state), 1, self.rows, self.columns), np.uint8)
        each = np.arange(len(state))
        board[each, 0, row, ball] = 1
        board[each, 0, self.rows - 1, paddle] = 1
        return board

    def draw(self, state: Array, action: NDArray[Any] | None) -> NDArray[np.uint8]:
        """The board, the ball round."""
        cell = min(380 / self.columns, 280 / self.rows)
        left, top = (400 - cell * self.columns) / 2, (300 - cell * self.rows) / 2
        canvas = Canvas(paper=Colors.faint)
        canvas.rounded(left - 4, top - 4, cell * self.columns + 8, cell * self.rows + 8, 6,
                       Colors.line)  # fmt: skip
        for row in range(self.rows):
            for column in range(self.columns):
                x, y = left + column * cell, top + row * cell
                canvas.box(x + 0.5, y + 0.5, cell - 1, cell - 1, Colors.paper)
        fallen, ball, paddle = (float(value) for value in state)
        x, y = left + paddle * cell, top + (self.rows - 1) * cell
        canvas.rounded(x + 1, y + cell * 0.55, cell - 2, cell * 0.4, cell * 0.15, Colors.blue)
        center = left + (ball + 0.5) * cell, top + (fallen + 0.5) * cell
        canvas.disc(center, cell * 0.34, Colors.orange)
        return canvas.picture()
