"""Environments of a user's own: what leaves the agent, what is told apart, what is drawn."""

import copy
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import phosphene as ph
from phosphene.core.environment import EnvSpec, called, env_is_own
from phosphene.core.errors import ConfigError, PhospheneError
from phosphene.core.event import Event
from phosphene.decision.deep.actor_critic import Bounds
from phosphene.decision.environments.gym import GymEnvironment
from phosphene.decision.environments.pixels import as_picture
from phosphene.decision.environments.spaces import acting_of, seeing_of
from phosphene.decision.environments.table import make
from phosphene.subjects.environment.playing import film, random_returns

gymnasium = pytest.importorskip("gymnasium")
spaces = gymnasium.spaces


class Six(gymnasium.Env):
    """Six steps; it paints what step it is."""

    observation_space = spaces.Box(-1, 1, (2,), np.float32)
    action_space = spaces.Discrete(2)
    metadata = {"render_modes": ["rgb_array"]}
    render_mode = None
    length = 6

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.t += 1
        return np.zeros(2, np.float32), 1.0, self.t >= self.length, False, {}

    def render(self):
        return np.full((8, 12, 3), 10 * self.t, np.uint8)


class One(Six):
    length = 1


class Knob(Six):
    """Refuses what lies outside of its bounds, which float32 cannot hold exactly."""

    action_space = spaces.Box(-0.1, 0.1, (1,), np.float64)

    def step(self, action):
        assert self.action_space.contains(action), f"{action!r} is outside"
        return super().step(action)


class Plain:
    """No base class, no render, no close."""

    observation_space = spaces.Box(-1, 1, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, seed=None, options=None):
        self.t = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.t += 1
        return np.zeros(2, np.float32), 1.0, self.t > 5, False, {}


