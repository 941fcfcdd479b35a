"""Environments that are not there, cannot be used, or fail; actions that are none."""

import os
import signal
import sys

import numpy as np
import pytest
import torch

from phosphene.core.errors import (
    ConfigError,
    DataError,
    PhospheneError,
    RunError,
    UnknownNameError,
)
from phosphene.decision.environments.gym import BrokenEnvironmentError, GymEnvironment
from phosphene.decision.environments.pixels import NoPictureError
from phosphene.decision.environments.table import make, spec
from phosphene.decision.environments.vectorized import VectorEnvironment
from phosphene.kernels.library import forced

gymnasium = pytest.importorskip("gymnasium")
spaces = gymnasium.spaces


def refused(call, kind, *parts):
    """It raises one sentence of this kind that holds all parts."""
    with pytest.raises(PhospheneError) as caught:
        call()
    text = str(caught.value)
    assert type(caught.value) is kind, text
    assert "\n" not in text
    for part in parts:
        assert part in text
    return text


# Names and options


@pytest.mark.parametrize("call", [make, spec])
def test_unknown_names_and_the_nearest(call):
    refused(lambda: call("CartPol-v1"), UnknownNameError, "'CartPol-v1'", "'CartPole-v1'?")
    refused(lambda: call("cartpole"), UnknownNameError, "did you mean 'CartPole-v1'?")
    refused(lambda: call("LunarLandr-v3"), UnknownNameError, "'LunarLander-v3'?")
    refused(lambda: call("Ctach"), UnknownNameError, "'Catch'?")
    refused(lambda: call("LunarLander-v9"), UnknownNameError, "'LunarLander-v3'?")
    refused(lambda: call("Taxi-v3"), ConfigError, "Taxi-v4")
    refused(lambda: call("Nobody/Game-v1"), ConfigError, "'Nobody'", "module:NAME")


def test_the_names_suggested_are_clean():
    text = refused(lambda: make("qqqq"), UnknownNameError, "Catch", "Hopper-v5")
    assert "phys2d" not in text
    assert "GymV21" not in text
    assert "Hopper-v4" not in text


def test_native_or_nothing():
    refused(lambda: make("LunarLander-v3", native=True), UnknownNameError, "native environment")


@pytest.mark.parametrize(
    ("name", "kind", "parts"),
    [
        ("CartPole-v1?limt=3", UnknownNameError, ("limt", "'limit'?")),
        ("CartPole-v1?limit=-1", ConfigError, ("limit", "0 (for none) or more", "-1")),
        ("CartPole-v1?limit=ten", ConfigError, ("limit", "a whole number", "'ten'")),
        ("CartPole-v1?sutton_barto_reward=maybe", ConfigError, ("true or false", "'maybe'")),
        ("CartPole-v1:x", ConfigError, ("options after '?'", "':x'")),
        ("Pendulum-v1?g=heavy", ConfigError, ("a number", "'heavy'")),
        ("Catch?rows=1", ConfigError, ("rows", "2 or more", "got 1")),
        ("Catch?colums=4", UnknownNameError, ("'columns'?",)),
        ("FrozenLake-v1?map_name=9x9", UnknownNameError, ("'9x9'", "4x4, 8x8")),
        ("FrozenLake-v1?success_rate=2", ConfigError, ("probability", "2.0")),
        ("grid:", ConfigError, ("needs a map",)),
        ("grid:cliffs", UnknownNameError, ("'cliffs'", "'cliff'?")),
        ("grid:./none.txt", DataError, ("./none.txt", "does not exist")),
        ("grid:cliff?slip=0.8", ConfigError, ("slip",)),
        ("LunarLander-v3?gravty=-3", UnknownNameError, ("'gravity'?",)),
        ("MountainCar-v0?skip=0", UnknownNameError, ("skip", "goal_velocity, limit")),
        ("Acrobot-v1?speed=3", UnknownNameError, ("speed", "limit")),
        ("os:getcwd", ConfigError, ("str", "observation_space")),
        ("no_such_module_x:make", ConfigError, ("no_such_module_x", "cannot be imported")),
        ("json:no_such", ConfigError, ("json has no 'no_such'",)),
        ("json:__name__", ConfigError, ("no function",)),
    ],
)
def test_options_that_cannot_be(name, kind, parts):
    if name.startswith("LunarLander"):
        pytest.importorskip("Box2D")
    refused(lambda: make(name), kind, *parts)


@pytest.mark.parametrize(
    ("query", "parts"),
    [
        ("skip=0", ("skip", "1 or more")),
        ("stack=0", ("stack", "1 or more")),
        ("size=big", ("84 or 64x96", "'big'")),
        ("size=0", ("84 or 64x96", "'0'")),
        ("limit=-3", ("limit", "-3")),
        ("gray=true", ("for pictures", "real 2")),
        ("stack=4", ("for pictures", "real 2")),
    ],
)
def test_adjustments_that_cannot_be(query, parts):
    refused(lambda: make(f"MountainCar-v0?{query}", native=False), ConfigError, *parts)


