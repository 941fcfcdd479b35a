"""Five environments of one's own, trained and evaluated from Python and from the command line."""

import json

import numpy as np
import pytest
import torch

import phosphene as ph
from phosphene.cli.main import main
from phosphene.core.event import Event
from phosphene.decision.deep.masks import at_random
from phosphene.decision.environments.gym import GymEnvironment
from phosphene.decision.environments.table import make, spec
from phosphene.decision.playing import play
from phosphene.subjects.environment.playing import random_returns

gymnasium = pytest.importorskip("gymnasium")
spaces = gymnasium.spaces


class Game(gymnasium.Env):
    """Eight steps; 1 for doing what the observation asks for."""

    observation_space = spaces.Discrete(3)
    action_space = spaces.Discrete(3)
    last = 8

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t, self.wanted = 0, int(self.np_random.integers(3))
        return self.shown(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        reward = float(self.meant(action) == self.wanted)
        self.t, self.wanted = self.t + 1, int(self.np_random.integers(3))
        return self.shown(), reward, self.t == self.last, False, {}

    def shown(self):
        return self.wanted

    def meant(self, action):
        return int(action)


class InDict(Game):
    observation_space = spaces.Dict(wanted=spaces.Discrete(3), noise=spaces.Box(-1, 1, (2,)))

    def shown(self):
        noise = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        return {"noise": noise, "wanted": self.wanted}


class InTuple(Game):
    observation_space = spaces.Tuple([spaces.Discrete(3), spaces.Discrete(8, start=1)])

    def shown(self):
        return self.wanted, 1 + min(self.t, 7)


class ByLevers(Game):
    action_space = spaces.MultiDiscrete([2, 2])

    def meant(self, action):
        return int(action.sum())


class Endless(Game):
    last = -1


class Bare:
    """No base class, no registration."""

    observation_space = spaces.Box(0, 2, (1,), np.float32)
    action_space = spaces.Discrete(3)

    def reset(self, seed=None, options=None):
        if seed is not None:
            self.random = np.random.default_rng(seed)
        self.t = 0
        return self.shown(), {}

    def shown(self):
        self.wanted = int(self.random.integers(3))
        return np.array([self.wanted], np.float32)

    def step(self, action):
        reward, self.t = float(action == self.wanted), self.t + 1
        return self.shown(), reward, self.t == 8, False, {}


FIVE = [InDict, InTuple, ByLevers, Endless, Bare]
SETTINGS = {
    "environments": 8, "steps": 32, "epochs": 8, "batch_size": 64, "hidden": (32,), "gamma": 0.0,
}  # fmt: skip


@pytest.mark.parametrize("kind", FIVE, ids=lambda kind: kind.__name__)
def test_they_are_learned(kind, tmp_path):
    """Chance earns a third of the rewards, or a half where two levers do the same."""
    run = ph.train("ppo", env=kind, budget="6000steps", folder=tmp_path, threads=1, model=SETTINGS,
                   train={"lr": 3e-3, "longest_episode": 16})  # fmt: skip
    scores = ph.evaluate(run, episodes=20)
    best = 16 if kind is Endless else 8
    assert scores["return_mean"].value > 0.9 * best
    assert scores["random_return"].value < 0.65 * best
    assert scores["training_steps"].value == 6144
    assert 0 < scores["validation_steps"].value <= 1500
    assert ("cut off after 16" in (scores["return_mean"].note or "")) == (kind is Endless)


@pytest.mark.parametrize("kind", FIVE, ids=lambda kind: kind.__name__)
def test_they_go_through_the_command_line(kind, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--env", f"{__name__}:{kind.__name__}", "--budget", "600steps", "--name", "r"]
    words += ["--model.steps", "16", "--model.batch-size", "32", "--train.longest-episode", "20"]
    assert main(["train", "ppo", *words, "--threads", "1"]) == 0
    told = capsys.readouterr().err
    assert ("sets its episodes no limit" in told) == (spec(kind).limit is None)
    for command in (["evaluate", "--episodes", "3", "--json"], ["report"]):
        assert main([command[0], "r", "--trust", *command[1:]]) == 0
        if command[0] == "evaluate":
            assert json.loads(capsys.readouterr().out)["return_mean"]["value"] >= 0
    assert "No film" in (tmp_path / "runs" / "r" / "report.html").read_text()
    assert main(["play", "r", "--trust"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_table_learns_a_tuple_of_choices(tmp_path):
    run = ph.train("q-learning", env=InTuple, budget="8000steps", folder=tmp_path, threads=1)
    assert run.model.spec.states == 24
    assert ph.evaluate(run, episodes=20)["return_mean"].value == 8.0


# Masks


class Masked(gymnasium.Env):
    """Half of the actions are not allowed at any time, and end the world."""

    observation_space = spaces.Box(0, 1, (2,), np.float32)
    action_space = spaces.Discrete(6)

    def told(self):
        self.mask = np.zeros(6, np.int8)
        self.mask[self.np_random.permutation(6)[:3]] = 1
        return np.zeros(2, np.float32), {"action_mask": self.mask}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self.told()

    def step(self, action):
        assert self.mask[action], f"{action} is not allowed by {self.mask}"
        self.t += 1
        seen, info = self.told()
        return seen, float(action), self.t == 10, False, info


@pytest.mark.parametrize("system", ["ppo", "a2c", "reinforce", "dqn", "deep-q-learning", "pqn"])
@pytest.mark.parametrize("standardize", [False, True])
def test_no_agent_does_what_is_not_allowed(system, standardize, tmp_path):
    settings = {"environments": 4, "hidden": (16,), "standardize": standardize}
    settings |= {"warmup": 64, "capacity": 1000} if "q" in system and system != "pqn" else {}
    settings |= {"steps": 16, "batch_size": 32} if system in ("ppo", "pqn") else {}
    run = ph.train(system, env=Masked, budget="600steps", folder=tmp_path, threads=1,
                   model=settings)  # fmt: skip
    environment = GymEnvironment(Masked, 4)
    assert environment.spec.masked
    assert environment.spec.observation == Event.real(8)
    for greedy in (True, False):
        assert len(play(run.model, environment, 8, greedy=greedy).returns) == 8
    assert len(random_returns(Masked, 8)) == 8
    assert all(np.isfinite(m["loss"]) for m in run.metrics if "loss" in m)


def test_each_allowed_action_is_as_likely_as_another():
    about = spec(Masked)
    x = torch.zeros(6000, 8)
    x[:, [3, 4, 7]] = 1.0
    u = torch.rand(6000, generator=torch.Generator().manual_seed(0))
    counts = torch.bincount(at_random(about, x, u), minlength=6)
    assert counts[[0, 3, 4]].tolist() == [0, 0, 0]
    assert (counts[[1, 2, 5]] - 2000).abs().max() < 150


def test_a_mask_that_allows_nothing_is_refused():
    class None_(Masked):
        def told(self):
            seen, info = super().told()
            return seen, {"action_mask": np.zeros(6, np.int8)} if self.t == 2 else info

    environment = GymEnvironment(None_, 1)
    x = environment.step(environment.reset()[:, 2:].argmax(1)).observation
    with pytest.raises(ph.PhospheneError, match="step 2: the action mask allows no action"):
        environment.step(x[:, 2:].argmax(1))


# Acting


def test_one_observation_and_a_batch_in_numpy_or_torch():
    for name, one in (
        ("CartPole-v1", np.zeros(4)),
        ("FrozenLake-v1", 3),
        ("Pendulum-v1", [0, 1, 0]),
    ):
        system = "q-learning" if name == "FrozenLake-v1" else "ppo"
        agent = ph.build(system, make(name).spec, seed=0)
        batch = agent.act(torch.as_tensor(one, dtype=torch.float32)[None].reshape(1, -1))
        alone = agent.act(one)
        assert isinstance(batch, torch.Tensor)
        assert isinstance(alone, np.ndarray | np.generic)
        assert alone.shape == tuple(batch.shape[1:])
        assert np.array_equal(alone, batch[0].numpy())
        assert agent.act(np.stack([np.atleast_1d(one)] * 3)).shape == (3, *batch.shape[1:])
    with pytest.raises(ph.PhospheneError, match=r"shape \(3,\), or \(n, ...\)"):
        agent.act(np.zeros((2, 5)))
