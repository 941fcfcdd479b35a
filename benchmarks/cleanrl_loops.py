"""PPO and DQN as plain loops in torch, at the settings of CleanRL's scripts.

CleanRL is a collection of scripts that pin an old gym, so that it cannot be installed beside this
library. What is here does what its documentation says, through gymnasium's vector environments:
``ppo.py`` with its core details (orthogonal weights, Adam with eps 1e-5 and a falling rate,
generalized advantages, normalized in each batch, a clipped ratio and a clipped value, an entropy
bonus, clipped gradients, figures of every step), ``dqn.py`` with uniform replay, a target network
that is copied, and the squared error. Left out, in the loops' favor, are TensorBoard and videos.
As in the scripts, PPO takes an episode that the time limit cuts off for one that ended.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Categorical

__all__ = ["DQNLoop", "DQNSettings", "PPOLoop", "PPOSettings"]

Act = Callable[[Tensor], Tensor]
Pause = Callable[[int, Act], None]


def environments(name: str, n: int) -> Any:
    """Copies in one vector environment, each of which keeps its episodes' statistics."""
    import gymnasium
    from gymnasium.vector import AutoresetMode, SyncVectorEnv

    def one() -> Any:
        return gymnasium.wrappers.RecordEpisodeStatistics(gymnasium.make(name))

    return SyncVectorEnv([one] * n, autoreset_mode=AutoresetMode.SAME_STEP)


def _no_pause(steps: int, act: Act) -> None:
    """For trainings that nobody interrupts."""


@dataclass(frozen=True)
class PPOSettings:
    """Those of ``ppo.py``; ``total`` is what the learning rate falls over."""

    environments: int = 4
    steps: int = 128
    minibatches: int = 4
    epochs: int = 4
    lr: float = 2.5e-4
    gamma: float = 0.99
    lambda_: float = 0.95
    clip: float = 0.2
    entropy: float = 0.01
    value: float = 0.5
    max_grad_norm: float = 0.5
    total: int = 500_000


def _tower(inputs: int, outputs: int, gain: float) -> nn.Sequential:
    layers = [nn.Linear(inputs, 64), nn.Linear(64, 64), nn.Linear(64, outputs)]
    for layer, g in zip(layers, (2**0.5, 2**0.5, gain), strict=True):
        nn.init.orthogonal_(layer.weight, g)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Tanh(), layers[2])


@dataclass
class Moments:
    """A rollout, or a part of it: rows of what was seen, done and found."""

    x: Tensor
    action: Tensor
    log_prob: Tensor
    value: Tensor
    advantage: Tensor
    target: Tensor

    def __getitem__(self, rows: Any) -> "Moments":
        return Moments(*(column[rows] for column in vars(self).values()))


