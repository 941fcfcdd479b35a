"""PPO: its loss by hand, what clipping does, scales that are saved, and that it learns."""

import math
import os
import signal

import pytest
import torch

import phosphene as ph
from phosphene.core.batch import Noise
from phosphene.core.context import Context
from phosphene.core.errors import ConfigError
from phosphene.core.progress import StepEnd
from phosphene.core.subject import Alone
from phosphene.decision.deep.observations import RunningScale
from phosphene.decision.deep.ppo import loss_of_logits
from phosphene.decision.deep.rollouts import RolloutBatch
from phosphene.decision.environments.table import make, spec
from phosphene.kernels.library import forced
from phosphene.kernels.surrogate import Moments


def agent_of(env="CartPole-v1", **settings):
    small = {"environments": 2, "steps": 8, "epochs": 2, "batch_size": 8, "hidden": (8,)}
    return ph.build("ppo", spec(env), seed=0, **{**small, **settings})


def batch_of(agent, advantage, log_ratio, n=4):
    x = torch.randn(n, 4, generator=torch.Generator().manual_seed(0))
    action = torch.tensor([0, 1, 0, 1])[:n]
    with torch.no_grad():
        features = agent.eyes(x)
        log_prob = agent.policy(features).log_prob(action) - log_ratio
        value = agent.value(features)
    return RolloutBatch(
        x, torch.arange(n), Context(), Noise((0,), 0, n), action=action, log_prob=log_prob,
        value=value, advantage=advantage, target=value + advantage,
    )  # fmt: skip


def gradient(agent, batch):
    return torch.autograd.grad(agent.loss(batch).total, list(agent.actor.parameters()))


def test_loss_by_hand():
    agent = agent_of(value=0.7, entropy=0.3)
    advantage = torch.tensor([1.0, -2.0, 0.5, 3.0])
    log_ratio = torch.tensor([0.1, -0.05, 0.5, -0.6])
    batch = batch_of(agent, advantage, log_ratio)
    policy = 0.0
    for a, r in zip(advantage.tolist(), log_ratio.exp().tolist(), strict=True):
        policy += min(r * a, max(0.8, min(1.2, r)) * a) / 4
    p = agent.actor(batch.x).softmax(1)
    entropy = -(p * p.log()).sum(1).mean()
    expected = -policy + 0.7 * advantage.square().mean() - 0.3 * entropy
    assert agent.loss(batch).total.item() == pytest.approx(expected.item(), abs=1e-5)


@pytest.mark.parametrize("kernels", ["auto", "off"])
def test_what_is_trained_with_is_the_formula_of_the_file(kernels):
    agent = agent_of(value=0.7, entropy=0.3, clip_value=0.1)
    batch = batch_of(agent, torch.tensor([1.0, -2.0, 0.5, 3.0]), torch.tensor([0.1, 0.3, 0.5, -1]))
    moments = Moments(batch.action, batch.log_prob, batch.advantage, batch.target, batch.value)
    logits, value = agent.actor(batch.x), agent.critic(batch.x).squeeze(1)
    wanted, means = loss_of_logits(logits, value, moments, agent.weights)
    with forced(kernels):
        found = agent.loss(batch)
    torch.testing.assert_close(found.total, wanted)
    torch.testing.assert_close(torch.stack(list(found.terms.values())), means)
    parameters = list(agent.parameters())
    for a, b in zip(
        torch.autograd.grad(found.total, parameters),
        torch.autograd.grad(wanted, parameters),
        strict=True,
    ):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("advantage", "log_ratio", "still"), [
    (1.0, 0.5, True), (1.0, -0.5, False), (-1.0, 0.5, False), (-1.0, -0.5, True),
])  # fmt: skip
def test_the_ratio_is_stopped_on_one_side_only(advantage, log_ratio, still):
    agent = agent_of(value=0.0)
    batch = batch_of(agent, torch.full((4,), advantage), torch.full((4,), log_ratio))
    assert all((g == 0).all() == still for g in gradient(agent, batch)[-1:])