def test_files_that_are_no_maps(tmp_path):
    path = tmp_path / "maze.txt"
    path.write_bytes(b"\xff\xfe\x00S")
    refused(lambda: make(f"grid:{path}"), DataError, "maze.txt", "as text")
    path.write_text("S.G\n..\n")
    refused(lambda: make(f"grid:{path}"), ConfigError, "maze.txt", "line 2")
    path.write_text("S.G\n.x.\n")
    refused(lambda: make(f"grid:{path}"), ConfigError, "maze.txt", "'x'")


def test_counts():
    for n in (0, -3):
        refused(lambda n=n: make("CartPole-v1", n), ConfigError, f"n={n}")
        refused(lambda n=n: make("FrozenLake-v1", n), ConfigError, f"n={n}")
        refused(lambda n=n: make("CartPole-v1", n, native=False), ConfigError, "n must be 1")
    refused(lambda: make("LunarLander-v3", 2, workers=0), ConfigError, "workers", "0")


# Packages that are missing


def without(monkeypatch, *modules):
    for name in list(sys.modules):
        if name.partition(".")[0] in modules or name in modules:
            monkeypatch.delitem(sys.modules, name)
    for name in modules:
        monkeypatch.setitem(sys.modules, name, None)


def test_without_gymnasium(monkeypatch):
    without(monkeypatch, "gymnasium")
    assert make("CartPole-v1").spec.limit == 500
    assert make("FrozenLake-v1").spec.states == 16
    for name in ("LunarLander-v3", "Taxi-v4"):
        refused(lambda name=name: make(name), ConfigError, "pip install 'phosphene[rl]'")


@pytest.mark.parametrize(
    ("name", "module", "prefix", "command"),
    [
        ("LunarLander-v3", "Box2D", "gymnasium.envs.box2d", "pip install 'phosphene[box2d]'"),
        ("Hopper-v5", "mujoco", "gymnasium.envs.mujoco", "pip install 'phosphene[mujoco]'"),
        ("ALE/Pong-v5", "ale_py", "ale_py", "pip install ale-py"),
    ],
)
def test_without_what_some_need(monkeypatch, name, module, prefix, command):
    for loaded in [key for key in sys.modules if key.startswith(prefix)]:
        monkeypatch.delitem(sys.modules, loaded)
    without(monkeypatch, module)
    refused(lambda: make(name), ConfigError, name, command)


# Actions


@pytest.mark.parametrize("backend", ["auto", "off"])
@pytest.mark.parametrize("native", [None, False])
def test_actions_that_are_none(backend, native):
    with forced(backend):
        cart, swing = make("CartPole-v1", 3, native=native), make("Pendulum-v1", 2, native=native)
    for environment in (cart, swing):
        environment.reset()
    step = cart.step
    refused(lambda: step(torch.tensor([0, 2, 1])), ConfigError, "0..1", "got 2", "environment 1")
    refused(lambda: step(torch.tensor([0, 0, -1])), ConfigError, "got -1 for environment 2 of 3")
    refused(lambda: step(torch.tensor([0, 1])), ConfigError, "shape (3,)", "(2,)")
    refused(lambda: step(torch.tensor([0.0, 1, 0])), ConfigError, "whole numbers", "float32")
    refused(lambda: step(torch.tensor([True, False, True])), ConfigError, "whole", "bool")
    nan = torch.tensor([[0.0], [float("nan")]])
    refused(lambda: swing.step(nan), ConfigError, "finite", "nan", "environment 1")
    refused(lambda: swing.step(torch.zeros(2)), ConfigError, "shape (2, 1)", "(2,)")
    step(torch.tensor([0, 1, 1]))  # what was refused has changed nothing


@pytest.mark.parametrize("backend", ["auto", "off"])
def test_a_refused_step_changes_nothing(backend):
    with forced(backend):
        environment = make("CartPole-v1", 3)
    environment.reset()
    assert isinstance(environment, VectorEnvironment)
    before = environment.state
    refused(lambda: environment.step(torch.tensor([0, 1, 5])), ConfigError, "got 5")
    assert np.array_equal(before, environment.state)


@pytest.mark.parametrize("name", ["CartPole-v1", "FrozenLake-v1", "LunarLander-v3"])
def test_a_step_before_the_first_episode(name):
    if name == "LunarLander-v3":
        pytest.importorskip("Box2D")
    environment = make(name, 2)
    refused(lambda: environment.step(torch.tensor([0, 0])), ConfigError, name, "reset()")
    refused(lambda: environment.render(2), ConfigError, "0..1", "got index 2")


