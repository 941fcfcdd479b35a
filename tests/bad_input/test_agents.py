"""Agents that meet what they cannot act in, and environments that break."""

import json
import math

import pytest

import phosphene as ph
from phosphene.core.errors import ConfigError, EventError, PhospheneError, UnknownNameError
from phosphene.decision.environments.table import make, spec

gymnasium = pytest.importorskip("gymnasium")


class Fragile(gymnasium.Env):
    """A cart that can be told to raise, or to earn what is no number, at its hundredth step."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,))
    action_space = gymnasium.spaces.Discrete(2)
    fault = "raise"

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.clock = 0
        return self.observation_space.sample() * 0, {}

    def step(self, action):
        self.clock += 1
        reward = 1.0
        if self.clock == 100:
            if self.fault == "raise":
                raise RuntimeError("the motor is on fire")
            reward = math.nan
        return self.observation_space.sample() * 0, reward, False, self.clock >= 300, {}


class Unpaid(Fragile):
    fault = "nan"


def one_sentence(error: PhospheneError) -> str:
    text = str(error)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("name", "words"),
    [("tests.bad_input.test_agents:Fragile", "the motor is on fire"),
     ("tests.bad_input.test_agents:Unpaid", "nan")],
)  # fmt: skip
def test_an_environment_that_breaks_is_named_and_the_run_is_kept(name, words, tmp_path):
    """The error names environment and step; the checkpoint and the weights of before are there."""
    settings = {"environments": 2, "steps": 8, "batch_size": 16, "epochs": 1, "hidden": (8,)}
    common = {"env": name, "folder": tmp_path, "name": "r", "threads": 1, "model": settings}
    with pytest.raises(PhospheneError, match=words) as caught:
        ph.train("ppo", budget="16000steps", **common)
    text = one_sentence(caught.value)
    assert "step" in text
    run = ph.Run(tmp_path / "r")
    assert run.model.act(make(name, 1).reset()).shape == (1,)
    steps = [m["environment_steps"] for m in run.metrics if "environment_steps" in m]
    assert max(steps) >= 176
    assert (tmp_path / "r" / "checkpoint" / "latest").read_text() == "12"
    with pytest.raises(PhospheneError, match=words):  # it goes on from there, to the same fault
        ph.train("ppo", resume=True, budget="16000steps", **common)


def test_misspelt_environments_get_the_nearest():
    with pytest.raises(UnknownNameError, match=r"'CartPol-v1'; did you mean 'CartPole-v1'"):
        spec("CartPol-v1")
    with pytest.raises(PhospheneError, match="LunarLander-v3"):
        spec("LunarLander-v9")


@pytest.mark.parametrize(
    ("system", "env", "words"),
    [
        ("dqn", "Pendulum-v1", "its actions are continuous"),
        ("pqn", "Pendulum-v1", "its actions are continuous"),
        ("sac", "CartPole-v1", "its actions are discrete"),
        ("q-learning", "CartPole-v1", "numbers of states"),
        ("q-learning", "Pendulum-v1", "its actions are continuous"),
    ],
)
def test_action_spaces_that_an_agent_cannot_serve(system, env, words, tmp_path):
    with pytest.raises(EventError, match=words) as caught:
        ph.train(system, env=env, folder=tmp_path, budget="10steps")
    one_sentence(caught.value)
    assert not list(tmp_path.iterdir()), "nothing is written"


def test_agents_and_models_are_not_mixed_up():
    with pytest.raises(ConfigError, match="is built for an EnvSpec"):
        ph.build("ppo", ph.Event.real(4))
    with pytest.raises(ConfigError, match="is built for an Event"):
        ph.build("vae", spec("CartPole-v1"))


def test_more_processes_than_environments(tmp_path, monkeypatch):
    """Found before anything waits for the other processes."""
    from phosphene.subjects.environment.handling import Environments
    from phosphene.subjects.plan import Request
    from phosphene.train.runtime import Runtime

    said = {"name": "r", "folder": tmp_path, "budget": "10steps"}
    ask = Request(system="q-learning", options={"env": "grid:cliff"}, **said)
    plan = Environments().plan(ask)
    runtime = Runtime("cpu")
    runtime.rank, runtime.world = 1, 3
    plan.subject.source(plan, runtime)
    assert plan.subject.environment.n == 1  # tables are learned by each process alone
    few = {"environments": 2, "batch_size": 32}
    plan = Environments().plan(
        Request(system="ppo", options={"env": "CartPole-v1"}, model=few, **said)
    )
    runtime.rank, runtime.world = 0, 3
    with pytest.raises(ConfigError, match="3 processes cannot share 2 environments"):
        plan.subject.source(plan, runtime)


def test_an_agent_is_told_what_it_was_trained_in(tmp_path):
    settings = {"environments": 2, "steps": 8, "batch_size": 16, "epochs": 1}
    run = ph.train("ppo", env="Catch", budget="32steps", folder=tmp_path, name="r", model=settings)
    assert json.loads((run.path / "run.json").read_text())["env"] == "Catch"
    with pytest.raises(PhospheneError, match="was trained in 'Catch', not in 'CartPole-v1'"):
        ph.train("ppo", env="CartPole-v1", folder=tmp_path, name="r", resume=True)
