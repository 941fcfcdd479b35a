"""Experience replay: transitions in a ring buffer, drawn at random."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from phosphene.core.agent import Experience
from phosphene.core.batch import Batch, Noise
from phosphene.core.context import Context
from phosphene.core.environment import Environment, Step
from phosphene.core.errors import ConfigError
from phosphene.core.rng import generator
from phosphene.core.subject import Ranks
from phosphene.decision.deep.episode_log import EpisodeLog
from phosphene.decision.deep.priorities import Priorities
from phosphene.decision.deep.ring import Ring, n_step_returns

__all__ = ["Explorer", "Replay", "TransitionBatch"]

_ACTING, _SAMPLING, _HOLDING, _LOSS = 1, 2, 3, 4  # streams of random numbers


@dataclass
class TransitionBatch(Batch):
    r"""Transitions; ``x`` are the observations, ``index`` their places in the ring.

    Args:
        action: What was done, in the agent's units (n,) or (n, d).
        reward: :math:`\sum_{j < m} \gamma^j r_{t+j}` (n,), over the m steps that it spans.
        next: The observation m steps later (n, \*shape), before any new episode began.
        discount: :math:`\gamma^m`, and 0 where the episode terminated (n,); an episode that was
            only cut off goes on in the mind.
        weight: What each error counts (n,); ones where sampling is uniform.
        ahead: What the agent worked out of ``next`` for the whole cycle (n, ...); without rows
            where it does not.
    """

    action: Tensor = field(default_factory=lambda: torch.zeros(0))
    reward: Tensor = field(default_factory=lambda: torch.zeros(0))
    next: Tensor = field(default_factory=lambda: torch.zeros(0))
    discount: Tensor = field(default_factory=lambda: torch.zeros(0))
    weight: Tensor = field(default_factory=lambda: torch.zeros(0))
    ahead: Tensor = field(default_factory=lambda: torch.zeros(0))


class Explorer(Protocol):
    """What a replay asks of an agent: how it explores."""

    environments: int

    @property
    def device(self) -> torch.device:
        """Where it lies."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """Of its numbers."""
        ...

    def noise(self, shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
        """What actions are drawn with (*shape, any)."""
        ...

    def explore(self, observation: Tensor, noise: Tensor, experienced: int) -> Tensor:
        """Actions in the agent's units, given noise (n, any) and the environment steps so far."""
        ...

    def to_env(self, action: Tensor) -> Tensor:
        """Actions in the environment's units."""
        ...

    def exploration(self, experienced: int) -> dict[str, float]:
        """How much it explores by now, to be logged."""
        ...


