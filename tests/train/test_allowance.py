"""Validation takes its share of the budget at most, and a listener may end a training."""

import os
import signal

import pytest
import torch

import phosphene as ph
from phosphene.core.errors import ConfigError, RunError
from phosphene.core.progress import Evaluated, Finished, StepEnd, StopTraining, Warned
from phosphene.subjects.environment.judge import Episodes
from phosphene.train.allowance import Allowance, rows_of
from phosphene.train.settings import Budget, TrainSettings

SMALL = {"environments": 4, "steps": 16, "epochs": 1, "batch_size": 64, "hidden": (8,)}


def trained(folder, budget, share=0.25, told=None, **more):
    given = {"system": "ppo", "env": "CartPole-v1", "model": SMALL, **more}
    settings = {"validation_share": share, **given.pop("train", {})}
    return ph.train(
        budget=budget, folder=folder, name="r", threads=1, train=settings,
        listeners=[] if told is None else [told.append], **given,
    )  # fmt: skip


@pytest.mark.parametrize("share", [0.05, 0.25, 1.0])
def test_steps_of_validation_are_a_share_of_those_of_training(share, tmp_path):
    told = []
    run = trained(tmp_path, "3200steps", share, told)
    (end,) = (e for e in told if isinstance(e, Finished))
    assert end.environment_steps == 3200
    assert end.validation_steps <= share * 3200
    judged = [e for e in told if isinstance(e, Evaluated)]
    taken = [e.scores["validation_steps"] for e in judged]
    earned = [share * e.scores["environment_steps"] for e in judged]
    assert all(a <= b for a, b in zip(taken, earned, strict=True))
    if share == 1.0:
        assert len(judged) >= 3
    assert run.metrics[-1]["validation_steps"] == end.validation_steps


class Endless:
    """It never ends."""

    def __init__(self):
        from gymnasium import spaces

        self.observation_space, self.action_space = spaces.Box(-1, 1, (1,)), spaces.Discrete(2)

    def reset(self, seed=None, options=None):
        return torch.zeros(1).numpy(), {}

    def step(self, action):
        return torch.zeros(1).numpy(), 1.0, False, False, {}


def test_an_environment_that_never_ends_does_not_eat_the_budget(tmp_path):
    """Where the share holds no episode of the stated length, the last weights are handed out."""
    pytest.importorskip("gymnasium")
    told = []
    run = trained(tmp_path / "a", "1024steps", told=told, env=Endless)
    (end,) = (e for e in told if isinstance(e, Finished))
    assert end.validation_steps <= 256
    notes = [e.message for e in told if isinstance(e, Warned)]
    assert any("no limit" in note and "1,000 steps" in note for note in notes)
    assert any("holds no validation of the last weights" in note for note in notes)
    assert "best" not in run.weights
    told.clear()
    run = trained(tmp_path / "b", "1024steps", told=told, env=Endless,
                  train={"longest_episode": 20})  # fmt: skip
    assert max(e.scores["length"] for e in told if isinstance(e, Evaluated)) == 20
    assert run.weights[0] == "best"


def test_seconds_of_validation_are_a_share_of_the_budget(tmp_path):
    for system, more in (
        ("ppo", {}),
        ("transformer", {"env": None, "data": "moby-dick", "model": {}, "system": "transformer"}),
    ):
        told = []
        trained(tmp_path / system, "2s", 0.3, told, **{"system": system, **more})
        (end,) = (e for e in told if isinstance(e, Finished))
        assert end.validation_seconds < 0.3 * 2 + 0.5, system
        assert end.seconds < 4


def test_a_run_that_is_stopped_judges_as_one_that_is_not(tmp_path):
    """The share is counted in steps: what is judged is a function of the seed, not of the clock."""
    whole = trained(tmp_path / "whole", "3200steps", 1.0)

    def stop(event):
        if isinstance(event, StepEnd) and event.step == 23:
            os.kill(os.getpid(), signal.SIGINT)

    given = {"env": "CartPole-v1", "folder": tmp_path / "parts", "name": "r", "threads": 1}
    settings = {"validation_share": 1.0}
    ph.train("ppo", budget="3200steps", model=SMALL, train=settings, listeners=[stop], **given)
    parts = ph.train("ppo", resume=True, **given)
    rows = [
        [
            {k: v for k, v in m.items() if k != "seconds"}
            for m in run.metrics
            if "resumed_at" not in m
        ]
        for run in (whole, parts)
    ]
    judged = [[m for m in found if m.get("split") == "validation"] for found in rows]
    assert len(judged[0]) >= 3
    assert judged[0] == judged[1]
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, parts.model.state_dict()[name]), name


def test_a_listener_ends_a_training_and_sees_the_model(tmp_path):
    seen = []

    def listener(event):
        if isinstance(event, StepEnd):
            seen.append(float(next(event.model.parameters()).detach().abs().sum()))
            if event.step == 5:
                raise StopTraining

    run = ph.train("ppo", env="CartPole-v1", budget="60s", folder=tmp_path, threads=1,
                   model=SMALL, listeners=[listener])  # fmt: skip
    assert run.metrics[-1]["finished"] == "stopped"
    assert run.metrics[-1]["step"] == 5
    assert len(set(seen)) == 5
    assert run.weights[0] == "best"


def test_few_steps_take_few_episodes():
    def planned(budget, **settings):
        given = TrainSettings(**settings)
        return Episodes.planned("CartPole-v1", 0, given, Budget.parse(budget)).episodes

    assert planned("1000steps") == 3
    assert planned("50000steps") == 6
    assert planned("1000000steps") == planned("10m") == 10
    assert planned("1000steps", validation_episodes=50) == 50
    assert planned("50000steps", validation_share=None) == 10


def test_examples_of_a_judgement_and_steps_between_two():
    """All judgements together cost a third of what so many training examples do."""
    for steps, batch, rows, every in [
        (20, 128, 2000, None),
        (3, 4, 500, None),
        (1000, 32, 300, 10),
    ]:
        n, k = rows_of(0.25, steps, batch, rows, every=every, usual=2)
        judgements = steps // k + 1
        assert 1 <= n <= rows
        assert n * judgements <= max(judgements, 2 * 3 * 0.25 * steps * batch)
    assert rows_of(1.0, 10_000, 128, 2000, every=None, usual=200) == (2000, 200)


@pytest.mark.parametrize(
    ("share", "said"),
    [(share, "above 0 and at most 1") for share in (0, -1, 1.5)]
    + [(float("nan"), "a finite number")],
)
def test_shares_that_are_none(share, said):
    with pytest.raises(ConfigError, match=f"validation_share must be {said}"):
        TrainSettings(validation_share=share)


def test_a_damaged_allowance_is_refused():
    with pytest.raises(RunError, match="'spent' cannot be -1"):
        Allowance(10, clocked=False).load_state_dict({"spent": -1, "cost": 0, "met": 0})
