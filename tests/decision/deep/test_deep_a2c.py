"""A2C: its gradient is that of the formula, one step a rollout; exact resume of what learns."""

import pytest
import torch

import phosphene as ph
from phosphene.core.environment import EnvSpec
from phosphene.core.errors import ConfigError
from phosphene.core.event import Event
from phosphene.core.subject import Alone
from phosphene.decision.deep.a2c import A2C
from phosphene.decision.deep.rollouts import RolloutBatch
from phosphene.decision.environments.cartpole import CartPole
from phosphene.decision.environments.pendulum import Pendulum
from phosphene.decision.environments.vectorized import VectorEnvironment

DISCRETE = EnvSpec("any", Event.real(3), actions=4)
CONTINUOUS = EnvSpec("any", Event.real(3), low=(-2.0, -1.0), high=(2.0, 1.0))


def batch_for(spec, n=12, seed=0):
    g = torch.Generator().manual_seed(seed)
    if spec.discrete:
        action = torch.randint(spec.actions, (n,), generator=g)
    else:
        action = torch.randn(n, spec.action_dim, generator=g)
    return RolloutBatch(
        x=torch.randn(n, 3, generator=g), index=torch.arange(n), action=action,
        advantage=torch.randn(n, generator=g), target=torch.randn(n, generator=g),
    )  # fmt: skip


@pytest.mark.parametrize("spec", [DISCRETE, CONTINUOUS])
def test_the_loss_is_the_formula(spec):
    agent, batch = A2C(spec, value=0.7, entropy=0.1), batch_for(spec)
    if spec.discrete:
        theirs = torch.distributions.Categorical(logits=agent.actor(batch.x))
    else:
        normal = torch.distributions.Normal(agent.actor(batch.x), agent.log_std.exp())
        theirs = torch.distributions.Independent(normal, 1)
    value = agent.critic(batch.x)[:, 0]
    wanted = (
        -(theirs.log_prob(batch.action) * batch.advantage).mean()
        + 0.7 * (value - batch.target).square().mean()
        - 0.1 * theirs.entropy().mean()
    )
    found = agent.loss(batch)
    parameters = list(agent.parameters())
    assert torch.allclose(found.total, wanted, atol=1e-6)
    for ours, other in zip(
        torch.autograd.grad(found.total, parameters),
        torch.autograd.grad(wanted, parameters),
        strict=True,
    ):
        assert torch.allclose(ours, other, atol=1e-6)
    assert all(not term.requires_grad for term in found.terms.values())


@pytest.mark.parametrize("normalize", [False, True])
def test_each_rollout_is_used_once_and_whole(normalize):
    agent = A2C(CartPole().spec("CartPole-v1", 500), environments=3, steps=4, normalize=normalize)
    experience = agent.experience(VectorEnvironment(CartPole(), 3), 0, Alone())
    assert experience.batch_size == 12
    first, second = experience.next(0, agent), experience.next(1, agent)
    assert len(first) == len(second) == 12
    assert not torch.equal(first.x, second.x)
    assert experience.experienced == 24
    assert [phase.repeat for phase in agent.phases()] == [1]
    if normalize:
        assert abs(float(first.advantage.mean())) < 1e-6
        assert abs(float(first.advantage.std()) - 1) < 1e-4


def test_with_lambda_one_the_advantages_are_those_of_n_steps():
    agent = A2C(Pendulum().spec("Pendulum-v1", 200), environments=2, steps=5, gamma=0.9)
    batch = agent.experience(VectorEnvironment(Pendulum(), 2), 0, Alone()).next(0, agent)
    by_time = batch.target.view(5, 2)
    with torch.no_grad():
        value = agent.value(agent.eyes(batch.x)).view(5, 2)
    assert torch.allclose(batch.advantage.view(5, 2), by_time - value, atol=1e-5)
    # G_t = r_t + gamma G_{t+1}: all of a rollout shares one value, that of its end.
    reward = by_time[:-1] - 0.9 * by_time[1:]
    assert bool((reward <= 1e-4).all())  # Pendulum's rewards are never positive
    assert bool((reward >= -16.3).all())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"environments": 1, "steps": 1}, "two moments"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"gamma": 1.5}, "gamma"),
        ({"lambda_": -0.1}, "lambda_"),
    ],
)
def test_what_cannot_be_is_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        A2C(DISCRETE, **settings)


@pytest.mark.parametrize(
    ("system", "env", "model"),
    [
        ("a2c", "CartPole-v1", {"environments": 4, "steps": 5}),
        ("a2c", "Pendulum-v1", {"environments": 2, "steps": 5, "standardize": True}),
        ("reinforce", "CartPole-v1", {"environments": 3, "standardize": True}),
        ("ppo", "CartPole-v1", {"environments": 4, "steps": 16, "epochs": 2, "batch_size": 32}),
        ("ppo", "Pendulum-v1", {
            "environments": 2, "steps": 16, "epochs": 2, "batch_size": 16,
            "standardize": True, "scale_rewards": True,
        }),
    ],
)  # fmt: skip
def test_resume_is_bit_exact(system, env, model, tmp_path):
    common = {"env": env, "folder": tmp_path, "model": model, "threads": 1}
    common["train"] = {"schedule": "constant", "evaluate_every": 10**6}
    ph.train(system, name="whole", budget="600steps", **common)
    ph.train(system, name="cut", budget="300steps", **common)
    resumed = {**common, "train": None, "model": None}
    del resumed["threads"]
    ph.train(system, name="cut", budget="600steps", resume=True, **resumed)
    whole, cut = (ph.load(tmp_path / name, weights="last") for name in ("whole", "cut"))
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, cut.state_dict()[name]), name
    steps = [row for row in (ph.Run(tmp_path / "cut")).metrics if row.get("split") == "train"]
    again = [row for row in (ph.Run(tmp_path / "whole")).metrics if row.get("split") == "train"]
    assert steps[-1]["environment_steps"] == again[-1]["environment_steps"] >= 600
    assert steps[-1]["step"] == again[-1]["step"]
