"""A replay on toys: environments whose observations say where they are, and agents that explore."""

import threading

import torch

from phosphene.core.environment import EnvSpec, Step
from phosphene.core.event import Event
from phosphene.core.subject import Alone
from phosphene.decision.deep.replay import Replay


class Clockwork:
    """Observations are (environment, episode, step); episodes end when a draw says so.

    Args:
        n: How many.
        seed: Of the ends of episodes.
        first: The number of the first among all.
        exact: Whether the state can be saved.
    """

    spec = EnvSpec("clockwork", Event.real(3), actions=5)

    def __init__(self, n=3, seed=0, first=0, exact=True):
        self.n, self.seed, self.first, self.exact = n, seed, first, exact
        self.episode, self.clock = torch.zeros(n), torch.zeros(n)
        self.time = 0

    def observe(self):
        place = torch.arange(self.first, self.first + self.n).float()
        return torch.stack([place, self.episode, self.clock], 1)

    def reset(self):
        if self.time:
            self.episode = self.episode + 100  # begun anew: no observation is met twice
            self.clock = torch.zeros(self.n)
        return self.observe()

    def step(self, action):
        g = torch.Generator().manual_seed(self.seed * 10_000 + self.time)
        u = torch.rand(64, generator=g)[self.first : self.first + self.n]
        self.time += 1
        reward = reward_of(self.observe(), action)
        self.clock = self.clock + 1
        following = self.observe()
        terminated, truncated = u < 0.1, (u >= 0.1) & (u < 0.2)
        over = terminated | truncated
        self.episode = self.episode + over
        self.clock = torch.where(over, 0.0, self.clock)
        return Step(self.observe(), reward, terminated, truncated, following)

    def state_dict(self):
        if not self.exact:
            return {}
        return {"episode": self.episode, "clock": self.clock, "time": self.time}

    def load_state_dict(self, state):
        if self.exact:
            self.episode, self.clock, self.time = state["episode"], state["clock"], state["time"]
        else:
            self.time = 1


def reward_of(observation, action):
    """What clockwork pays: whole numbers, of which float32 sums are exact."""
    return observation[:, 0] * 3 + observation[:, 1] + observation[:, 2] * 7 + action


class Curious:
    """Explores by its noise alone, and notes how many steps it was told of."""

    def __init__(self, environments=3):
        self.environments = environments
        self.device, self.dtype = torch.device("cpu"), torch.float32
        self.told = []

    def noise(self, shape, generator):
        return torch.rand(*shape, 1, generator=generator)

    def explore(self, observation, noise, experienced):
        self.told.append(experienced)
        return (noise[:, 0] * 5).long()

    def to_env(self, action):
        return action

    def exploration(self, experienced):
        return {"curiosity": experienced / 2}


def replay(environments=3, *, environment=None, ranks=None, seed=0, **settings):
    """A replay of clockwork."""
    given = {
        "capacity": 60, "batch_size": 8, "warmup": 10, "act_steps": 4, "turns": 2, "gamma": 0.5,
    }  # fmt: skip
    return Replay(
        Curious(environments), environment or Clockwork(environments), seed, ranks or Alone(),
        **{**given, **settings},
    )  # fmt: skip


class Together:
    """Ranks that are threads: each waits for the other's part."""

    def __init__(self, rank, shared):
        self.rank, self.world, self.shared = rank, 2, shared

    def join(self, value, dim=0):
        parts, barrier = self.shared
        parts[self.rank] = value
        barrier.wait()
        joined = torch.cat([parts[0], parts[1]], dim)
        barrier.wait()
        return joined


def by_two(work):
    """What ``work(ranks)`` gives on each of two ranks."""
    shared, found = ({}, threading.Barrier(2, timeout=20)), {}

    def run(rank):
        found[rank] = work(Together(rank, shared))

    threads = [threading.Thread(target=run, args=(rank,)) for rank in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found[0], found[1]
