"""Slow environments are stepped by several processes at once."""

import time

import pytest
import torch

from phosphene.decision.environments.table import make

gymnasium = pytest.importorskip("gymnasium")


class Waiting(gymnasium.Env):
    """A step takes some milliseconds in which nothing is computed."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample() * 0, {}

    def step(self, action):
        self.work()
        return self.observation_space.sample() * 0, 1.0, False, False, {}

    def work(self):
        time.sleep(0.02)  # long beside what a busy machine lets a process wait for its turn


class Computing(Waiting):
    """A step takes some milliseconds of a processor."""

    def work(self):
        total = 0
        for i in range(60_000):
            total += i


def seconds(name: str, workers: int | None, rounds: int = 7) -> float:
    environment = make(name, 8, workers=workers)
    environment.reset()
    action = torch.zeros(8, dtype=torch.int64)
    environment.step(action)
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        environment.step(action)
        times.append(time.perf_counter() - begun)
    environment.close()
    return min(times)  # what is waited beside it is not the environments'


def test_waiting_is_shared():
    name = "tests.decision.environments.test_env_workers:Waiting"
    assert seconds(name, None) > 1.5 * seconds(name, 2)


@pytest.mark.slow
def test_both_cores_compute():
    """Where two cores are free, two processes take little more than half of the time."""
    name = "tests.decision.environments.test_env_workers:Computing"
    ratio = seconds(name, None, 15) / seconds(name, 2, 15)
    print(f"two processes: {ratio:.2f} times as fast")
    assert ratio > 1.4
