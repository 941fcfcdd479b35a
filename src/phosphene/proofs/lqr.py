"""Policy gradients find the gain that Riccati's equation gives."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from phosphene.core.environment import EnvSpec, Step
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.core.subject import Alone
from phosphene.decision.deep.reinforce import REINFORCE
from phosphene.proofs.proof import Proof, Wrong, above, below

__all__ = ["WRONG", "LinearQuadratic", "prove", "riccati"]

_STATEMENT = (
    "x' = A x + B u + w with cost x'Qx + u'Ru, discounted: the best policy is u = -K x with "
    "K = (R + g B'PB)^-1 g B'PA, P = Q + g A'P(A - BK), g the discount. Descending the exact cost "
    "J(K) ends there, and so does REINFORCE with a Gaussian policy N(-K x, sigma^2), which "
    "knows nothing of A, B, Q and R: |K - K*| < 0.05 |K*|."
)
_GAMMA, _REACH = 0.9, 10.0
_A = torch.tensor([[1.0, 0.5], [0.0, 1.0]], dtype=torch.float64)  # a mass, and a force on it
_B = torch.tensor([[0.125], [0.5]], dtype=torch.float64)
_Q = torch.eye(2, dtype=torch.float64)
_R = torch.tensor([[0.5]], dtype=torch.float64)
_NOISE = 0.1  # deviation of w


class LinearQuadratic:
    """n masses that are pushed back to where they should be.

    Args:
        n: How many.
        seed: Of where they begin, x ~ N(0, I), and of the noise.
        limit: Steps of an episode.
    """

    exact = True

    def __init__(self, n: int, seed: int = 0, limit: int = 30) -> None:
        low, high = (-_REACH,), (_REACH,)
        self.spec = EnvSpec("linear-quadratic", Event.real(2), low=low, high=high, limit=limit)
        self.n, self.seed, self.limit = n, seed, limit
        self._x = torch.zeros(n, 2, dtype=torch.float64)
        self._episode, self._clock = 0, 0

    def reset(self) -> Tensor:
        """Begin anew, all at once: every episode has the same length."""
        self._episode, self._clock = self._episode + 1, 0
        self._numbers = generator(self.seed, self._episode)
        self._x = torch.randn(self.n, 2, generator=self._numbers, dtype=torch.float64)
        return self._x.float()

    def step(self, action: Tensor) -> Step:
        """Push with u (n, 1)."""
        u = action.double()
        reward = -((self._x @ _Q * self._x).sum(1) + (u @ _R * u).sum(1)).float()
        w = torch.randn(self.n, 2, generator=self._numbers, dtype=torch.float64)
        self._x = self._x @ _A.T + u @ _B.T + _NOISE * w
        self._clock += 1
        following, over = self._x.float(), self._clock == self.limit
        cut, never = torch.full((self.n,), over), torch.zeros(self.n, dtype=torch.bool)
        return Step(self.reset() if over else following, reward, never, cut, following)

    def restart(self, where: Tensor) -> Tensor:
        """All begin at once, so that none begins by itself."""
        raise NotImplementedError

    def render(self, index: int = 0) -> NDArray[np.uint8]:
        """Nothing is drawn."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """The number of the episode: it goes on at a beginning."""
        return {"episode": self._episode}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the next episode."""
        self._episode = state["episode"]

    def close(self) -> None:
        """Nothing is held."""


class _Quadratic(nn.Module):
    """A value that is quadratic in the state, as the true one is."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        a, b = x.T
        out: Tensor = self.linear(torch.stack([a * a, a * b, b * b, torch.ones_like(a)], 1))
        return out


def riccati(rounds: int = 1000, discount: float = _GAMMA) -> Tensor:
    """K* (1, 2), by iterating Riccati's equation."""
    p, gain = _Q, torch.zeros(1, 2)
    for _ in range(rounds):
        gain = torch.linalg.solve(_R + discount * _B.T @ p @ _B, discount * _B.T @ p @ _A)
        p = _Q + discount * _A.T @ p @ (_A - _B @ gain)
    return gain