def test_at_the_start_the_gradient_is_the_policy_gradient():
    agent = agent_of(value=0.0)
    advantage = torch.tensor([1.0, -2.0, 0.5, 3.0])
    batch = batch_of(agent, advantage, torch.zeros(4))
    log_prob = agent.policy(agent.eyes(batch.x)).log_prob(batch.action)
    plain = torch.autograd.grad(-(advantage * log_prob).mean(), list(agent.actor.parameters()))
    for a, b in zip(gradient(agent, batch), plain, strict=True):
        torch.testing.assert_close(a, b)


def test_first_batch_has_ratio_one_and_normalized_advantages():
    agent = agent_of()
    source = agent.experience(make("CartPole-v1", 2, seed=0), 0, Alone())
    batch = source.next(0, agent)
    with torch.no_grad():
        now = agent.policy(agent.eyes(batch.x)).log_prob(batch.action)
    torch.testing.assert_close(now, batch.log_prob, atol=1e-6, rtol=1e-5)
    assert batch.advantage.mean().item() == pytest.approx(0, abs=1e-6)
    assert batch.advantage.std().item() == pytest.approx(1, abs=1e-4)


def test_time_limits_are_worth_what_lies_beyond_them():
    """In an episode that is cut after 5 steps, the target holds the value of the state it cut."""
    agent = agent_of(gamma=0.9, lambda_=1.0, normalize=False, environments=1, batch_size=8)
    source = agent.experience(make("CartPole-v1?limit=5", 1, seed=0), 0, Alone())
    source.next(0, agent)
    columns = source._columns
    plain = make("CartPole-v1", 1, seed=0)  # the same episode, which goes on
    observation = plain.reset()
    for t in range(5):
        torch.testing.assert_close(columns["x"][t], observation[0])
        step = plain.step(columns["action"][t : t + 1])
        assert not step.terminated
        observation = step.observation
    with torch.no_grad():
        beyond = agent.value(agent.eyes(observation)).item()
    expected = sum(0.9**k for k in range(5)) + 0.9**5 * beyond
    assert columns["target"][0].item() == pytest.approx(expected, abs=1e-5)


def test_running_scale_is_that_of_everything_seen():
    x = torch.randn(500, 3, generator=torch.Generator().manual_seed(1)) * 4 + 2
    scale = RunningScale((3,))
    for part in x.split([1, 9, 90, 400]):
        scale.update(part)
    torch.testing.assert_close(scale.mean, x.mean(0), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(scale.variance, x.var(0, correction=0), atol=1e-4, rtol=1e-5)


def test_scales_stand_still_within_a_rollout_and_are_saved(tmp_path):
    settings = {"standardize": True, "scale_rewards": True, "environments": 2, "steps": 16,
                "batch_size": 16, "epochs": 2, "hidden": (8,)}  # fmt: skip
    common = {"env": "Pendulum-v1", "budget": "192steps", "folder": tmp_path, "threads": 1}

    def stop(event):
        if isinstance(event, StepEnd) and event.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    whole = ph.train("ppo", name="whole", model=settings, **common)
    ph.train("ppo", name="cut", model=settings, listeners=[stop], **common)
    cut = ph.train("ppo", name="cut", resume=True, **common)
    ours, theirs = (ph.load(r.path, "last").state_dict() for r in (whole, cut))
    assert all(torch.equal(ours[k], theirs[k]) for k in ours)
    # All rollouts but the last, which the next one would take in.
    assert ours["eyes.scale.count"].item() == 192 - 32
    assert ours["rewards.count"].item() == 192
    assert not torch.equal(ours["eyes.scale.variance"], torch.ones(3))


def test_learns_to_balance(tmp_path):
    run = ph.train("ppo", budget="25000steps", folder=tmp_path, threads=1)
    scores = ph.evaluate(run, episodes=30)
    assert scores["return_mean"].value > 195
    assert scores["random_return"].value < 40


@pytest.mark.parametrize(("settings", "words"), [
    ({"batch_size": 7}, "batches of 7"),
    ({"gamma": 1.5}, "gamma must be at least 0 and at most 1, got 1.5"),
    ({"lambda_": -0.1}, "lambda_ must be at least 0 and at most 1"),
    ({"gamma": math.nan}, "gamma"),
])  # fmt: skip
def test_settings_out_of_range(settings, words):
    with pytest.raises(ConfigError, match=words):
        agent_of(**settings)