class PPOLoop:
    """Proximal policy optimization."""

    def __init__(self, name: str, seed: int = 0, settings: PPOSettings | None = None) -> None:
        self.settings = s = settings or PPOSettings()
        torch.manual_seed(seed)
        self.rng = np.random.default_rng(seed)
        self.envs = environments(name, s.environments)
        inputs = int(np.prod(self.envs.single_observation_space.shape))
        self.actor = _tower(inputs, int(self.envs.single_action_space.n), 0.01)
        self.critic = _tower(inputs, 1, 1.0)
        self.parameters = [*self.actor.parameters(), *self.critic.parameters()]
        self.optimizer = torch.optim.Adam(self.parameters, s.lr, eps=1e-5)
        self.seen = 0
        self.next = torch.as_tensor(self.envs.reset(seed=seed)[0])
        self.done = torch.zeros(s.environments)
        self.returns: list[float] = []

    def run(self, steps: int, pause: Pause = _no_pause) -> None:
        """Train for so many environment steps more; pauses come between iterations."""
        s, until = self.settings, self.seen + steps
        while self.seen < until:
            for group in self.optimizer.param_groups:
                group["lr"] = s.lr * (1 - self.seen / s.total)
            self.update(self.rollout())
            pause(self.seen, self.act)

    @torch.no_grad()
    def act(self, x: Tensor) -> Tensor:
        """The likeliest actions."""
        return self.actor(x).argmax(1)

    def assess(self, x: Tensor, action: Tensor | None = None) -> tuple[Tensor, ...]:
        """Actions, their log-probabilities, entropies and values."""
        policy = Categorical(logits=self.actor(x))
        action = policy.sample() if action is None else action
        return action, policy.log_prob(action), policy.entropy(), self.critic(x).flatten()

    @torch.no_grad()
    def rollout(self) -> Moments:
        """Act, and look back."""
        s = self.settings
        shape = (s.steps, s.environments)
        x = torch.zeros(*shape, self.next.shape[1])
        action = torch.zeros(shape, dtype=torch.int64)
        log_prob, value, reward, done = (torch.zeros(shape) for _ in range(4))
        for t in range(s.steps):
            self.seen += s.environments
            x[t], done[t] = self.next, self.done
            action[t], log_prob[t], _, value[t] = self.assess(self.next)
            found, earned, terminated, truncated, info = self.envs.step(action[t].numpy())
            reward[t] = torch.as_tensor(earned)
            self.next = torch.as_tensor(found)
            self.done = torch.as_tensor(terminated | truncated).float()
            if "final_info" in info:
                episode = info["final_info"]["episode"]
                self.returns += episode["r"][episode["_r"]].tolist()
        advantage = self._advantages(reward, value, done)
        columns = (x, action, log_prob, value, advantage, advantage + value)
        return Moments(*(column.flatten(0, 1) for column in columns))

    def _advantages(self, reward: Tensor, value: Tensor, done: Tensor) -> Tensor:
        s = self.settings
        following, ended = self.critic(self.next).flatten(), self.done
        advantage, last = torch.zeros_like(reward), torch.zeros(s.environments)
        for t in reversed(range(s.steps)):
            error = reward[t] + s.gamma * following * (1 - ended) - value[t]
            advantage[t] = last = error + s.gamma * s.lambda_ * (1 - ended) * last
            following, ended = value[t], done[t]
        return advantage

    def loss(self, part: Moments) -> tuple[Tensor, dict[str, float]]:
        """The loss of a minibatch, and figures."""
        s = self.settings
        _, log_prob, entropy, value = self.assess(part.x, part.action)
        log_ratio = log_prob - part.log_prob
        ratio = log_ratio.exp()
        with torch.no_grad():
            figures = {
                "old_kl": (-log_ratio).mean().item(),
                "kl": ((ratio - 1) - log_ratio).mean().item(),
                "clipped": ((ratio - 1).abs() > s.clip).float().mean().item(),
            }
        a = (part.advantage - part.advantage.mean()) / (part.advantage.std() + 1e-8)
        policy = torch.max(-a * ratio, -a * ratio.clamp(1 - s.clip, 1 + s.clip)).mean()
        moved = part.value + (value - part.value).clamp(-s.clip, s.clip)
        errors = torch.max((value - part.target) ** 2, (moved - part.target) ** 2)
        value_loss = 0.5 * errors.mean()
        return policy - s.entropy * entropy.mean() + s.value * value_loss, figures

    def update(self, moments: Moments) -> None:
        """All gradient steps on one rollout."""
        s, n = self.settings, len(moments.x)
        size, order = n // s.minibatches, np.arange(n)
        for _ in range(s.epochs):
            self.rng.shuffle(order)
            for start in range(0, n, size):
                loss, _ = self.loss(moments[order[start : start + size]])
                self.optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self.parameters, s.max_grad_norm)
                self.optimizer.step()


