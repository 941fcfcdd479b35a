"""Experience in whole episodes, for agents that learn after an episode has ended."""

from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from phosphene.core.agent import Experience
from phosphene.core.batch import Batch, Noise
from phosphene.core.context import Context
from phosphene.core.environment import Environment
from phosphene.core.rng import generator
from phosphene.core.subject import Ranks
from phosphene.decision.deep.actor_critic import ActorCritic
from phosphene.decision.deep.episode_log import EpisodeLog

__all__ = ["EpisodeBatch", "WholeEpisodes"]

_ACTING = 1  # a stream of random numbers
_CHUNK = 64  # time steps whose noise is drawn at once: nobody knows how long an episode will be


@dataclass
class EpisodeBatch(Batch):
    r"""Whole episodes, one a row, T steps long; ``x`` are the observations (n, T, \*shape).

    Args:
        action: What was done, in the policy's units (n, T) or (n, T, d).
        lived: Where the episode had not ended before (n, T), bool; the rest is padding.
        credit: What the log-probability of an action is multiplied by (n, T); 0 in the padding.
        target: What was earned from there on, discounted (n, T).
    """

    action: Tensor = field(default_factory=lambda: torch.zeros(0))
    lived: Tensor = field(default_factory=lambda: torch.zeros(0))
    credit: Tensor = field(default_factory=lambda: torch.zeros(0))
    target: Tensor = field(default_factory=lambda: torch.zeros(0))


class Judges(Protocol):
    """How an agent turns rewards into credit for actions."""

    def credit(self, x: Tensor, reward: Tensor, lived: Tensor) -> tuple[Tensor, Tensor]:
        r"""Credits and targets (n, T), of observations (n, T, \*shape) and rewards (n, T)."""
        ...


