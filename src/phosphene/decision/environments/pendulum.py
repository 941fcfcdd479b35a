"""Pendulum-v1: swing a pendulum up and hold it there, with a torque too weak to lift it at once."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phosphene.core.event import Event
from phosphene.decision.environments.canvas import Canvas, Colors
from phosphene.decision.environments.dynamics import Array, Dynamics

__all__ = ["Pendulum"]

FASTEST, STRONGEST, DT = 8.0, 2.0, 0.05


class Pendulum(Dynamics):
    """The angle theta from upright, counterclockwise, and its velocity w, by steps of 0.05 s.

    With u the torque clipped to [-2, 2], a rod of mass and length 1:

        w     <- clip(w + (3/2 g sin theta + 3 u) 0.05, -8, 8)
        theta <- theta + 0.05 w

    The reward is -(theta^2 + 0.1 w^2 + 0.001 u^2) of the state before the step, theta brought to
    [-pi, pi); it lies between -16.2736044 and 0. What is seen is (cos theta, sin theta, w). An
    episode never ends by itself and is cut off after 200 steps; it begins with theta uniform in
    [-pi, pi) and w in [-1, 1). As gymnasium computes it.

    Args:
        g: The acceleration of gravity in m/s^2.

    Example:
        >>> Pendulum().move(np.array([[math.pi, 0.0]]), np.array([[0.0]]))[1].round(4).tolist()
        [-9.8696]
    """

    name, limit, size, draws = "Pendulum-v1", 200, 2, 2
    low, high = (-STRONGEST,), (STRONGEST,)
    event = Event.real(3)

    def __init__(self, *, g: float = 10.0) -> None:
        self.g = g

    @property
    def options(self) -> tuple[float, ...]:
        """The settings as the native library takes them."""
        return (self.g,)

    def start(self, u: Array) -> Array:
        """Any angle, and a velocity in [-1, 1)."""
        high = np.array((math.pi, 1.0))
        return np.asarray(-high + (high - -high) * u)

    def move(self, state: Array, action: NDArray[Any]) -> tuple[Array, Array, NDArray[np.bool_]]:
        """One step."""
        theta, w = state.T
        u = np.clip(action[:, 0].astype(float), -STRONGEST, STRONGEST)
        centered = (theta + math.pi) % (2 * math.pi) - math.pi
        cost = np.square(centered) + 0.1 * np.square(w) + 0.001 * np.square(u)
        w = np.clip(w + (3 * self.g / 2.0 * np.sin(theta) + 3.0 * u) * DT, -FASTEST, FASTEST)
        theta = theta + w * DT
        return np.stack((theta, w), 1), -cost, np.zeros(len(state), np.bool_)

    def observe(self, state: Array) -> NDArray[np.float32]:
        """Cosine, sine and velocity."""
        theta, w = state.T
        return np.stack((np.cos(theta), np.sin(theta), w), 1).astype(np.float32)

    def draw(self, state: Array, action: NDArray[Any] | None) -> NDArray[np.uint8]:
        """The rod, and the torque."""
        canvas, center, length, theta = Canvas(), (200.0, 150.0), 112.0, float(state[0])
        canvas.disc(center, length + 12, Colors.faint)
        canvas.disc(center, length + 10, Colors.paper)
        tip = (center[0] - length * math.sin(theta), center[1] - length * math.cos(theta))
        canvas.line([center, tip], 20, Colors.blue)
        canvas.disc(center, 6, Colors.ink)
        torque = 0.0 if action is None else float(np.clip(action[0], -STRONGEST, STRONGEST))
        if abs(torque) > 0.05:
            sweep = 1.3 * torque
            canvas.arc(center, 44, theta + math.pi / 2 - sweep / 2, sweep, 3, Colors.orange)
        return canvas.picture()