@dataclass(frozen=True)
class DQNSettings:
    """Those of ``dqn.py``; epsilon falls over ``exploring`` environment steps."""

    lr: float = 2.5e-4
    capacity: int = 10_000
    batch_size: int = 128
    gamma: float = 0.99
    start: int = 10_000
    every: int = 10
    target_every: int = 500
    epsilon_start: float = 1.0
    epsilon_end: float = 0.05
    exploring: int = 250_000


@dataclass
class Transitions:
    """A batch of what was met; ``done`` is 1 where the episode terminated."""

    x: Tensor
    action: Tensor
    reward: Tensor
    next: Tensor
    done: Tensor


class DQNLoop:
    """A deep Q-network."""

    def __init__(self, name: str, seed: int = 0, settings: DQNSettings | None = None) -> None:
        self.settings = s = settings or DQNSettings()
        torch.manual_seed(seed)
        self.rng = np.random.default_rng(seed)
        self.envs = environments(name, 1)
        self.envs.single_action_space.seed(seed)
        inputs = int(np.prod(self.envs.single_observation_space.shape))
        actions = int(self.envs.single_action_space.n)
        self.online, self.target = _q_network(inputs, actions), _q_network(inputs, actions)
        self.target.load_state_dict(self.online.state_dict())
        self.optimizer = torch.optim.Adam(self.online.parameters(), s.lr)
        self.x, self.beyond = (np.zeros((s.capacity, inputs), np.float32) for _ in range(2))
        self.action = np.zeros(s.capacity, np.int64)
        self.reward, self.done = (np.zeros(s.capacity, np.float32) for _ in range(2))
        self.seen = 0
        self.now, _ = self.envs.reset(seed=seed)
        self.returns: list[float] = []

    def run(self, steps: int, pause: Pause = _no_pause) -> None:
        """Train for so many environment steps more; pauses come after gradient steps."""
        s = self.settings
        for _ in range(steps):
            self.step()
            if self.seen > s.start and self.seen % s.every == 0:
                self.update(self.sample())
                if self.seen % s.target_every == 0:
                    self.target.load_state_dict(self.online.state_dict())
            if self.seen % s.every == 0:
                pause(self.seen, self.act)

    @torch.no_grad()
    def act(self, x: Tensor) -> Tensor:
        """The best actions."""
        return self.online(x).argmax(1)

    def step(self) -> None:
        """Act once and remember it."""
        s = self.settings
        slope = (s.epsilon_end - s.epsilon_start) / s.exploring
        epsilon = max(s.epsilon_start + slope * self.seen, s.epsilon_end)
        if self.rng.random() < epsilon:
            action = np.array([self.envs.single_action_space.sample()])
        else:
            action = self.act(torch.as_tensor(self.now)).numpy()
        found, reward, terminated, truncated, info = self.envs.step(action)
        beyond = found
        if "final_info" in info:
            self.returns.append(float(info["final_info"]["episode"]["r"][0]))
            beyond = info["final_obs"][0] if (terminated | truncated)[0] else found
        at = self.seen % s.capacity
        self.x[at], self.beyond[at] = self.now, beyond
        self.action[at], self.reward[at], self.done[at] = action[0], reward[0], terminated[0]
        self.now = found
        self.seen += 1

    def sample(self) -> Transitions:
        """A batch, drawn alike."""
        s = self.settings
        i = self.rng.integers(0, min(self.seen, s.capacity), s.batch_size)
        columns = (self.x, self.action, self.reward, self.beyond, self.done)
        return Transitions(*(torch.as_tensor(column[i]) for column in columns))

    def loss(self, batch: Transitions) -> Tensor:
        """The squared error of temporal differences."""
        with torch.no_grad():
            best = self.target(batch.next).max(1).values
            aim = batch.reward + self.settings.gamma * best * (1 - batch.done)
        q = self.online(batch.x).gather(1, batch.action[:, None]).squeeze(1)
        return nn.functional.mse_loss(aim, q)

    def update(self, batch: Transitions) -> None:
        """One gradient step."""
        loss = self.loss(batch)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def _q_network(inputs: int, actions: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, actions)
    )