class WholeEpisodes(Experience):
    """One episode in each environment, played to its end by the present policy; then the next.

    Environments whose episode has ended wait for the others: they take action 0, and what they meet
    is not learned from. To take the first episodes that end instead would prefer short ones.
    Waiting costs steps, and ``experienced`` counts them.

    All ranks hold all episodes: each acts in its own environments, for as long as anybody's episode
    lasts, and the parts are joined.

    Args:
        agent: It acts, and turns rewards into credit.
        environment: This rank's environments.
        seed: Of the run.
        ranks: This process among the others.
        turns: Batches that are asked for before there are new episodes; all are the same.
        longest: Episodes are left there, of environments that set no limit themselves.
    """

    def __init__(
        self,
        agent: ActorCritic,
        environment: Environment,
        seed: int,
        ranks: Ranks,
        *,
        turns: int,
        longest: int,
    ) -> None:
        self.environment, self.seed, self.ranks, self.turns = environment, seed, ranks, turns
        self.longest = environment.spec.limit or longest
        self.n, self.first = agent.environments, agent.environments * ranks.rank // ranks.world
        self.batch_size = self.n
        self.experienced, self.iteration = 0, -1
        self.log = EpisodeLog(self.n)
        self._pending: tuple[int, Tensor, Tensor] | None = None
        self._columns: dict[str, Tensor] = {}

    def next(self, k: int, model: Any, *, stream: int = 0) -> EpisodeBatch:
        """This rank's share of global batch k; the first of an iteration makes the agent act."""
        if k // self.turns != self.iteration:
            self._act(cast(ActorCritic, model), k // self.turns)
        rank, world = self.ranks.rank, self.ranks.world
        first, last = self.n * rank // world, self.n * (rank + 1) // world
        noise = Noise((self.seed, 1 + stream, k), first, last - first)
        own = {key: v[first:last] for key, v in self._columns.items()}
        return EpisodeBatch(context=Context(), noise=noise, moments=None, **own)

    @torch.no_grad()
    def _act(self, agent: ActorCritic, iteration: int) -> None:
        self._standardize(agent)
        found = {key: self.ranks.join(v, dim=1) for key, v in self._play(agent, iteration).items()}
        self._note(found["reward"], found["lived"])
        self.experienced += found["lived"].numel()
        rows = {key: v.transpose(0, 1).contiguous() for key, v in found.items()}
        x, reward, lived = (rows[key].to(agent.device) for key in ("x", "reward", "lived"))
        x = x * lived.view(*lived.shape, *[1] * (x.ndim - 2))  # padding is the same for any ranks
        credit, target = cast(Judges, agent).credit(x, reward, lived)
        self._columns = {
            "x": x, "index": torch.arange(self.n), "action": rows["action"].to(agent.device),
            "lived": lived, "credit": credit, "target": target,
        }  # fmt: skip
        if agent.eyes.scale is not None:
            seen = x[lived]
            self._pending = (len(seen), seen.mean(0), seen.var(0, correction=0))
        self.iteration = iteration

    def _play(self, agent: ActorCritic, iteration: int) -> dict[str, Tensor]:
        """This rank's episodes (T, n, ...), with T the length of the longest of all ranks."""
        observation, n = self.environment.reset(), self.environment.n
        alive = torch.ones(n, dtype=torch.bool)
        rows: list[tuple[Tensor, ...]] = []
        while len(rows) < self.longest and bool(alive.any()):
            t = len(rows)
            if t % _CHUNK == 0:
                noise = self._noise(agent, iteration, t // _CHUNK)
            drawn = agent.explore(observation.to(agent.device), noise[t % _CHUNK]).cpu()
            action = torch.where(alive.view(-1, *[1] * (drawn.ndim - 1)), drawn, 0)
            step = self.environment.step(self._to_env(agent, action))
            rows.append((observation, action, step.reward * alive, alive))
            alive, observation = alive & ~step.done, step.observation
        mine = torch.tensor([len(rows)], device=agent.device)
        wait = int(self.ranks.join(mine).max()) - len(rows)
        for _ in range(wait):  # so that the environments are where they would be in one process
            self.environment.step(self._to_env(agent, torch.zeros_like(action)))
        columns = [torch.stack(column) for column in zip(*rows, strict=True)]
        padded = [torch.cat([v, v.new_zeros(wait, *v.shape[1:])]) for v in columns]
        return dict(zip(("x", "action", "reward", "lived"), padded, strict=True))

    def _noise(self, agent: ActorCritic, iteration: int, chunk: int) -> Tensor:
        own = slice(self.first, self.first + self.environment.n)
        numbers = generator(self.seed, _ACTING, iteration, chunk)
        return agent.noise((_CHUNK, self.n), numbers)[:, own].to(agent.device)

    @staticmethod
    def _to_env(agent: ActorCritic, action: Tensor) -> Tensor:
        return agent.to_env(action.to(agent.device)).cpu()

    def _note(self, reward: Tensor, lived: Tensor) -> None:
        ends = lived & ~torch.cat([lived[1:], torch.zeros_like(lived[:1])])
        self.log.take(reward, ends)
        self.log.clock.zero_()  # all begin anew; waiting is no part of an episode

    def _standardize(self, agent: ActorCritic) -> None:
        """Take the last episodes into the scale: within an iteration the scale stands still."""
        if self._pending is not None and agent.eyes.scale is not None:
            agent.eyes.scale.merge(*self._pending)
        self._pending = None

    def statistics(self) -> dict[str, float]:
        """Returns and lengths of the episodes that ended since the last call."""
        return self.log.statistics()

    def state_dict(self) -> dict[str, Any]:
        """Environments, and what the scale has not taken in yet; every iteration begins anew."""
        return {
            "environment": self.environment.state_dict(),
            "experienced": self.experienced,
            "pending": None if self._pending is None else list(self._pending),
            "log": self.log.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.environment.load_state_dict(state["environment"])
        self.experienced = state["experienced"]
        self._pending = None if state["pending"] is None else tuple(state["pending"])
        self.log.load_state_dict(state["log"])
        self.iteration = -1
