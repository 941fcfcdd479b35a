"""Tabular methods as agents: the same trainings, runs, commands and reports as all others."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

from phosphene.core.agent import Agent, Experience
from phosphene.core.batch import Batch
from phosphene.core.environment import Environment
from phosphene.core.phase import Phase, Step
from phosphene.core.ranges import Count
from phosphene.core.settings import setting, values_of
from phosphene.core.subject import Ranks
from phosphene.decision.settings import DiscountSettings
from phosphene.decision.tabular.learner import Learner
from phosphene.decision.tabular.schedules import Schedule

__all__ = ["Rate", "TableAgent", "TableExperience"]

Rate = float | str
"""A number, or a schedule: ``linear:1:0.05:500episodes``, ``harmonic:1:0.8visits``."""


class TableAgent(DiscountSettings, Agent):
    """An agent that keeps a value for every state and action.

    It acts in one environment; where that has a table of transitions the learner runs natively, and
    in any other with countable observations step by step. Several processes learn the same thing
    each: a table is not shared.

    Args:
        spec: Of an environment whose observations are numbers of states, with discrete actions.

    Raises:
        EventError: Observations or actions cannot be counted.
    """

    method = ""
    """A name of :data:`~phosphene.decision.tabular.learner.METHODS`."""
    environments = 1
    shared = False

    alpha: Rate = setting(
        default=0.5, help="Step size in (0, 1], or a schedule such as ``harmonic:1:0.8visits``."
    )
    epsilon: Rate = setting(
        default=0.1,
        help="Probability of an action drawn from all, or ``linear:1:0.05:500episodes``.",
    )
    temperature: Rate | None = setting(
        default=None, help="Explore by softmax instead, p(a) ~ exp(Q / temperature)."
    )
    initial: float = setting(
        default=0.0, help="Initial value of Q; high values make the agent try every action."
    )
    steps: Count = setting(
        default=500, help="Environment steps in a cycle of the trainer, between two log lines."
    )

    def setup(self) -> None:
        """Make the table."""
        super().setup()
        actions, states = self.need_discrete(), self.spec.states
        if states is None:
            self.refuse("a table needs observations that are numbers of states")
        told = values_of(self)
        self.learning = {name: told[name] for name in told if name not in ("spec", "steps")}
        # Refuses settings that it cannot take now, not when training begins.
        Learner(_Nowhere(states, actions), self.method, **self.learning)
        self.table: Tensor
        self.register_buffer("table", torch.zeros(states, actions, dtype=torch.float64))

    def experience(self, environment: Environment, seed: int, ranks: Ranks) -> "TableExperience":
        """A learner in that environment."""
        source = environment if hasattr(environment, "mdp") else _OneByOne(environment)
        return TableExperience(Learner(source, self.method, seed=seed, **self.learning), self.steps)

    def phases(self) -> Sequence[Phase]:
        """No gradients: the source learns as it acts, and the phase takes the table over."""
        return [Phase("table", [], update=self.take_over)]

    def take_over(self, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Keep what the learner has found; tell how far the table moved."""
        moved = (batch.x - self.table).abs().max()
        self.table.copy_(batch.x)
        return {"moved": moved}

    def choose(
        self,
        observation: Tensor,
        *,
        greedy: bool = True,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The first of the best actions; or a draw, epsilon-greedy with the least epsilon."""
        best = self.table[observation.long().flatten()].argmax(1)
        if greedy:
            return best
        given = self.learning.get("epsilon", 0.0)
        epsilon = Schedule.parse(given).bounds[0] if isinstance(given, str) else float(given)
        u = torch.rand(len(best), generator=generator)
        other = torch.randint(self.table.shape[1], (len(best),), generator=generator)
        return torch.where(u < epsilon, other, best)

    def state_values(self, states: Tensor) -> Tensor:
        """max_a Q(s, a) of states (n, 1): (n,)."""
        return self.table[states.long().flatten()].amax(1)


class TableExperience(Experience):
    """A learner as a source: a cycle takes ``steps`` steps, and its batch is the table.

    Args:
        learner: It acts and learns.
        steps: Environment steps in a cycle.
    """

    batch_size = 1

    def __init__(self, learner: Learner, steps: int) -> None:
        self.learner, self.steps, self.cycle, self.told = learner, steps, -1, 0

    @property
    def experienced(self) -> int:
        """Environment steps so far."""
        return self.learner.steps

    def next(self, k: int, model: Any, *, stream: int = 0) -> Batch:
        """The table after cycle k."""
        if k != self.cycle:
            self.learner.advance(self.steps)
            self.cycle = k
        return Batch.of(self.learner.q)

    def statistics(self) -> dict[str, float]:
        """Mean return and length of the episodes since the last call."""
        new = min(self.learner.episodes - self.told, len(self.learner.returns))
        self.told = self.learner.episodes
        found = {"episodes": float(self.told)}
        if new:
            found["return"] = float(self.learner.returns[-new:].mean())
            found["length"] = float(self.learner.lengths[-new:].double().mean())
        return found

    def state_dict(self) -> dict[str, Any]:
        """All of the learner."""
        return {"learner": self.learner.state_dict(), "told": self.told}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.learner.load_state_dict(state["learner"])
        self.told = state["told"]


class Discrete:
    """A number of choices, by the name that gymnasium gives it."""

    def __init__(self, n: int) -> None:
        self.n = n


class _Nowhere:
    """An environment with finite spaces and no dynamics, to check settings with."""

    spec = None

    def __init__(self, states: int, actions: int) -> None:
        self.observation_space, self.action_space = Discrete(states), Discrete(actions)

    def reset(self, *, seed: int | None = None) -> tuple[int, dict[str, Any]]:
        raise NotImplementedError

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        raise NotImplementedError


class _OneByOne(_Nowhere):
    """One of our environments with gymnasium's interface, for the learner's step-by-step way."""

    def __init__(self, environment: Environment) -> None:
        assert environment.n == 1, "a table learns in one environment"
        states = cast(int, environment.spec.states)
        super().__init__(states, cast(int, environment.spec.actions))
        self.environment = environment
        self._observation: Tensor | None = None  # of the episode that has begun by itself

    def reset(self, *, seed: int | None = None) -> tuple[int, dict[str, Any]]:
        if self._observation is None:
            self._observation = self.environment.reset()
        state = int(self._observation)
        self._observation = None
        return state, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        found = self.environment.step(torch.tensor([action]))
        terminated, truncated = bool(found.terminated), bool(found.truncated)
        if terminated or truncated:
            self._observation = found.observation
        return int(found.next), float(found.reward), terminated, truncated, {}
