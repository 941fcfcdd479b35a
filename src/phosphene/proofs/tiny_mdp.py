"""A decision problem so small that all its trajectories can be written down."""

import itertools
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from phosphene.core.environment import EnvSpec
from phosphene.core.event import Event
from phosphene.core.rng import generator
from phosphene.decision.deep.actor_critic import ActorCritic
from phosphene.decision.deep.reinforce import REINFORCE
from phosphene.decision.deep.whole_episodes import EpisodeBatch

__all__ = [
    "ACTIONS",
    "HORIZON",
    "SPEC",
    "STATES",
    "TinyMDP",
    "Trajectories",
    "expected_gradient",
    "flat",
    "prepared",
    "scores",
    "total_variance",
]

A = TypeVar("A", bound=ActorCritic)

STATES, ACTIONS, HORIZON = 3, 2, 4
SPEC = EnvSpec("tiny", Event.tokens(1, STATES), actions=ACTIONS, limit=HORIZON)


@dataclass(frozen=True)
class Trajectories:
    """Every trajectory, and how likely the environment's part in it is.

    Args:
        state: (n, HORIZON + 1), int64; the last is where the last action led.
        action: (n, HORIZON), int64.
        chance: Of the first state and of all transitions, given the actions (n,).
        reward: (n, HORIZON).
    """

    state: Tensor
    action: Tensor
    chance: Tensor
    reward: Tensor

    @property
    def x(self) -> Tensor:
        """States where one acted, as observations (n, HORIZON, 1)."""
        return self.state[:, :-1, None]

    @property
    def lived(self) -> Tensor:
        """All of them last to the end: (n, HORIZON), True."""
        return torch.ones_like(self.action, dtype=torch.bool)

    def probability(self, agent: ActorCritic) -> Tensor:
        """Of each trajectory under the agent's policy (n,); no gradient flows through it."""
        with torch.no_grad():
            log_probs = _log_probs(agent)
        return self.chance * log_probs[self.state[:, :-1], self.action].sum(1).exp()


class TinyMDP:
    """Three states, two actions, four steps, all in float64, drawn from a seed.

    Args:
        seed: Of transitions, rewards and first states.
        gamma: Discount.
    """

    def __init__(self, seed: int = 0, gamma: float = 0.7) -> None:
        g = generator(seed, 1)
        self.gamma = gamma
        self.start = torch.rand(STATES, generator=g, dtype=torch.float64)
        self.start /= self.start.sum()
        self.P = torch.rand(STATES, ACTIONS, STATES, generator=g, dtype=torch.float64)
        self.P /= self.P.sum(2, keepdim=True)
        self.r = torch.randn(STATES, ACTIONS, generator=g, dtype=torch.float64)

    def values(self, agent: ActorCritic) -> Tensor:
        """V_t(s) (HORIZON + 1, STATES) by dynamic programming; gradients flow into the policy."""
        policy = _log_probs(agent).exp()
        found = [torch.zeros(STATES, dtype=torch.float64)]
        for _ in range(HORIZON):
            ahead = self.r + self.gamma * (self.P @ found[0])
            found.insert(0, (policy * ahead).sum(1))
        return torch.stack(found)

    def objective(self, agent: ActorCritic) -> Tensor:
        """J, the expected discounted return."""
        return self.start @ self.values(agent)[0]

    def trajectories(self) -> Trajectories:
        """All 3 (2 3)^4 = 3888 of them."""
        moves = [range(STATES), *[range(ACTIONS), range(STATES)] * HORIZON]
        table = torch.tensor(list(itertools.product(*moves)))
        state, action = table[:, ::2], table[:, 1::2]
        chance = self.start[state[:, 0]]
        chance = chance * self.P[state[:, :-1], action, state[:, 1:]].prod(1)
        return Trajectories(state, action, chance, self.r[state[:, :-1], action])


class _OneHot(nn.Module):
    """What networks see of a state, in float64."""

    size, scale = STATES, None

    def forward(self, observation: Tensor) -> Tensor:
        return nn.functional.one_hot(observation.long().flatten(), STATES).double()


def prepared(agent: A, seed: int) -> A:
    """The agent in float64, with random weights: far from uniform, and far from right."""
    agent = agent.double()
    agent.eyes = _OneHot()  # type: ignore[assignment]
    g = generator(seed, 2)
    with torch.no_grad():
        for p in agent.parameters():
            p.copy_(torch.randn(p.shape, generator=g, dtype=torch.float64))
    return agent


def expected_gradient(agent: REINFORCE, paths: Trajectories, extra: Tensor | None = None) -> Tensor:
    """The mean, over all trajectories, of the gradient that REINFORCE follows (parameters,).

    It is that of the agent's own loss, on a batch of all trajectories, each weighted with its
    probability.

    Args:
        agent: In float64.
        paths: All trajectories.
        extra: Added to the credit (n, HORIZON), before it is weighted.
    """
    credit, target = agent.credit(paths.x, paths.reward, paths.lived)
    weight = (paths.probability(agent) * len(paths.x))[:, None]  # the loss takes a plain mean
    if extra is not None:
        credit = credit + extra
    batch = EpisodeBatch(
        x=paths.x, index=torch.arange(len(paths.x)), action=paths.action, lived=paths.lived,
        credit=credit * weight, target=target,
    )  # fmt: skip
    return -flat(agent.loss(batch).total, agent)


def total_variance(agent: REINFORCE, paths: Trajectories, extra: Tensor | None = None) -> Tensor:
    r"""The trace of the covariance of one estimate :math:`\sum_t c_t \nabla \log\pi`."""
    credit, _ = agent.credit(paths.x, paths.reward, paths.lived)
    if extra is not None:
        credit = credit + extra
    own = torch.einsum("nt,ntp->np", credit, scores(agent)[paths.state[:, :-1], paths.action])
    p = paths.probability(agent)
    return p @ own.square().sum(1) - (p @ own).square().sum()


def scores(agent: ActorCritic) -> Tensor:
    r""":math:`\nabla \log \pi(a | s)` (STATES, ACTIONS, parameters of the policy)."""
    rows = [flat(value, agent) for value in _log_probs(agent).flatten()]
    return torch.stack(rows).view(STATES, ACTIONS, -1)


def flat(value: Tensor, agent: ActorCritic) -> Tensor:
    """The gradient with respect to the policy's network, as one vector."""
    found = torch.autograd.grad(value, list(agent.actor.parameters()), retain_graph=True)
    return torch.cat([g.flatten() for g in found])


def _log_probs(agent: ActorCritic) -> Tensor:
    """(STATES, ACTIONS)."""
    features = agent.eyes(torch.arange(STATES)[:, None])
    every = [torch.full((STATES,), a) for a in range(ACTIONS)]
    policy = agent.policy(features)
    return torch.stack([policy.log_prob(a) for a in every], 1)