@pytest.mark.parametrize("native", [None, False])
def test_states_of_another_number(native):
    for name in ("CartPole-v1", "FrozenLake-v1"):
        saved = make(name, 3, native=native)
        saved.reset()
        other = make(name, 2, native=native)
        refused(lambda o=other, s=saved: o.load_state_dict(s.state_dict()), RunError, name, "3")
        refused(lambda o=other: o.load_state_dict({}), RunError, name)


# Spaces


class Plain(gymnasium.Env):
    """Fails in ways that are chosen."""

    def __init__(self, seen=None, acted=None, fail=None):
        self.observation_space = spaces.Box(-1, 1, (2,)) if seen is None else seen
        self.action_space = spaces.Discrete(2) if acted is None else acted
        self.fail, self.count = fail or {}, 0

    def reset(self, *, seed=None, options=None):
        self.count = 0
        return self.fail.get("first", np.zeros(2, np.float32)), {}

    def step(self, action):
        self.count += 1
        if self.count < 3:
            return np.zeros(2, np.float32), 0.0, False, False, {}
        return self.fail["step"]()


@pytest.mark.parametrize(
    ("space", "name"),
    [
        (spaces.Dict({"a": spaces.Discrete(2), "b": spaces.Text(3)}), "Dict("),
        (spaces.Tuple((spaces.Sequence(spaces.Discrete(2)),)), "Tuple("),
        (spaces.Text(3), "Text("),
        (spaces.Box(-1, 1, (0,)), "Box("),
    ],
)
def test_observations_that_are_no_events(space, name):
    refused(
        lambda: GymEnvironment(lambda: Plain(seen=space), name="mine"),
        ConfigError,
        "mine has the observation space",
        name,
        "gymnasium.wrappers.TransformObservation",
    )


@pytest.mark.parametrize(
    ("space", "parts"),
    [
        (spaces.MultiBinary(13), ("MultiBinary(13)", "8,192 combinations", "4,096")),
        (spaces.Box(-np.inf, 1, (2,)), ("not bounded", "TransformAction")),
        (spaces.Box(-3e38, 3e38, (2,)), ("not bounded",)),
        (spaces.Tuple([spaces.Discrete(2), spaces.Box(0, 1)]), ("by choices or by a bounded Box",)),
        (spaces.Text(3), ("Text(", "TransformAction")),
    ],
)
def test_actions_that_are_not_ours(space, parts):
    refused(lambda: GymEnvironment(lambda: Plain(acted=space)), ConfigError, *parts)


# Failures


def broken(fail, workers=None):
    environment = GymEnvironment(lambda: Plain(fail=fail), 2, name="mine", workers=workers)
    environment.reset()
    for _ in range(2):
        environment.step(torch.tensor([0, 1]))
    return environment


def raises():
    raise KeyError("no\nsuch joint")


def answers(observation=(0, 0), reward=0.0):
    return lambda: (np.array(observation, np.float32), reward, False, False, {})


@pytest.mark.parametrize("workers", [None, 2])
@pytest.mark.parametrize(
    ("fail", "parts"),
    [
        (raises, ("KeyError", "such joint")),
        (answers(reward=float("nan")), ("the reward is nan",)),
        (answers(reward=float("inf")), ("the reward is inf",)),
        (answers(reward=None), ("TypeError", "NoneType")),
        (answers((0, float("nan"))), ("component 1 of the observation is nan",)),
        (answers((0, 0, 0)), ("shape (3,)", "(2,)")),
        (lambda: (np.zeros(2), 0.0, True, {}), ("5", "terminated, truncated", "returned 4")),
        (lambda: None, ("must return", "NoneType")),
    ],
)
def test_failures_in_the_middle(fail, parts, workers):
    environment = broken({"step": fail}, workers)
    act = lambda: environment.step(torch.tensor([0, 0]))  # noqa: E731
    refused(act, BrokenEnvironmentError, "mine failed in episode 0, step 3", *parts)
    environment.reset()  # and it can be used again
    environment.step(torch.tensor([0, 0]))
    environment.close()


def test_failures_at_the_beginning():
    def first():
        return GymEnvironment(lambda: Plain(fail={"first": np.full(2, np.nan)}), name="mine")

    refused(lambda: first().reset(), BrokenEnvironmentError, "episode 0, step 0", "nan")

    def cannot():
        raise OSError("no\ndisk")

    refused(lambda: GymEnvironment(cannot), ConfigError, "cannot", "OSError: no disk")
    refused(lambda: GymEnvironment(lambda: 3, name="mine"), ConfigError, "mine made int")


def test_a_process_that_dies():
    environment = broken({"step": answers()}, workers=2)
    os.kill(environment._workers[1]._process.pid, signal.SIGKILL)
    act = lambda: [environment.step(torch.tensor([0, 0])) for _ in range(2)]  # noqa: E731
    refused(act, BrokenEnvironmentError, "mine", "has ended", "-9")
    environment.close()


def test_what_draws_nothing():
    environment = GymEnvironment(Plain, 1)
    refused(environment.render, NoPictureError, "Plain", "render")
