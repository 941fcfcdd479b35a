"""MountainCar-v0 and MountainCarContinuous-v0: a car too weak to drive straight up its hill."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phosphene.core.event import Event
from phosphene.decision.environments.canvas import Canvas, Colors, rotated
from phosphene.decision.environments.dynamics import Array, Dynamics

__all__ = ["MountainCar", "MountainCarContinuous"]

LEFT, RIGHT, FASTEST, SLOPE = -1.2, 0.6, 0.07, 0.0025


class Hill(Dynamics):
    """What both have in common: the hill, the start and the picture.

    The height at x is sin(3 x). Where the car meets the left end it stops.

    Args:
        goal_velocity: The least velocity at which the goal counts as reached.
    """

    size, draws = 2, 1
    event = Event.real(2)
    goal: float

    def __init__(self, *, goal_velocity: float = 0.0) -> None:
        self.goal_velocity = goal_velocity

    @property
    def options(self) -> tuple[float, ...]:
        """The settings as the native library takes them."""
        return (self.goal_velocity,)

    def start(self, u: Array) -> Array:
        """At rest, x uniform in [-0.6, -0.4)."""
        x = -0.6 + (-0.4 - -0.6) * u
        return np.concatenate((x, np.zeros_like(x)), 1)

    def roll(self, state: Array, change: Array) -> tuple[Array, NDArray[np.bool_]]:
        """Change the velocity, then the position; whether the goal is reached."""
        x, v = state.T
        v = np.clip(v + change, -FASTEST, FASTEST)
        x = np.clip(x + v, LEFT, RIGHT)
        v = np.where((x == LEFT) & (v < 0), 0.0, v)
        return np.stack((x, v), 1), (x >= self.goal) & (v >= self.goal_velocity)

    def observe(self, state: Array) -> NDArray[np.float32]:
        """The state."""
        return state.astype(np.float32)

    def picture(self, state: Array, push: float) -> NDArray[np.uint8]:
        """The hill, the flag, the car, and its push in [-1, 1]."""
        canvas, scale = Canvas(), 400 / (RIGHT - LEFT)

        def at(x: float) -> tuple[float, float]:
            return scale * (x - LEFT), 264 - 110 * (math.sin(3 * x) * 0.9 + 0.9)

        ridge = [at(LEFT + (RIGHT - LEFT) * k / 200) for k in range(201)]
        canvas.polygon([*ridge, (400, 300), (0, 300)], Colors.sand)
        canvas.line(ridge, 3, Colors.soft)
        x, y = at(self.goal)
        canvas.line([(x, y), (x, y - 38)], 2.5, Colors.ink)
        canvas.polygon([(x, y - 38), (x + 20, y - 31), (x, y - 24)], Colors.red)
        x, y = at(float(state[0]))
        tilt = math.atan(110 * 0.9 * 3 * math.cos(3 * float(state[0])) / scale)
        body = [(-19, -8), (-17, -16), (-9, -17), (-6, -23), (8, -23), (12, -17), (18, -15)]
        canvas.polygon(rotated([*body, (19, -8)], tilt, (x, y)), Colors.blue)
        for wheel in rotated([(-11, -6), (11, -6)], tilt, (x, y)):
            canvas.disc(wheel, 6, Colors.ink)
            canvas.disc(wheel, 2.5, Colors.paper)
        if abs(push) > 0.02:
            side = math.copysign(1, push)
            ends = rotated([(side * 24, -15), (side * (24 + 18 * abs(push)), -15)], tilt, (x, y))
            canvas.arrow(ends[0], ends[1], 3, Colors.orange)
        return canvas.picture()


class MountainCar(Hill):
    """x, v: v <- v + 0.001 (action - 1) - 0.0025 cos 3x, then x <- x + v, both clipped.

    Actions push to the left, not at all, or to the right. The reward is -1 for each step. The
    episode ends where x >= 0.5, is cut off after 200 steps, and begins at rest with x uniform in
    [-0.6, -0.4). Moore (1990), Singh and Sutton (1996), as gymnasium computes it.

    Example:
        >>> MountainCar().move(np.array([[-0.5, 0.0]]), np.array([2]))[0].round(6).tolist()
        [[-0.499177, 0.000823]]
    """

    name, limit, actions, goal = "MountainCar-v0", 200, 3, 0.5

    def move(self, state: Array, action: NDArray[Any]) -> tuple[Array, Array, NDArray[np.bool_]]:
        """One step."""
        change = (action - 1) * 0.001 + np.cos(3 * state[:, 0]) * -SLOPE
        state, over = self.roll(state, change)
        return state, np.full(len(state), -1.0), over

    def draw(self, state: Array, action: NDArray[Any] | None) -> NDArray[np.uint8]:
        """The car on its hill."""
        return self.picture(state, 0.0 if action is None else float(action) - 1)


class MountainCarContinuous(Hill):
    """x, v: v <- v + 0.0015 force - 0.0025 cos 3x, then x <- x + v, both clipped.

    The action is a force, clipped to [-1, 1]. The reward is -0.1 action^2 for each step, and 100
    more where the episode ends: at x >= 0.45. It is cut off after 999 steps, and begins at rest
    with x uniform in [-0.6, -0.4). After Moore (1990), as gymnasium computes it, but for one thing:
    gymnasium rounds the state to float32 after each step, and here it stays float64.

    Example:
        >>> car = MountainCarContinuous()
        >>> car.move(np.array([[-0.5, 0.0]]), np.array([[0.5]]))[1].tolist()
        [-0.025]
    """

    name, limit, goal = "MountainCarContinuous-v0", 999, 0.45
    low, high = (-1.0,), (1.0,)

    def move(self, state: Array, action: NDArray[Any]) -> tuple[Array, Array, NDArray[np.bool_]]:
        """One step."""
        a = action[:, 0].astype(float)
        change = np.clip(a, -1.0, 1.0) * 0.0015 - SLOPE * np.cos(3 * state[:, 0])
        state, over = self.roll(state, change)
        return state, np.where(over, 100.0, 0.0) - a * a * 0.1, over

    def draw(self, state: Array, action: NDArray[Any] | None) -> NDArray[np.uint8]:
        """The car on its hill."""
        return self.picture(state, 0.0 if action is None else float(np.clip(action[0], -1, 1)))
