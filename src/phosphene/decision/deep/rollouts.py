"""On-policy experience: rollouts of the current policy, discarded after an update."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from phosphene.core.agent import Experience
from phosphene.core.batch import Batch, Noise
from phosphene.core.context import Context
from phosphene.core.environment import Environment
from phosphene.core.errors import ConfigError
from phosphene.core.rng import generator, mix
from phosphene.core.subject import Ranks
from phosphene.decision.deep.episode_log import EpisodeLog
from phosphene.decision.deep.observations import Eyes, RunningScale
from phosphene.kernels.returns import advantages

__all__ = ["Player", "RolloutBatch", "Rollouts", "batches_of"]

_ACTING, _SHUFFLING = 1, 2  # streams of random numbers


@dataclass
class RolloutBatch(Batch):
    """Time steps of rollouts; ``x`` are the observations.

    Args:
        action: What was done, in the policy's units (n,) or (n, d).
        log_prob: Its log-probability under the policy that did it (n,).
        value: V as it was then (n,).
        advantage: (n,).
        target: What the value should be: the lambda-return (n,).
    """

    action: Tensor = field(default_factory=lambda: torch.zeros(0))
    log_prob: Tensor = field(default_factory=lambda: torch.zeros(0))
    value: Tensor = field(default_factory=lambda: torch.zeros(0))
    advantage: Tensor = field(default_factory=lambda: torch.zeros(0))
    target: Tensor = field(default_factory=lambda: torch.zeros(0))


class Player(Protocol):
    """What an agent needs for rollouts."""

    environments: int
    eyes: Eyes

    @property
    def device(self) -> torch.device:
        """Where its parameters lie."""
        ...

    def begin(self, experienced: int) -> None:
        """A rollout begins after so many environment steps."""
        ...

    def noise(self, shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
        """What actions are drawn with (*shape, ...)."""
        ...

    def explore(self, observation: Tensor, noise: Tensor) -> Tensor:
        """An action for each observation, in the agent's own units."""
        ...

    def to_env(self, action: Tensor) -> Tensor:
        """The agent's actions in the environment's units."""
        ...

    def value(self, features: Tensor) -> Tensor:
        """What states are worth (n,), given features (n, size)."""
        ...

    def assess(self, features: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Values of all features, and log-probabilities of the actions in the first of them."""
        ...


class Rollouts(Experience):
    """The policy acts for ``steps`` steps in each environment; its batches are cut from that.

    All ranks hold the whole rollout: each acts in its own environments and the parts are joined, so
    that batches, their advantages' mean and the scales do not depend on how many there are.

    Args:
        agent: It acts.
        environment: This rank's environments.
        seed: Of the run.
        ranks: This process among the others.
        steps: Time steps of one rollout.
        epochs: How often each moment of it is used.
        batch_size: Moments in a batch, over all ranks.
        gamma: Discount.
        lambda_: Of the advantages.
        normalize: Whether a batch's advantages are shifted and scaled to mean 0 and variance 1.
        formula: Of the advantages, in plain torch, for what the kernel cannot take.
        rewards: Divides rewards by the deviation of their discounted sums; None for none.

    Raises:
        ConfigError: The rollout cannot be cut into batches of that size.
    """

    def __init__(
        self,
        agent: Player,
        environment: Environment,
        seed: int,
        ranks: Ranks,
        *,
        steps: int,
        epochs: int,
        batch_size: int,
        gamma: float,
        lambda_: float,
        normalize: bool,
        formula: Callable[..., Tensor],
        rewards: RunningScale | None = None,
    ) -> None:
        self.environment, self.seed, self.ranks = environment, seed, ranks
        self.steps, self.epochs, self.batch_size = steps, epochs, batch_size
        self.gamma, self.lambda_, self.normalize, self.rewards = gamma, lambda_, normalize, rewards
        self.formula = formula
        self.n, self.first = agent.environments, agent.environments * ranks.rank // ranks.world
        self.minibatches = batches_of(agent.environments * steps, batch_size)
        self.experienced, self.iteration = 0, -1
        self.log = EpisodeLog(self.n)
        self.observation = environment.reset()
        self._discounted = torch.zeros(self.n)
        self._pending: tuple[int, Tensor, Tensor] | None = None
        self._columns: dict[str, Tensor] = {}
        self._shuffled: tuple[int, dict[str, Tensor]] = (-1, {})

    def next(self, k: int, model: Any, *, stream: int = 0) -> RolloutBatch:
        """This rank's share of global batch k; the first of an iteration makes the agent act."""
        iteration, turn = divmod(k, self.epochs * self.minibatches)
        if iteration != self.iteration:
            self._act(cast(Player, model), iteration)
        epoch, i = divmod(turn, self.minibatches)
        size, rank, world = self.batch_size, self.ranks.rank, self.ranks.world
        whole = {key: v[i * size : (i + 1) * size] for key, v in self._epoch(epoch).items()}
        if self.normalize:
            a = whole["advantage"]
            whole["advantage"] = (a - a.mean()) / (a.std() + 1e-8)
        first, last = size * rank // world, size * (rank + 1) // world
        own = {key: v[first:last] for key, v in whole.items()} if world > 1 else whole
        noise = Noise((self.seed, 1 + stream, k), first, last - first)
        return RolloutBatch(context=Context(), noise=noise, moments=None, **own)

    def _epoch(self, epoch: int) -> dict[str, Tensor]:
        """The rollout in an order of its own."""
        if self._shuffled[0] != epoch:
            columns = self._columns
            if self.minibatches > 1:
                rng = np.random.default_rng(mix(self.seed, _SHUFFLING, self.iteration, epoch))
                order = torch.from_numpy(rng.permutation(len(columns["x"])))
                columns = {key: v[order.to(v.device)] for key, v in columns.items()}
            self._shuffled = (epoch, columns)
        return self._shuffled[1]

    @torch.no_grad()
    def _act(self, agent: Player, iteration: int) -> None:
        self._standardize(agent)
        agent.begin(self.experienced)
        found = self._rollout(agent, iteration)
        found = {key: self.ranks.join(v, dim=1) for key, v in found.items()}
        ends = found["terminated"] | found["truncated"]
        self.log.take(found["reward"], ends)
        reward = self._scaled(found["reward"], ends)
        shape = (self.steps + 1, self.n)
        observations = found["x"].to(agent.device)
        features = agent.eyes(observations.flatten(0, 1))
        action = found["action"].flatten(0, 1).to(agent.device)
        worth, log_prob = agent.assess(features, action)
        values = worth.cpu().view(shape)
        following = self._following(agent, values, found)
        advantage = advantages(
            reward, values[:-1], following, found["terminated"], ends,
            gamma=self.gamma, lambda_=self.lambda_, formula=self.formula,
        )  # fmt: skip
        flat = {
            "x": observations[:-1].flatten(0, 1),
            "index": torch.arange(self.steps * self.n),
            "action": action,
            "log_prob": log_prob,
        }
        rest = {"value": values[:-1], "advantage": advantage, "target": advantage + values[:-1]}
        self._columns = flat | {k: v.flatten().to(agent.device) for k, v in rest.items()}
        self._shuffled = (-1, {})
        if agent.eyes.scale is not None:
            x = self._columns["x"]
            self._pending = (len(x), x.mean(0), x.var(0, correction=0))
        self.iteration = iteration
        self.experienced += self.steps * self.n

    def _rollout(self, agent: Player, iteration: int) -> dict[str, Tensor]:
        """Steps of this rank's environments, each (steps, n, ...); observations one step longer."""
        own = slice(self.first, self.first + self.environment.n)
        noise = agent.noise((self.steps, self.n), generator(self.seed, _ACTING, iteration))
        noise = noise[:, own].to(agent.device)
        seen, did, steps = [self.observation], [], []
        device = agent.device
        for t in range(self.steps):
            action = agent.explore(self.observation.to(device), noise[t])
            step = self.environment.step(agent.to_env(action).cpu())
            self.observation = step.observation
            seen.append(step.observation)
            did.append(action.cpu())
            steps.append(step)
        cut = [s.truncated & ~s.terminated for s in steps]
        beyond = [
            s.next if bool(c.any()) else torch.zeros_like(s.next)
            for s, c in zip(steps, cut, strict=True)
        ]
        return {
            "x": torch.stack(seen),
            "action": torch.stack(did),
            "reward": torch.stack([s.reward for s in steps]),
            "terminated": torch.stack([s.terminated for s in steps]),
            "truncated": torch.stack([s.truncated for s in steps]),
            "next": torch.stack(beyond),
        }

    def _following(self, agent: Player, values: Tensor, found: dict[str, Tensor]) -> Tensor:
        """V of what each action led to; beyond a time limit, of the state it cut off."""
        following = values[1:].clone()
        cut = found["truncated"] & ~found["terminated"]
        if bool(cut.any()):
            lost = found["next"][cut].to(agent.device)
            following[cut] = agent.value(agent.eyes(lost)).cpu()
        return following

    def _standardize(self, agent: Player) -> None:
        """Take the last rollout into the scale: within an iteration the scale stands still."""
        if self._pending is not None and agent.eyes.scale is not None:
            agent.eyes.scale.merge(*self._pending)
        self._pending = None

    def _scaled(self, reward: Tensor, ends: Tensor) -> Tensor:
        if self.rewards is None:
            return reward
        sums = torch.empty_like(reward)
        for t in range(self.steps):
            self._discounted = self.gamma * self._discounted + reward[t]
            sums[t] = self._discounted
            self._discounted = self._discounted * ~ends[t]
        self.rewards.update(sums.flatten().to(self.rewards.mean.device))
        scaled: Tensor = self.rewards(reward.to(self.rewards.mean.device))
        return scaled.cpu()

    def statistics(self) -> dict[str, float]:
        """Returns and lengths of the episodes that ended since the last call."""
        return self.log.statistics()

    def state_dict(self) -> dict[str, Any]:
        """Environments, where they stand, and what the scales have not taken in yet."""
        return {
            "environment": self.environment.state_dict(),
            "observation": self.observation,
            "experienced": self.experienced,
            "discounted": self._discounted,
            "pending": None if self._pending is None else list(self._pending),
            "log": self.log.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there; environments that cannot are begun anew."""
        self.environment.load_state_dict(state["environment"])
        exact = self.environment.exact
        self.observation = state["observation"] if exact else self.environment.reset()
        self.experienced, self._discounted = state["experienced"], state["discounted"]
        self._pending = None if state["pending"] is None else tuple(state["pending"])
        self.log.load_state_dict(state["log"])
        self.iteration = -1


def batches_of(rollout: int, batch_size: int) -> int:
    """How many batches a rollout makes.

    Raises:
        ConfigError: It cannot be cut evenly.
    """
    if batch_size < 2 or rollout % batch_size:
        raise ConfigError(
            f"a rollout of {rollout} moments (environments x steps) cannot be cut into batches of "
            f"{batch_size}; choose a batch_size that divides it"
        )
    return rollout // batch_size
