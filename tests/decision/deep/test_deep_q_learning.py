"""Deep Q-learning: with a table for a network it is Q-learning, step by step."""

import numpy as np
import pytest
import torch

from phosphene.core.batch import Noise
from phosphene.core.environment import EnvSpec
from phosphene.core.errors import ConfigError, EventError
from phosphene.core.event import Event
from phosphene.decision.deep.deep_q_learning import DeepQLearning
from phosphene.decision.deep.dqn import DQN
from phosphene.decision.deep.replay import TransitionBatch

MAZE = EnvSpec("maze", Event.tokens(1, 6), actions=3, limit=9)
VECTOR = EnvSpec("vector", Event.real(4), actions=3)


def transition(state, action, reward, following, terminated, gamma, dtype=torch.float64):
    return TransitionBatch(
        x=torch.tensor([[state]]),
        index=torch.zeros(1, dtype=torch.int64),
        noise=Noise((0,), 0, 1),
        action=torch.tensor([action]),
        reward=torch.tensor([reward], dtype=dtype),
        next=torch.tensor([[following]]),
        discount=torch.tensor([0.0 if terminated else gamma], dtype=dtype),
        weight=torch.ones(1, dtype=dtype),
    )


def walk(steps=400):
    """A random walk in a random world: some steps terminate, some are cut off."""
    rng = np.random.default_rng(0)
    for _ in range(steps):
        s, a, s2 = int(rng.integers(6)), int(rng.integers(3)), int(rng.integers(6))
        yield s, a, float(rng.normal()), s2, bool(rng.random() < 0.2)


def test_a_table_takes_the_steps_of_q_learning():
    alpha, gamma = 0.3, 0.9
    agent = DeepQLearning(MAZE, hidden=(), gamma=gamma).double()
    optimizer = torch.optim.SGD(agent.parameters(), lr=alpha / 2)
    q = np.zeros((6, 3))
    for s, a, r, s2, terminated in walk():
        optimizer.zero_grad()
        agent.loss(transition(s, a, r, s2, terminated, gamma)).total.backward()
        optimizer.step()
        aim = r if terminated else r + gamma * q[s2].max()
        q[s, a] += alpha * (aim - q[s, a])
        ours = agent.online(torch.arange(6)[:, None]).detach().numpy()
        assert np.abs(ours - q).max() < 1e-12
    assert np.abs(q).max() > 1  # it went somewhere


def test_the_aim_carries_no_gradient():
    """A wrong gradient, through max Q(s') as well, would change the row of the next state."""
    agent = DeepQLearning(MAZE, hidden=(), gamma=0.9).double()
    agent.loss(transition(1, 2, 5.0, 4, False, 0.9)).total.backward()
    gradient = agent.online.advantage.weight.grad
    assert gradient.nonzero().tolist() == [[2, 1]]


@pytest.mark.parametrize("kind", [DeepQLearning, DQN])
def test_gradients_are_those_of_a_frozen_aim(kind):
    torch.manual_seed(1)
    agent = kind(VECTOR, hidden=(16, 16)).double()
    x, following = torch.randn(2, 32, 4, dtype=torch.float64)
    reward, discount = torch.randn(2, 32, dtype=torch.float64)
    action = torch.randint(3, (32,))
    batch = TransitionBatch(
        x=x, index=torch.arange(32), noise=Noise((0,), 0, 32), action=action, reward=reward,
        next=following, discount=discount, weight=torch.ones(32),
    )  # fmt: skip
    loss = agent.loss(batch).total
    loss.backward()
    q = agent.online(x)[torch.arange(32), action]
    aim = (reward + discount * agent.online(following).amax(1)).detach()  # no step was taken yet
    error = torch.nn.functional.smooth_l1_loss if kind is DQN else torch.nn.functional.mse_loss
    expected = error(q, aim)
    parameters = list(agent.online.parameters())
    for p, g in zip(parameters, torch.autograd.grad(expected, parameters), strict=True):
        torch.testing.assert_close(p.grad, g, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(loss, expected)


def test_the_limit_is_not_the_end():
    """From one state, all actions end the episode at once, paying 1: by a limit, and for good."""

    def aim(terminated):
        agent = DeepQLearning(MAZE, hidden=(), gamma=0.5).double()
        optimizer = torch.optim.SGD(agent.parameters(), lr=0.5)
        for _ in range(60):
            for a in range(3):
                optimizer.zero_grad()
                agent.loss(transition(0, a, 1.0, 0, terminated, 0.5)).total.backward()
                optimizer.step()
        return agent.online(torch.tensor([[0]])).detach()

    torch.testing.assert_close(aim(False), torch.full((1, 3), 2.0, dtype=torch.float64))
    torch.testing.assert_close(aim(True), torch.full((1, 3), 1.0, dtype=torch.float64))


def test_epsilon_falls_in_environment_steps():
    agent = DeepQLearning(VECTOR, warmup=100, epsilon_end=0.2, epsilon_steps=1000)
    values = [agent.epsilon(n) for n in (0, 99, 500, 1000, 10**9)]
    assert values == pytest.approx([1.0, 1.0, 0.6, 0.2, 0.2])
    assert agent.exploration(500) == {"epsilon": pytest.approx(0.6)}


def test_random_actions_are_uniform_and_may_be_greedy():
    """The greedy action has probability 1 - epsilon + epsilon / A."""
    agent = DeepQLearning(VECTOR, epsilon_end=0.3, epsilon_steps=10, warmup=1)
    x = torch.randn(1, 4).expand(30_000, 4)
    best = int(agent.act(x[:1]))
    action = agent.act(x, greedy=False, generator=torch.Generator().manual_seed(0))
    counts = torch.bincount(action, minlength=3).double()
    p = torch.full((3,), 0.1, dtype=torch.float64)
    p[best] = 0.8
    chi2 = float(((counts - 30_000 * p).square() / (30_000 * p)).sum())
    assert chi2 < 18.4  # of 2 degrees of freedom: 1 in 10,000 is above
    assert bool((agent.act(x) == best).all())


@pytest.mark.parametrize("kind", [DeepQLearning, DQN])
def test_bad_input_is_one_sentence(kind):
    continuous = EnvSpec("arm", Event.real(3), low=(-1.0,), high=(1.0,))
    with pytest.raises(EventError, match="its actions are continuous"):
        kind(continuous)
    for name in ("epsilon_start", "epsilon_end"):
        with pytest.raises(ConfigError, match=f"{name} must be at least 0 and at most 1, got 1.5"):
            kind(VECTOR, **{name: 1.5})
    with pytest.raises(ConfigError, match="epsilon_steps must be at least 1, got 0"):
        kind(VECTOR, epsilon_steps=0)
    with pytest.raises(ConfigError, match="gamma must be at least 0 and at most 1"):
        kind(VECTOR, gamma=1.1)
