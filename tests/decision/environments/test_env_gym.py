"""Environments with gymnasium's methods: spaces, episodes, seeds, processes, pictures, states."""

import os
import signal
import sys

import numpy as np
import pytest
import torch

from phosphene.core.event import Event
from phosphene.decision.environments.gym import GymEnvironment
from phosphene.decision.environments.pixels import Pixels
from phosphene.decision.environments.table import make, spec

gymnasium = pytest.importorskip("gymnasium")
Box, Discrete = gymnasium.spaces.Box, gymnasium.spaces.Discrete
FIELDS = ("observation", "reward", "terminated", "truncated", "next")


class Counting(gymnasium.Env):
    """Sees (steps, start, last action); ends after ``length`` steps, is cut at ``cut``."""

    observation_space = Box(-1e3, 1e3, (3,))
    action_space = Discrete(4, start=2)

    def __init__(self, length=6, cut=99, state=False):
        self.length, self.cut = length, cut
        if state:
            self.get_state, self.set_state = self._get, self._set

    def _get(self):
        return {"seen": self.seen.copy(), "generator": self.np_random.bit_generator.state}

    def _set(self, state):
        self.seen = state["seen"].copy()
        self.np_random.bit_generator.state = state["generator"]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seen = np.array([0, self.np_random.integers(100), 0], np.float32)
        return self.seen.copy(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.seen = self.seen + np.array([1, 0, 0], np.float32)
        self.seen[2] = action
        count = int(self.seen[0])
        return self.seen.copy(), 0.5 * count, count == self.length, count == self.cut, {}


class Camera(gymnasium.Env):
    """A picture whose every pixel is the number of the step; color (height, width, 3)."""

    observation_space = Box(0, 255, (12, 16, 3), np.uint8)
    action_space = Box(np.array([-1.0, 0.0]), np.array([1.0, 2.0]), dtype=np.float64)
    metadata = {"render_modes": ["rgb_array"]}
    render_mode = "rgb_array"

    def _picture(self):
        return np.full((12, 16, 3), (self.count, 2 * self.count, 3 * self.count), np.uint8)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 10
        return self._picture(), {}

    def step(self, action):
        self.count += 1
        return self._picture(), float(action[1]), self.count == 17, False, {}

    def render(self):
        return self._picture()


def test_same_step_autoreset_and_action_numbers():
    environment = GymEnvironment(Counting, 3, seed=5)
    assert environment.spec.actions == 4
    assert environment.spec.limit is None
    first = environment.reset()
    starts = first[:, 1].clone()
    assert len(set(starts.tolist())) > 1
    for k in range(1, 20):
        step = environment.step(torch.tensor([0, 1, 3]))
        at = (k - 1) % 6 + 1
        assert step.next[:, 0].tolist() == [at] * 3
        assert step.next[:, 2].tolist() == [2, 3, 5]  # the space's actions begin at 2
        assert step.reward.tolist() == [0.5 * at] * 3
        assert step.terminated.tolist() == [at == 6] * 3
        assert not bool(step.truncated.any())
        assert torch.equal(step.next[:, 1], starts)
        if at == 6:
            assert step.observation[:, 0].tolist() == [0] * 3
            starts = step.observation[:, 1].clone()
        else:
            assert torch.equal(step.observation, step.next)
    assert torch.equal(environment.observe(), step.observation)


def test_both_kinds_of_limits():
    inner = GymEnvironment(lambda: Counting(cut=4), 1)
    wrapped = GymEnvironment(lambda: gymnasium.wrappers.TimeLimit(Counting(), 4), 1)
    assert wrapped.spec.limit == 4
    for environment in (inner, wrapped):
        environment.reset()
        steps = [environment.step(torch.tensor([0])) for _ in range(8)]
        assert [bool(step.truncated) for step in steps] == [False, False, False, True] * 2
    both = GymEnvironment(lambda: gymnasium.wrappers.TimeLimit(Counting(), 6), 1)
    both.reset()
    last = [both.step(torch.tensor([0])) for _ in range(6)][-1]
    assert bool(last.terminated)
    assert bool(last.truncated)  # as gymnasium says it


@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1?g=9.81", "FrozenLake-v1"])
def test_a_registered_one_is_gymnasiums(name):
    """Beside gymnasium.make with the same seed and actions, over several episodes."""
    from phosphene.core.rng import mix

    environment = make(name, 2, seed=3, first=4, native=False)
    base, _, query = name.partition("?")
    given = {"g": 9.81} if query else {}
    peers = [gymnasium.make(base, **given) for _ in range(2)]
    seen = environment.reset()
    for i, peer in enumerate(peers):
        first, _ = peer.reset(seed=mix(3, 4 + i, 0) % 2**31)
        assert np.array_equal(np.atleast_1d(first), seen[i].numpy())
    generator = torch.Generator().manual_seed(0)
    for _ in range(250):
        if environment.spec.discrete:
            action = torch.randint(environment.spec.actions, (2,), generator=generator)
        else:
            action = torch.rand(2, 1, generator=generator)
        step = environment.step(action)
        for i, peer in enumerate(peers):
            one = int(action[i]) if action[i].ndim == 0 else action[i].numpy()
            after, reward, terminated, truncated, _ = peer.step(one)
            assert np.array_equal(np.atleast_1d(after), step.next[i].numpy())
            assert step.reward[i] == np.float32(reward)
            assert [bool(step.terminated[i]), bool(step.truncated[i])] == [terminated, truncated]
            if terminated or truncated:
                after, _ = peer.reset()
            assert np.array_equal(np.atleast_1d(after), step.observation[i].numpy())
    assert environment.spec.limit == gymnasium.spec(base).max_episode_steps


def play(environment, steps, seed=0):
    generator, n = torch.Generator().manual_seed(seed), environment.n
    out = [environment.reset()]
    for _ in range(steps):
        step = environment.step(torch.randint(environment.spec.actions, (n,), generator=generator))
        out += [getattr(step, field) for field in FIELDS]
    return out


def test_parts_and_processes_meet_the_same_episodes():
    whole = play(GymEnvironment(Counting, 5, seed=2), 20)
    for workers in (2, 3, 9):
        environment = GymEnvironment(Counting, 5, seed=2, workers=workers)
        try:
            again = play(environment, 20)
        finally:
            environment.close()
        assert all(torch.equal(a, b) for a, b in zip(whole, again, strict=True))
    part = GymEnvironment(Counting, 2, seed=2, first=3)
    assert torch.equal(part.reset(), whole[0][3:])


def test_processes_draw_and_save_too():
    environment = GymEnvironment(lambda: Counting(state=True), 4, seed=1, workers=2)
    try:
        environment.reset()
        for _ in range(3):
            environment.step(torch.tensor([0, 1, 2, 3]))
        saved = environment.state_dict()
        assert environment.exact
        assert len(saved["state"]) == 4
        expected = [environment.step(torch.tensor([0, 1, 2, 3])) for _ in range(9)]
    finally:
        environment.close()
    resumed = GymEnvironment(lambda: Counting(state=True), 4, seed=1)
    resumed.load_state_dict(saved)
    for step in expected:
        again = resumed.step(torch.tensor([0, 1, 2, 3]))
        assert all(torch.equal(getattr(step, f), getattr(again, f)) for f in FIELDS)
    cameras = GymEnvironment(Camera, 3, workers=2)
    try:
        cameras.reset()
        assert cameras.render(2).shape == (12, 16, 3)
    finally:
        cameras.close()


def test_processes_end_with_the_environment():
    environment = GymEnvironment(Counting, 2, workers=2)
    processes = [worker._process for worker in environment._workers]
    assert all(process.is_alive() for process in processes)
    for process in processes:  # Ctrl-C at the terminal reaches all of them
        os.kill(process.pid, signal.SIGINT)
    environment.reset()
    environment.close()
    assert not any(process.is_alive() for process in processes)


def test_without_states_a_resumed_run_begins_the_next_episodes():
    environment = GymEnvironment(Counting, 2, seed=7)
    environment.reset()
    for _ in range(9):  # in the second episode
        environment.step(torch.tensor([0, 0]))
    assert not environment.exact
    saved = environment.state_dict()
    resumed, other = (GymEnvironment(Counting, 2, seed=7) for _ in range(2))
    for one in (resumed, other):
        one.load_state_dict(saved)
    first = resumed.observe()
    assert torch.equal(first, other.reset())
    assert first[:, 0].tolist() == [0, 0]
    assert resumed.state_dict()["episode"].tolist() == [2, 2]
    assert not torch.equal(first, GymEnvironment(Counting, 2, seed=7).reset())


# Spaces and pictures


class Showing(gymnasium.Env):
    """Any observation space."""

    action_space = Discrete(2)

    def __init__(self, space):
        self.observation_space = space

    def reset(self, *, seed=None, options=None):
        self.observation_space.seed(seed)
        self.last = self.observation_space.sample()
        return self.last, {}

    def step(self, action):
        return self.observation_space.sample(), 0.0, False, False, {}


@pytest.mark.parametrize(
    ("space", "event"),
    [
        (Box(-1, 1, (5,)), Event.real(5)),
        (Box(-1, 1, (5,), np.float64), Event.real(5)),
        (Box(0, 255, (128,), np.uint8), Event.real(128)),
        (Box(0, 255, (48, 64, 3), np.uint8), Event.image(3, (48, 64))),
        (Box(0, 255, (4, 84, 84), np.uint8), Event.image(4, 84)),
        (Box(0, 255, (20, 30), np.uint8), Event.image(1, (20, 30))),
        (Box(0, 1, (10, 10, 7), np.bool_), Event.image(7, 10, levels=2)),
        (Discrete(7), Event.tokens(1, 7)),
        (Discrete(7, start=-3), Event.tokens(1, 7)),
    ],
)
def test_spaces_that_are_events(space, event):
    environment = GymEnvironment(lambda: Showing(space), 2)
    assert environment.spec.observation == event
    first = environment.reset()
    event.check(first)
    raw = environment._block.environments[1].last
    if event.kind == "tokens":
        assert int(first[1]) == int(raw) - space.start
        assert first.dtype is torch.int64
    elif event.has_image_shape:
        assert first.dtype is torch.uint8
        moved = raw if raw.ndim == 2 or event.shape == raw.shape else np.moveaxis(raw, -1, 0)
        assert np.array_equal(first[1].numpy().squeeze(), moved.squeeze())
    else:
        assert first.dtype is torch.float32
        np.testing.assert_allclose(first[1].numpy(), raw, rtol=1e-6)


def test_continuous_actions_arrive_as_they_are():
    environment = GymEnvironment(Camera, 2)
    assert (environment.spec.low, environment.spec.high) == ((-1.0, 0.0), (1.0, 2.0))
    environment.reset()
    step = environment.step(torch.tensor([[0.0, 0.25], [0.0, 1.75]]))
    assert step.reward.tolist() == [0.25, 1.75]


SCRIPT = """
import gymnasium, numpy as np
class Camera(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, 255, (12, 16, 3), np.uint8)
    action_space = gymnasium.spaces.Discrete(2)
    def reset(self, *, seed=None, options=None):
        self.count = 10
        return self.picture(), {}
    def step(self, action):
        self.count += 1
        return self.picture(), 1.0, self.count == 17, False, {}
    def picture(self):
        color = (self.count, 2 * self.count, 3 * self.count)
        return np.full((12, 16, 3), color, np.uint8)
"""


def test_gray_small_stacked_and_skipped(tmp_path, monkeypatch):
    """What is seen of a camera whose pixels count steps."""
    (tmp_path / "my_cameras.py").write_text(SCRIPT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    name = "my_cameras:Camera?gray=true&size=6x8&stack=3&skip=2"
    assert spec(name).observation == Event.image(3, (6, 8))
    environment = make(name, 2)
    luma = lambda count: round(count * (0.299 + 2 * 0.587 + 3 * 0.114))  # noqa: E731
    first = environment.reset()
    assert first.shape == (2, 3, 6, 8)
    assert torch.equal(first, torch.full_like(first, luma(10)))
    step = environment.step(torch.tensor([0, 0]))
    assert step.reward.tolist() == [2.0, 2.0]
    assert step.next[0, :, 0, 0].tolist() == [luma(10), luma(10), luma(12)]
    step = environment.step(torch.tensor([0, 0]))
    step = environment.step(torch.tensor([0, 0]))
    assert step.next[0, :, 0, 0].tolist() == [luma(12), luma(14), luma(16)]
    step = environment.step(torch.tensor([0, 0]))  # ends after one of its two steps
    assert step.reward.tolist() == [1.0, 1.0]
    assert bool(step.terminated.all())
    assert step.next[0, :, 0, 0].tolist() == [luma(14), luma(16), luma(17)]
    assert torch.equal(step.observation, first)
    del sys.modules["my_cameras"]


def test_scaling_takes_means():
    picture = np.arange(2 * 4 * 6, dtype=np.uint8).reshape(2, 4, 6)
    small = Pixels(size=(2, 3))(picture)
    means = picture.reshape(2, 2, 2, 3, 2).mean((2, 4))
    assert small.shape == (2, 2, 3)
    assert np.abs(small - means).max() <= 0.5
    red = np.zeros((3, 2, 2), np.uint8)
    red[0] = 200
    assert Pixels(gray=True)(red).tolist() == [[[60, 60], [60, 60]]]


def test_a_limit_counts_the_steps_of_the_agent():
    assert make("MountainCar-v0?skip=4", native=False).spec.limit == 50
    environment = make("MountainCar-v0?skip=4&limit=3", 1, native=False)
    environment.reset()
    steps = [environment.step(torch.tensor([1])) for _ in range(3)]
    assert [bool(step.truncated) for step in steps] == [False, False, True]
    assert [float(step.reward) for step in steps] == [-4.0] * 3
    assert make("MountainCar-v0?limit=0", native=False).spec.limit is None


@pytest.mark.parametrize("name", ["LunarLander-v3", "CarRacing-v3?gray=true&size=48&stack=2"])
def test_box2d(name):
    pytest.importorskip("Box2D")
    environment = make(name, 2, seed=0)
    seen = environment.reset()
    environment.spec.observation.check(seen)
    low = environment.spec.low
    action = torch.tensor([low, low]) if low else torch.zeros(2, dtype=torch.int64)
    step = environment.step(action)
    environment.spec.observation.check(step.next)
    pytest.importorskip("pygame")
    assert environment.render(1).shape[2] == 3
    environment.close()


def test_mujoco():
    pytest.importorskip("mujoco")
    environment = make("Hopper-v5", 2, seed=0)
    environment.reset()
    step = environment.step(torch.zeros(2, 3))
    assert step.next.shape == (2, 11)
    assert environment.spec.limit == 1000


def test_atari():
    pytest.importorskip("ale_py")
    environment = make("ALE/Breakout-v5?gray=true&size=84&stack=4", 1, seed=0)
    assert environment.spec.observation == Event.image(4, 84)
    environment.reset()
    assert environment.step(torch.tensor([1])).next.float().mean() > 1
    environment.close()