def prove(seed: int = 0, steps: int = 200, *, gain: Callable[[], Tensor] = riccati) -> Proof:
    """Find the gain three ways.

    Kalman (1960); Fazel, Ge, Kakade and Mesbahi (2018) for descent on J(K), which is not convex and
    has no other stationary point; Williams (1992) for the gradient from samples.

    Args:
        seed: Of the first weights and of all that is random in the episodes.
        steps: Gradient steps of REINFORCE, each on 64 episodes.
        gain: K*.

    Example:
        >>> prove(steps=2).rows[0]["holds"]  # the exact gradient
        True
    """
    best = gain()
    exact = _descend()
    gains = _reinforce(seed, steps)
    learned = gains[len(gains) // 2 :].mean(0)  # averaged: the steps' noise goes

    def off(found: Tensor) -> Tensor:
        distance: Tensor = (found - best).norm() / best.norm()
        return distance

    trace = torch.stack([off(found) for found in gains])
    rows = [
        below("exact gradient: |K - K*| / |K*|", off(exact), 1e-6),
        above("REINFORCE before: |K - K*| / |K*|", trace[0], 0.5),
        below("REINFORCE after: |K - K*| / |K*|", off(learned), 0.05),
        below("its cost J above the least, part of it", _cost(learned) / _cost(best) - 1, 1e-2),
    ]
    figure = {"x": torch.arange(len(gains)), "|K - K*| / |K*| of REINFORCE": trace}
    return Proof("linear-quadratic", "The linear-quadratic regulator", _STATEMENT, rows, figure)


def _cost(gain: Tensor) -> Tensor:
    """J(K) from x ~ N(0, I) without the noise of exploring, by a Lyapunov equation."""
    loop = _A - _B @ gain
    each = _Q + gain.T @ _R @ gain  # P = each + g loop' P loop, as a linear system
    system = torch.eye(4, dtype=torch.float64) - _GAMMA * torch.kron(loop.T, loop.T)
    p = torch.linalg.solve(system, each.flatten()).view(2, 2)
    begun: Tensor = p.trace()
    return begun + _GAMMA / (1 - _GAMMA) * _NOISE**2 * begun


def _descend(steps: int = 200) -> Tensor:
    """Gradient descent on J(K) from K = 0, where J is finite; steps that do not help are halved."""
    gain, rate = torch.zeros(1, 2, dtype=torch.float64), 1.0
    for _ in range(steps):
        gain.requires_grad_()
        cost = _cost(gain)
        (slope,) = torch.autograd.grad(cost, gain)
        gain, rate, now, steep = gain.detach(), 2 * rate, cost.item(), slope.square().sum().item()
        while not _better(gain - rate * slope, now - 0.5 * rate * steep):
            rate /= 2
            if rate < 1e-12:  # as far down as rounding lets one see
                return gain
        gain = gain - rate * slope
    return gain


def _better(gain: Tensor, bound: float) -> bool:
    radius = torch.linalg.eigvals(_A - _B @ gain).abs().max()
    return bool(_GAMMA * radius**2 < 1) and float(_cost(gain)) <= bound


def _reinforce(seed: int, steps: int) -> Tensor:
    """The gain of the library's agent after each step (steps + 1, 1, 2)."""
    environment = LinearQuadratic(64, seed)
    with seeded(seed):
        agent = REINFORCE(
            environment.spec, environments=64, gamma=_GAMMA, discounted_states=True,
            normalize=True, value_steps=4, hidden=(), log_std=-2.3,
        )  # fmt: skip
        agent.critic = _Quadratic()  # type: ignore[assignment]
    experience = agent.experience(environment, seed, Alone())
    policy, value = agent.phases()
    # Gradients shrink a hundredfold on the way: a long memory of them would hold the steps back.
    actor = torch.optim.Adam(agent.actor.parameters(), lr=5e-3, betas=(0.9, 0.95), fused=True)
    critic = torch.optim.Adam(value.parameters, lr=0.2, betas=(0.9, 0.95), fused=True)
    decay = torch.optim.lr_scheduler.LinearLR(actor, 1.0, 0.1, steps)
    gains = [_gain(agent)]
    assert policy.loss is not None
    assert value.loss is not None
    for step in range(steps):
        batch = experience.next(step * value.repeat, agent)
        actor.zero_grad()
        policy.loss(batch).total.backward()
        actor.step()
        decay.step()
        for _ in range(value.repeat):
            critic.zero_grad()
            value.loss(batch).total.backward()
            critic.step()
        gains.append(_gain(agent))
    return torch.stack(gains)


@torch.no_grad()
def _gain(agent: REINFORCE) -> Tensor:
    """What the policy's mean is multiplied by, in the environment's units."""
    zero, unit = agent.actor(torch.zeros(1, 2)), agent.actor(torch.eye(2))
    gain: Tensor = -_REACH * (unit - zero).T.double()
    return gain


WRONG = Wrong(
    "K = (R + B'PB)^-1 B'PA, P = Q + A'P(A - BK): the discount g is forgotten",
    {"gain": partial(riccati, discount=1.0)},
)