def one_sentence(call, *parts):
    with pytest.raises(PhospheneError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    for part in parts:
        assert part in text, text
    return text


# Actions


def test_actions_lie_within_2000_random_boxes():
    """Those of every agent go through these two; the ends of [-1, 1] and what is beyond them."""
    rng = np.random.default_rng(0)
    share = torch.cat([torch.linspace(-1, 1, 9), torch.tensor([-7.0, 7.0, 1 - 2**-24])])
    for k in range(2000):
        kind = (np.float16, np.float32, np.float64)[k % 3]
        d = int(rng.integers(1, 4))
        low = rng.normal(0, 10.0 ** rng.integers(-3, 3), d).astype(kind)
        high = (low + np.abs(rng.normal(0, 10.0 ** rng.integers(-3, 3), d))).astype(kind)
        if k % 50 == 0:
            high = low.copy()  # a box of one point, which may be no number of float32
        space = spaces.Box(low, high, dtype=kind)
        acting = acting_of(space, "mine")
        bounds = Bounds(EnvSpec("mine", Event.real(1), low=acting.low, high=acting.high))
        for action in acting(bounds.to_env(share[:, None].expand(-1, d)).numpy()):
            assert action.dtype == kind
            assert space.contains(action), f"{action!r} is outside {space}"


@pytest.mark.parametrize("system", ["ppo", "sac", "a2c", "reinforce"])
def test_every_agent_with_continuous_actions_keeps_to_the_bounds(system, tmp_path):
    model = {"hidden": (8,), "environments": 2}
    run = ph.train(system, env=Knob, budget="300steps", folder=tmp_path, threads=1, model={
        **model, **({"steps": 16, "batch_size": 16} if system == "ppo" else {}),
    })  # fmt: skip
    assert ph.evaluate(run, episodes=3)["return_mean"].value == 6.0
    assert random_returns(Knob, 3).tolist() == [6.0] * 3


def test_actions_of_ones_own_beyond_the_bounds_arrive_as_they_are():
    acting = acting_of(spaces.Box(-0.1, 0.1, (1,), np.float64), "mine")
    assert acting(np.array([[0.2], [0.1]], np.float32))[0] == np.float32(0.2)
    assert acting(np.array([[0.2], [0.1]], np.float32))[1] == 0.1


# Compound spaces


def sampled(space, n=50):
    space.seed(0)
    return [space.sample() for _ in range(n)]


@pytest.mark.parametrize(
    ("space", "event"),
    [
        (spaces.Tuple([spaces.Discrete(32), spaces.Discrete(11, start=2)]), Event.tokens(1, 352)),
        (spaces.MultiDiscrete([3, 4]), Event.tokens(1, 12)),
        (spaces.Dict(a=spaces.Discrete(3), b=spaces.Discrete(2)), Event.tokens(1, 6)),
        (spaces.MultiDiscrete([100, 200]), Event.real(300)),
        (spaces.MultiBinary((2, 2)), Event.real(4)),
        (spaces.Dict(a=spaces.Box(-1, 1, (2, 3)), b=spaces.Discrete(4)), Event.real(10)),
        (spaces.Tuple([spaces.Dict(p=spaces.Box(0, 255, (2, 2, 3), np.uint8))]), Event.real(12)),
        (spaces.Box(-1, 1, (2, 2)), Event.real(4)),
        (spaces.Box(-1, 1, ()), Event.real(1)),
    ],
)
def test_observations_of_several_parts(space, event):
    seeing = seeing_of(space, "mine")
    assert seeing.event == event
    seen = [seeing(raw) for raw in sampled(space)]
    assert all(x.shape == event.shape for x in seen)
    event.check(torch.from_numpy(np.stack(seen).astype(seen[0].dtype)))
    assert len({x.tobytes() for x in seen}) > 3


def test_states_of_a_tuple_are_told_apart():
    space = spaces.Tuple([spaces.Discrete(3), spaces.Discrete(2, start=5)])
    seeing = seeing_of(space, "mine")
    found = [int(seeing((a, b))[0]) for a in range(3) for b in (5, 6)]
    assert found == list(range(6))
    with pytest.raises(ValueError, match=r"\[1\] is 7"):
        seeing((0, 7))


@pytest.mark.parametrize(
    "space",
    [
        spaces.MultiDiscrete([3, 2, 4]),
        spaces.MultiDiscrete([3, 2], start=[1, -1]),
        spaces.MultiBinary(5),
        spaces.MultiBinary((2, 2)),
        spaces.Tuple([spaces.Discrete(3), spaces.Discrete(2, start=4)]),
        spaces.Dict(a=spaces.Discrete(3), b=spaces.MultiBinary(2)),
        spaces.Box(-1, 2, (2,), np.int16),
    ],
)
def test_every_combination_of_an_action_is_one_choice(space):
    acting = acting_of(space, "mine")
    written = acting(np.arange(acting.actions))
    assert all(space.contains(action) for action in written)
    assert len({repr(action) for action in written}) == acting.actions


# Modules


@pytest.mark.parametrize(
    ("text", "name", "parts"),
    [
        (None, "gone:make", ("no module 'gone'",)),
        (None, "gone.deep:make", ("no module 'gone'",)),
        ("import not_there_at_all", "mine:make", ("imports 'not_there_at_all'", "not installed")),
        ("\n1 / 0", "mine:make", ("raises ZeroDivisionError", "line 2")),
        ("raise SystemExit('bye')", "mine:make", ("raises SystemExit: bye",)),
        ("def (:", "mine:make", ("raises SyntaxError",)),
        ("def make(): pass", "mine:maek", ("has no 'maek'", "'make'?")),
        ("make = 3", "mine:make", ("no function or class",)),
        ("def make(): return None", "mine:make", ("made NoneType", "no reset, no step")),
        ("class Half:\n def reset(self, seed=None): pass", "mine:Half", ("no step, no obs",)),
        ("class Half:\n def __init__(self, a): pass", "mine:Half", ("cannot be made", "'a'")),
        ("import gymnasium as g\nclass H(g.Env):\n observation_space = g.spaces.Discrete(2)\n"
         " action_space = g.spaces.Discrete(2)\n def reset(self, seed=None): pass",
         "mine:H", ("made H, which is no environment: it has no step",)),
        ("import gymnasium as g\nclass H:\n observation_space = g.spaces.Discrete(2)\n"
         " action_space = g.spaces.Discrete(2)\n def reset(self): pass\n def step(self, a): pass",
         "mine:H", ("whose reset takes no seed",)),
        ("", "mine:Game-v0", ("unknown environment 'Game-v0'",)),
    ],
)  # fmt: skip
def test_faults_of_a_module_are_told_apart(text, name, parts, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    if text is not None:
        (tmp_path / "mine.py").write_text(text)
    one_sentence(lambda: make(name), *parts)


def test_a_module_registers_its_environments(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    text = Path(__file__).read_text().partition("\n# Actions\n")[0].partition("def one_sentence")[0]
    text += "gymnasium.register('Own/Six-v0', entry_point='registering:Six', max_episode_steps=4)"
    (tmp_path / "registering.py").write_text(text)
    for workers in (None, 2):
        environment = make("registering:Own/Six-v0", 2, workers=workers)
        assert environment.spec.limit == 4
        environment.reset()
        environment.close()


# Objects


def function():
    return Six()


@pytest.mark.parametrize(
    "env",
    [
        Six, function, Six(), Plain, Plain(),
        gymnasium.make("CartPole-v1"),
        gymnasium.vector.SyncVectorEnv([function] * 3),
        gymnasium.make_vec("CartPole-v1", num_envs=3),
        lambda: gymnasium.vector.SyncVectorEnv([function] * 3),
    ],
    ids=lambda env: called(env) + type(env).__name__,
)  # fmt: skip
def test_whatever_makes_an_environment_is_taken(env):
    environment = GymEnvironment(env, 2)
    environment.reset()
    step = environment.step(torch.tensor([0, 1]))
    assert step.reward.tolist() == [1.0, 1.0]
    environment.close()


def test_vector_environments_that_are_wrapped_together_are_refused():
    inner = gymnasium.make_vec("CartPole-v1", num_envs=2)
    wrapped = gymnasium.wrappers.vector.ClipReward(inner, 0, 1)
    one_sentence(lambda: GymEnvironment(wrapped), "2 environments", "makes one of them")


def test_what_cannot_be_copied_is_refused():
    class Held(Six):
        def __deepcopy__(self, memo):
            raise TypeError("it holds a device")

    one_sentence(lambda: GymEnvironment(Held()), "cannot be copied", "a device", "its class")


def test_names_of_what_is_handed_over():
    assert called(Six) == f"{__name__}:Six"
    assert not env_is_own(Six)
    assert called(Six()) == "Six"
    assert env_is_own(Six())
    assert called(gymnasium.make("CartPole-v1")) == "CartPole-v1"
    assert env_is_own(copy.deepcopy) is False


# Films


def trained(env, folder):
    model = {"environments": 2, "steps": 16, "batch_size": 16, "hidden": (4,)}
    return ph.train("ppo", env=env, budget="64steps", folder=folder, threads=1, model=model)


def test_a_film_begins_with_the_first_frame_and_holds_every_episode(tmp_path):
    for kind, episodes, shown in ((Six, 1, [0, 1, 2, 3, 4, 5]), (One, 3, [0, 0, 0])):
        found = film(trained(kind, tmp_path / kind.__name__), episodes=episodes)
        assert (found.frames[:, 0, 0, 0] // 10).tolist() == shown
        assert len(found.returns) == episodes


@pytest.mark.parametrize(
    ("drawn", "code"),
    [
        (np.full((4, 5), 200, np.uint8), 200),
        (np.full((4, 5, 1), 7, np.int64), 7),
        (np.full((4, 5, 4), 90, np.uint8), 90),
        (np.full((4, 5, 3), 0.2, np.float32), 51),
        (np.full((4, 5, 3), 300.0), 255),
        (np.full((4, 5, 3), np.nan), 0),
        (np.ones((4, 5, 3), bool), 255),
        ([np.zeros((4, 5, 3), np.uint8), np.full((4, 5, 3), 9, np.uint8)], 9),
    ],
)
def test_frames_of_any_kind_are_pictures(drawn, code):
    picture = as_picture(drawn)
    assert picture.shape == (4, 5, 3)
    assert picture.dtype == np.uint8
    assert picture.tolist()[0][0] == [code] * 3


@pytest.mark.parametrize(
    "drawn", [None, "a text", np.zeros((3, 4, 5)), np.zeros(3), [], [[1], [2, 3]]]
)
def test_what_is_no_picture(drawn):
    assert as_picture(drawn) is None


class Growing(Six):
    def render(self):
        return np.full((4 + self.t, 12 - self.t), 0.5)


def test_frames_that_change_their_size_make_a_film(tmp_path):
    assert film(trained(Growing, tmp_path)).frames.shape == (6, 9, 12, 3)


# As a script


SCRIPT = """
import numpy as np, phosphene as ph
from gymnasium import spaces

class Here:
    observation_space = spaces.Box(-1, 1, (2,), np.float32)
    action_space = spaces.Discrete(2)
    def reset(self, seed=None, options=None):
        self.t = 0
        return np.zeros(2), {}
    def step(self, action):
        self.t += 1
        return np.zeros(2), 1.0, self.t > 5, False, {}

run = ph.train("ppo", env=Here, budget="64steps", threads=1, name="here",
               model={"environments": 2, "steps": 16, "batch_size": 16, "hidden": (4,)})
print(ph.evaluate(run, episodes=2)["return_mean"].value)
print(ph.evaluate("runs/here", env=Here, episodes=2)["return_mean"].value)
try:
    ph.evaluate("runs/here")
except ph.PhospheneError as error:
    print(error)
"""


def test_a_class_of_a_script(tmp_path, monkeypatch, capsys):
    """It cannot be imported by name: the run in hand knows it, one that is opened later is told."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "script.py").write_text(SCRIPT)
    runpy.run_path("script.py", run_name="__main__")
    first, second, refusal = capsys.readouterr().out.splitlines()[-3:]
    assert (first, second) == ("6.0", "6.0")
    assert "an environment of somebody's own, called 'Here'" in refusal


def test_config_error_is_what_these_are():
    with pytest.raises(ConfigError):
        make("gone:make")
