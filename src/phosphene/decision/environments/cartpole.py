"""CartPole-v1: keep a pole upright by pushing its cart."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phosphene.core.event import Event
from phosphene.decision.environments.canvas import Canvas, Colors
from phosphene.decision.environments.dynamics import Array, Dynamics

__all__ = ["CartPole"]

CART, POLE, HALF, GRAVITY, FORCE, TAU = 1.0, 0.1, 0.5, 9.8, 10.0, 0.02
EDGE, LEAN = 2.4, 12 * 2 * math.pi / 360


class CartPole(Dynamics):
    """A pole on a cart without friction: the state is (x, dx/dt, theta, dtheta/dt).

    With F = -10 N or 10 N, half the pole's length l = 0.5 m, masses m = 0.1 kg of the pole and
    M = 1.1 kg of both, g = 9.8 m/s^2:

        a        = (F + m l (dtheta/dt)^2 sin theta) / M
        d2theta  = (g sin theta - a cos theta) / (l (4/3 - m cos^2 theta / M))
        d2x      = a - m l d2theta cos theta / M

    and one Euler step of 0.02 s. Barto, Sutton and Anderson (1983), as gymnasium computes it.

    The reward is 1 for each step. The episode ends where |x| > 2.4 m or |theta| > 12 degrees, and
    is cut off after 500 steps. It begins with all four numbers uniform in [-0.05, 0.05).

    Args:
        sutton_barto_reward: The reward is -1 for the step that ends it and 0 for all others.

    Example:
        >>> state = np.zeros((1, 4))
        >>> CartPole().move(state, np.array([1]))[0].round(4).tolist()
        [[0.0, 0.1951, 0.0, -0.2927]]
    """

    name, limit, size, draws, actions = "CartPole-v1", 500, 4, 4, 2
    event = Event.real(4)

    def __init__(self, *, sutton_barto_reward: bool = False) -> None:
        self.sutton_barto_reward = sutton_barto_reward

    @property
    def options(self) -> tuple[float, ...]:
        """The settings as the native library takes them."""
        return (float(self.sutton_barto_reward),)

    def start(self, u: Array) -> Array:
        """Uniform in [-0.05, 0.05)."""
        return -0.05 + (0.05 - -0.05) * u

    def move(self, state: Array, action: NDArray[Any]) -> tuple[Array, Array, NDArray[np.bool_]]:
        """One Euler step."""
        x, dx, theta, dtheta = state.T
        total, moment = POLE + CART, POLE * HALF
        force = np.where(action == 1, FORCE, -FORCE)
        cosine, sine = np.cos(theta), np.sin(theta)
        push = (force + moment * np.square(dtheta) * sine) / total
        angular = (GRAVITY * sine - cosine * push) / (
            HALF * (4.0 / 3.0 - POLE * np.square(cosine) / total)
        )
        linear = push - moment * angular * cosine / total
        x, dx = x + TAU * dx, dx + TAU * linear
        theta, dtheta = theta + TAU * dtheta, dtheta + TAU * angular
        over = (x < -EDGE) | (x > EDGE) | (theta < -LEAN) | (theta > LEAN)
        reward = -over.astype(float) if self.sutton_barto_reward else np.ones(len(x))
        return np.stack((x, dx, theta, dtheta), 1), reward, over

    def observe(self, state: Array) -> NDArray[np.float32]:
        """The state."""
        return state.astype(np.float32)

    def draw(self, state: Array, action: NDArray[Any] | None) -> NDArray[np.uint8]:
        """The cart on its track, the pole, and the push."""
        canvas, ground, scale = Canvas(), 236.0, 400 / (2 * EDGE + 0.6)
        at = 200 + scale * float(state[0])
        canvas.line([(0, ground), (400, ground)], 3, Colors.line)
        for edge in (-EDGE, EDGE):
            canvas.box(200 + scale * edge - 2, ground - 12, 4, 24, Colors.line)
        for wheel in (-17, 17):
            canvas.disc((at + wheel, ground - 6), 6, Colors.ink)
        canvas.rounded(at - 33, ground - 36, 66, 28, 5, Colors.blue)
        theta, length, axle = float(state[2]), 2 * HALF * scale * 2, (at, ground - 36)
        tip = (at + length * math.sin(theta), axle[1] - length * math.cos(theta))
        canvas.line([axle, tip], 9, Colors.orange)
        canvas.disc(axle, 4, Colors.ink)
        if action is not None:
            side = 1 if int(action) == 1 else -1
            start = (at + side * 42, ground - 22)
            canvas.arrow(start, (start[0] + side * 18, start[1]), 3, Colors.soft)
        return canvas.picture()
