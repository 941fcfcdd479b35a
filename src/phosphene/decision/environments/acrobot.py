"""Acrobot-v1: swing two links up by a torque at the joint between them."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phosphene.core.event import Event
from phosphene.decision.environments.canvas import Canvas, Colors
from phosphene.decision.environments.dynamics import Array, Dynamics

__all__ = ["Acrobot"]

M1 = M2 = L1 = I1 = I2 = 1.0
C1 = C2 = 0.5
GRAVITY, DT = 9.8, 0.2
FASTEST = (4 * math.pi, 9 * math.pi)


class Acrobot(Dynamics):
    """Two links that hang from a fixed point: (theta1, theta2, dtheta1/dt, dtheta2/dt).

    theta1 is the angle of the first link from straight down, theta2 that of the second from the
    first. Masses, lengths and moments of inertia are 1, centers of mass lie at 1/2, the torque tau
    is -1, 0 or 1 N m, and with phi1, phi2 as in :func:`slope`

        d2theta2 = (tau + d2/d1 phi1 - (dtheta1/dt)^2 sin theta2 / 2 - phi2) / (1/4 + 1 - d2^2/d1)
        d2theta1 = -(d2 d2theta2 + phi1) / d1

    by one Runge-Kutta step of fourth order and 0.2 s. Sutton (1996); these are the equations of
    Sutton and Barto's book, as gymnasium computes them.

    What is seen is (cos theta1, sin theta1, cos theta2, sin theta2) and both velocities, which are
    kept within 4 pi and 9 pi. The reward is -1 for each step, and 0 for that which ends it: where
    the tip is more than 1 above the fixed point. It is cut off after 500 steps, and begins with all
    four numbers uniform in [-0.1, 0.1).

    Example:
        >>> state = np.zeros((1, 4))
        >>> bool(np.abs(Acrobot().move(state, np.array([1]))[0]).max() < 1e-12)  # at rest
        True
    """

    name, limit, size, draws, actions = "Acrobot-v1", 500, 4, 4, 3
    event = Event.real(6)

    def start(self, u: Array) -> Array:
        """Uniform in [-0.1, 0.1)."""
        return -0.1 + (0.1 - -0.1) * u

    def move(self, state: Array, action: NDArray[Any]) -> tuple[Array, Array, NDArray[np.bool_]]:
        """One Runge-Kutta step."""
        torque = (action - 1).astype(float)
        k1 = slope(state, torque)
        k2 = slope(state + DT / 2 * k1, torque)
        k3 = slope(state + DT / 2 * k2, torque)
        k4 = slope(state + DT * k3, torque)
        state = state + DT / 6.0 * (k1 + 2 * k2 + 2 * k3 + k4)
        angles = wrap(state[:, :2])
        speeds = np.clip(state[:, 2:], np.negative(FASTEST), FASTEST)
        over = -np.cos(angles[:, 0]) - np.cos(angles[:, 1] + angles[:, 0]) > 1.0
        return np.concatenate((angles, speeds), 1), np.where(over, 0.0, -1.0), over

    def possible(self, state: Array) -> NDArray[np.bool_]:
        """Angles within half a turn, velocities that can be reached."""
        most = np.array([math.pi, math.pi, *FASTEST])
        return np.asarray((np.abs(state) <= most * (1 + 1e-12)).all(1))

    def observe(self, state: Array) -> NDArray[np.float32]:
        """Cosine and sine of each angle, and the velocities."""
        angles, speeds = state[:, :2], state[:, 2:]
        turned = np.stack((np.cos(angles), np.sin(angles)), 2).reshape(-1, 4)
        return np.concatenate((turned, speeds), 1).astype(np.float32)

    def draw(self, state: Array, action: NDArray[Any] | None) -> NDArray[np.uint8]:
        """Both links, the height to reach, and the torque."""
        canvas, scale, fixed = Canvas(), 66.0, (200.0, 150.0)
        for x in range(0, 400, 16):
            canvas.line([(x, fixed[1] - scale), (x + 8, fixed[1] - scale)], 2, Colors.green)
        first, second = float(state[0]), float(state[0] + state[1])
        joint = (fixed[0] + scale * math.sin(first), fixed[1] + scale * math.cos(first))
        tip = (joint[0] + scale * math.sin(second), joint[1] + scale * math.cos(second))
        canvas.line([fixed, joint], 15, Colors.blue)
        canvas.line([joint, tip], 15, Colors.orange)
        for point in (fixed, joint):
            canvas.disc(point, 5, Colors.paper)
        if action is not None and int(action) != 1:
            sweep = 2.2 * (int(action) - 1)
            canvas.arc(joint, 19, second - math.pi / 2 - sweep / 2, sweep, 2.5, Colors.ink)
        return canvas.picture()


def slope(state: Array, torque: Array) -> Array:
    """Derivatives by time of states (n, 4), given torques (n,)."""
    theta1, theta2, dtheta1, dtheta2 = state.T
    cosine, sine = np.cos(theta2), np.sin(theta2)
    d1 = M1 * C1**2 + M2 * (L1**2 + C2**2 + 2 * L1 * C2 * cosine) + I1 + I2
    d2 = M2 * (C2**2 + L1 * C2 * cosine) + I2
    phi2 = M2 * C2 * GRAVITY * np.cos(theta1 + theta2 - math.pi / 2.0)
    phi1 = (
        -M2 * L1 * C2 * np.square(dtheta2) * sine
        - 2 * M2 * L1 * C2 * dtheta2 * dtheta1 * sine
        + (M1 * C1 + M2 * L1) * GRAVITY * np.cos(theta1 - math.pi / 2)
        + phi2
    )
    ddtheta2 = (torque + d2 / d1 * phi1 - M2 * L1 * C2 * np.square(dtheta1) * sine - phi2) / (
        M2 * C2**2 + I2 - np.square(d2) / d1
    )
    ddtheta1 = -(d2 * ddtheta2 + phi1) / d1
    return np.stack((dtheta1, dtheta2, ddtheta1, ddtheta2), 1)


def wrap(angle: Array) -> Array:
    """Angles in [-pi, pi], by adding or taking away whole turns one by one."""
    angle = angle.copy()
    while (over := angle > math.pi).any():
        angle[over] -= 2 * math.pi
    while (under := angle < -math.pi).any():
        angle[under] += 2 * math.pi
    return angle
