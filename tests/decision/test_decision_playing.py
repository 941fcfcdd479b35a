"""Episodes are played to their end; those that have none are cut off, and are called unfinished.

A loop that never ends hangs a test as it hangs a user, so an environment gives up after far more
steps than it should be asked for.
"""

from typing import Any

import pytest
import torch
from torch import Tensor

from phosphene.core.agent import Agent
from phosphene.core.environment import EnvSpec, Step
from phosphene.core.event import Event
from phosphene.core.subject import Alone
from phosphene.decision.deep.reinforce import REINFORCE
from phosphene.decision.deep.whole_episodes import WholeEpisodes
from phosphene.decision.playing import play


class Endless:
    """Pays 1 a step; environment i ends its episodes every ``ends[i]`` steps, or never.

    Args:
        ends: For each environment, the length of its episodes; 0 for no end.
        patience: Steps after which it takes the loop for endless.
        limit: What the specification says.
    """

    exact = True

    def __init__(self, ends: tuple[int, ...], patience: int, limit: int | None = None) -> None:
        self.spec = EnvSpec("endless", Event.real(1), actions=2, limit=limit)
        self.n, self.ends, self.patience = len(ends), torch.tensor(ends), patience
        self.clock, self.steps = torch.zeros(self.n, dtype=torch.long), 0

    def reset(self) -> Tensor:
        self.clock = torch.zeros(self.n, dtype=torch.long)
        return self.clock[:, None].float()

    def step(self, action: Tensor) -> Step:
        self.steps += 1
        assert self.steps <= self.patience, "the loop does not end"
        self.clock = self.clock + 1
        after = self.clock[:, None].float()
        over = (self.clock == self.ends) & (self.ends > 0)
        self.clock = torch.where(over, 0, self.clock)
        never = torch.zeros(self.n, dtype=torch.bool)
        return Step(self.clock[:, None].float(), torch.ones(self.n), over, never, after)

    def restart(self, where: Tensor) -> Tensor:
        self.clock = torch.where(where, 0, self.clock)
        return self.clock[:, None].float()

    def state_dict(self) -> dict[str, Any]:
        return {}


class Still(Agent):
    def choose(self, observation: Tensor, *, greedy: bool = True, generator: Any = None) -> Tensor:
        return torch.zeros(len(observation), dtype=torch.long)


def test_an_episode_without_an_end_is_cut_off_and_called_unfinished() -> None:
    environment = Endless((0, 0), patience=60)
    played = play(Still(environment.spec), environment, 4, longest=25)
    assert environment.steps == 50
    assert played.lengths.tolist() == [25] * 4
    assert played.returns.tolist() == [25.0] * 4
    assert not played.terminated.any()


def test_episodes_that_end_keep_their_lengths_beside_one_that_does_not() -> None:
    environment = Endless((3, 0), patience=60)
    played = play(Still(environment.spec), environment, 4, longest=25)
    assert played.lengths.tolist() == [3, 3, 25, 25]
    assert played.terminated.tolist() == [True, True, False, False]


def test_an_episode_that_was_cut_off_begins_anew() -> None:
    """Else the next one would be what is left of it, or end at once."""
    environment = Endless((40, 0), patience=75)
    played = play(Still(environment.spec), environment, 6, longest=25)
    assert played.lengths.tolist() == [25] * 6
    assert environment.steps == 75


def test_a_play_that_may_not_take_more_steps_keeps_what_is_over() -> None:
    environment = Endless((3, 0), patience=60)
    asked: list[int] = []

    def within(steps: int) -> bool:
        asked.append(steps)
        return steps <= 20

    played = play(Still(environment.spec), environment, 4, longest=25, within=within)
    assert not played.complete
    assert played.steps == 20
    assert asked[-1] == 22
    assert played.lengths.tolist() == [3, 3]


def test_an_end_in_the_last_step_is_an_end() -> None:
    played = play(Still(EnvSpec("e", Event.real(1), actions=2)), Endless((25,), 40), 1, longest=25)
    assert played.lengths.tolist() == [25]
    assert played.terminated.tolist() == [True]


def test_by_default_episodes_are_cut_off_too() -> None:
    environment = Endless((0,), patience=10_001)
    played = play(Still(environment.spec), environment, 1)
    assert played.lengths.tolist() == [10_000]


@pytest.mark.parametrize(("limit", "length"), [(None, 12), (20, 20)])
def test_whole_episodes_without_an_end_are_left(limit: int | None, length: int) -> None:
    """An environment's own limit counts where it sets one, and ``longest`` where it does not."""
    environment = Endless((5, 0), patience=60, limit=limit)
    agent = REINFORCE(environment.spec, environments=2, hidden=(4,), longest=12)
    experience = agent.experience(environment, 0, Alone())
    assert isinstance(experience, WholeEpisodes)
    batch = experience.next(0, agent)
    assert batch.lived.sum(1).tolist() == [5, length]
    assert environment.steps == length
    told = experience.statistics()
    assert told.get("episodes", 1) <= 2