class Replay(Experience):
    r"""Acts ``act_steps`` steps in each environment a cycle; draws ``turns`` batches of the past.

    The batches of a cycle are drawn together, with replacement, after it has acted: one draw of
    indices, one gather a column. All streams (phases) of a cycle get the same batch for the same
    number. At first the agent acts until there are ``warmup`` transitions.

    All ranks hold the whole ring: each acts in its own environments and the parts are joined, so
    that batches do not depend on how many ranks there are.

    Args:
        agent: It acts.
        environment: This rank's environments.
        seed: Of the run.
        ranks: This process among the others.
        capacity: Transitions kept; the oldest are written over.
        batch_size: Transitions in a batch, over all ranks.
        warmup: Transitions before the first batch.
        act_steps: Steps in each environment a cycle.
        turns: Batches a cycle: gradient steps on it.
        gamma: Discount.
        n_step: Rewards that a transition sums up; fewer at the end of an episode.
        hold: Steps for which the noise of an environment stays what it is.
        priorities: How transitions are preferred; None for all alike.
        ahead: Maps the ``next`` of all of a cycle's batches (turns x n, \*shape) to what the loss
            needs of them, where that does not change within a cycle.
        seen: Told of the observations (n, \*shape) that a cycle met, before it learns.

    Raises:
        ConfigError: A number is out of its range.
    """

    def __init__(
        self,
        agent: Explorer,
        environment: Environment,
        seed: int,
        ranks: Ranks,
        *,
        capacity: int,
        batch_size: int,
        warmup: int,
        act_steps: int,
        turns: int,
        gamma: float,
        n_step: int = 1,
        hold: int = 1,
        priorities: Priorities | None = None,
        ahead: Callable[[Tensor], Tensor] | None = None,
        seen: Callable[[Tensor], None] | None = None,
    ) -> None:
        self.agent, self.environment, self.seed, self.ranks = agent, environment, seed, ranks
        self.batch_size, self.warmup, self.act_steps = batch_size, warmup, act_steps
        self.turns, self.gamma, self.n_step, self.hold = turns, gamma, n_step, hold
        self.n, self.first = agent.environments, agent.environments * ranks.rank // ranks.world
        _check(capacity, batch_size, warmup, act_steps, turns, n_step, hold, environments=self.n)
        self.ring, self.priorities = Ring(capacity), priorities
        self.ahead, self.seen = ahead, seen
        self.experienced, self.gained, self.cycle = 0, 0, -1
        self.log = EpisodeLog(self.n)
        self.observation = environment.reset()
        self._tail: dict[str, Tensor] = {}
        self._batches: list[dict[str, Tensor]] = []

    def next(self, k: int, model: Any, *, stream: int = 0) -> TransitionBatch:
        """This rank's share of global batch k; the first of a cycle makes the agent act."""
        cycle, turn = divmod(k, self.turns)
        if cycle != self.cycle:
            self._act(cast(Explorer, model), cycle)
            self.cycle, self._batches = cycle, []
        if not self._batches:  # also where a run is resumed within a cycle
            self._draw(cycle)
        first, last = self._rows
        noise = Noise((self.seed, _LOSS + stream, k), first, last - first)
        return TransitionBatch(context=Context(), noise=noise, moments=None, **self._batches[turn])

    # -- acting -----------------------------------------------------------------------------

    @torch.no_grad()
    def _act(self, agent: Explorer, cycle: int) -> None:
        steps = max(self.act_steps, -(-(self.warmup - self.experienced) // self.n))
        found = self._walk(agent, cycle, steps)
        found = {key: self.ranks.join(v, dim=1) for key, v in found.items()}
        self.log.take(found["reward"], found["terminated"] | found["truncated"])
        self.gained = steps * self.n
        self.experienced += self.gained
        found["reward"] = found["reward"].to(agent.dtype)
        device = agent.device  # to find it a model is walked through
        found = {key: v.to(device) for key, v in found.items()}
        if self.seen is not None:
            self.seen(found["x"].flatten(0, 1))
        self._keep(found)

    def _walk(self, agent: Explorer, cycle: int, steps: int) -> dict[str, Tensor]:
        """Steps of this rank's environments, each (steps, n, ...)."""
        own = slice(self.first, self.first + self.environment.n)
        device = agent.device
        noise = self._noise(agent, cycle, steps)[:, own].to(device)
        seen, did, met = [], [], []
        for t in range(steps):
            x = self.observation.to(device)
            action = agent.explore(x, noise[t], self.experienced + t * self.n)
            step: Step = self.environment.step(agent.to_env(action).cpu())
            seen.append(self.observation)
            did.append(action)
            met.append(step)
            self.observation = step.observation
        return {
            "x": torch.stack(seen),
            "action": torch.stack(did).cpu(),
            "reward": torch.stack([s.reward for s in met]),
            "terminated": torch.stack([s.terminated for s in met]),
            "truncated": torch.stack([s.truncated for s in met]),
            "next": torch.stack([s.next for s in met]),
        }

    def _noise(self, agent: Explorer, cycle: int, steps: int) -> Tensor:
        """Noise of all environments (steps, n, ...), each number of it held for a while."""
        if self.hold == 1:
            return agent.noise((steps, self.n), generator(self.seed, _ACTING, cycle))
        place = torch.arange(self.n)
        # Environments change their noise at different times: else all would do so at once.
        clock = self.experienced // self.n + torch.arange(steps)[:, None]
        window = (clock + place * self.hold // self.n) // self.hold
        first, last = int(window.min()), int(window.max())
        drawn = [
            agent.noise((self.n,), generator(self.seed, _HOLDING, w))
            for w in range(first, last + 1)
        ]
        return torch.stack(drawn)[window - first, place]

    def _keep(self, found: dict[str, Tensor]) -> None:
        """Write transitions; those of the last steps grow to span the new ones."""
        known = len(self._tail["reward"]) if self._tail else 0
        if known:
            found = {key: torch.cat([self._tail[key], v]) for key, v in found.items()}
        done = found["terminated"] | found["truncated"]
        reward, last, discount = n_step_returns(
            found["reward"], done, found["terminated"], gamma=self.gamma, n=self.n_step
        )
        following = found["next"]
        if self.n_step > 1:
            following = following[last, torch.arange(self.n, device=last.device)]
        rows = {
            "x": found["x"], "action": found["action"], "reward": reward,
            "next": following, "discount": discount,
        }  # fmt: skip
        place = self.ring.write(
            {key: v.flatten(0, 1) for key, v in rows.items()}, again=known * self.n
        )
        if self.priorities is not None:
            self.priorities.add(place)
        if self.n_step > 1:
            self._tail = {key: v[-(self.n_step - 1) :].clone() for key, v in found.items()}

    def passed(self, interval: int) -> bool:
        """Whether a multiple of so many environment steps was reached in this cycle."""
        return (self.experienced - self.gained) // interval < self.experienced // interval

    # -- drawing ----------------------------------------------------------------------------

    @property
    def _rows(self) -> tuple[int, int]:
        size, rank, world = self.batch_size, self.ranks.rank, self.ranks.world
        return size * rank // world, size * (rank + 1) // world

    @torch.no_grad()
    def _draw(self, cycle: int) -> None:
        """Draw the batches of a cycle, and cut this rank's share of each."""
        g, shape = generator(self.seed, _SAMPLING, cycle), (self.turns, self.batch_size)
        if self.priorities is None:
            index, weight = torch.randint(self.ring.size, shape, generator=g), None
        else:
            index, weight = self.priorities.draw(shape, g, self.ring.size, self.experienced)
        first, last = self._rows
        if last - first < self.batch_size:
            index = index[:, first:last].contiguous()
            weight = None if weight is None else weight[:, first:last]
        columns = self.ring.take(index)
        reward = columns["reward"]
        columns["index"] = index
        columns["weight"] = torch.ones_like(reward) if weight is None else weight.to(reward)
        if self.ahead is not None:
            found = self.ahead(columns["next"].flatten(0, 1))
            columns["ahead"] = found.unflatten(0, index.shape)
        names = tuple(columns)
        cut = zip(*(columns[name].unbind(0) for name in names), strict=True)
        self._batches = [dict(zip(names, parts, strict=True)) for parts in cut]

    def learn(self, error: Tensor) -> None:
        """Prefer transitions by the errors of this rank's share of a cycle's batches (turns, n)."""
        assert self.priorities is not None, "all transitions are drawn alike"
        index = torch.stack([columns["index"] for columns in self._batches])
        error, index = self.ranks.join(error.cpu(), dim=1), self.ranks.join(index, dim=1)
        self.priorities.learn(index.flatten(), error.flatten())

    # -- telling and saving -----------------------------------------------------------------

    def statistics(self) -> dict[str, float]:
        """Returns and lengths of the episodes that ended since the last call; the exploration."""
        return self.log.statistics() | self.agent.exploration(self.experienced)

    def state_dict(self) -> dict[str, Any]:
        """Environments, the filled part of the ring, counters."""
        return {
            "environment": self.environment.state_dict(),
            "observation": self.observation,
            "experienced": self.experienced,
            "cycle": self.cycle,
            "ring": self.ring.state_dict(),
            "tail": dict(self._tail),
            "priorities": None if self.priorities is None else self.priorities.state_dict(),
            "log": self.log.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there; environments that cannot are begun anew."""
        self.environment.load_state_dict(state["environment"])
        exact, device = self.environment.exact, self.agent.device
        self.observation = state["observation"] if exact else self.environment.reset()
        self._tail = {key: v.to(device) for key, v in state["tail"].items()} if exact else {}
        self.experienced, self.cycle = state["experienced"], state["cycle"]
        self._batches = []
        self.ring.load_state_dict(state["ring"], device)
        if self.priorities is not None:
            self.priorities.load_state_dict(state["priorities"])
        self.log.load_state_dict(state["log"])


def _check(
    capacity: int,
    batch_size: int,
    warmup: int,
    act_steps: int,
    turns: int,
    n_step: int,
    hold: int,
    *,
    environments: int,
) -> None:
    """Refuse numbers that make no replay, in one sentence."""
    least = {
        "environments": environments, "batch_size": batch_size, "act_steps": act_steps,
        "turns": turns, "n_step": n_step, "hold": hold, "warmup": warmup,
    }  # fmt: skip
    for name, value in least.items():
        if value < 1:
            raise ConfigError(f"{name} must be 1 or more, got {value}")
    needs = {
        "batch_size": batch_size,
        "warmup, in whole steps of all environments": -(-warmup // environments) * environments,
        "(act_steps + n_step) x environments": (act_steps + n_step) * environments,
    }
    for name, value in needs.items():
        if capacity < value:
            raise ConfigError(f"capacity {capacity} is below {name}, which is {value}")
