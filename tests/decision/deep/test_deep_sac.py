"""SAC: its three losses by the formula, the target critics, exploration, exact resume, learning."""

import os
import signal

import pytest
import torch
from torch.distributions import Independent, Normal, TransformedDistribution
from torch.distributions.transforms import TanhTransform

import phosphene as ph
from phosphene.core.batch import Noise
from phosphene.core.environment import EnvSpec, Step
from phosphene.core.errors import ConfigError, EventError
from phosphene.core.event import Event
from phosphene.core.progress import StepEnd
from phosphene.core.subject import Alone
from phosphene.decision.deep.replay import TransitionBatch
from phosphene.decision.deep.sac import SAC
from phosphene.decision.environments.table import make

SPEC = EnvSpec("any", Event.real(3), low=(-2.0, 0.0), high=(2.0, 10.0))
SMALL = {"environments": 2, "turns": 3, "batch_size": 8, "warmup": 10, "capacity": 64,
         "hidden": (8,)}  # fmt: skip


def batch_of(n=32, seed=0):
    g = torch.Generator().manual_seed(seed)
    return TransitionBatch(
        x=torch.randn(n, 3, generator=g), index=torch.arange(n), noise=Noise((seed,), 0, n),
        action=2 * torch.rand(n, 2, generator=g) - 1, reward=torch.randn(n, generator=g),
        next=torch.randn(n, 3, generator=g), discount=torch.rand(n, generator=g).round() * 0.9,
        weight=torch.ones(n),
    )  # fmt: skip


def agent_of(**settings):
    """An agent whose target critics and temperature are others than at first."""
    agent = ph.build("sac", SPEC, seed=0, hidden=(16,), **settings)
    g = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in (*agent.target.parameters(), *agent.actor.parameters()):
            parameter += 0.1 * torch.randn(parameter.shape, generator=g)
        if agent.fixed is None:
            agent.log_temperature.fill_(-1.0)
    return agent


def theirs(agent, observation, noise):
    """Actions and log-densities by torch.distributions."""
    mean, log_std = agent.actor(observation).chunk(2, 1)
    normal = Independent(Normal(mean, log_std.exp()), 1)
    squashed = TransformedDistribution(normal, [TanhTransform(cache_size=1)])
    u = mean + log_std.exp() * noise
    action = u.tanh()
    slope = TanhTransform().log_abs_det_jacobian(u, action).sum(1)
    assert torch.allclose(squashed.log_prob(action), normal.log_prob(u) - slope, atol=1e-4)
    return action, normal.log_prob(u) - slope


def same_gradients(ours, wanted, parameters):
    assert torch.allclose(ours, wanted, atol=1e-6)
    found = torch.autograd.grad(ours, parameters, allow_unused=True)
    other = torch.autograd.grad(wanted, parameters, allow_unused=True)
    for a, b in zip(found, other, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_critics_move_towards_the_smaller_soft_value():
    agent, batch = agent_of(), batch_of()
    noise = Noise((0,), 0, 32).normal((2,))
    with torch.no_grad():
        action, log_prob = theirs(agent, batch.next, noise)
        inputs = torch.cat([batch.next, action], 1)
        one, two = agent.target.one.plain(inputs), agent.target.two.plain(inputs)
        smaller = torch.where(one < two, one, two)[:, 0]
        assert 0 < int((one < two).sum()) < 32, "each is the smaller one somewhere"
        aim = batch.reward + batch.discount * (smaller - 0.36787944 * log_prob)
    inputs = torch.cat([batch.x, batch.action], 1)
    wanted = sum(
        0.5 * (net.plain(inputs)[:, 0] - aim).square().mean()
        for net in (agent.critic.one, agent.critic.two)
    )
    loss = agent.critic_loss(batch)
    same_gradients(loss.total, wanted, list(agent.critic.parameters()))
    assert torch.allclose(loss.terms["aim"], aim, atol=1e-5)
    loss = agent.critic_loss(batch)
    others = [*agent.actor.parameters(), agent.log_temperature]
    found = torch.autograd.grad(loss.total, others, allow_unused=True)
    assert found == (None,) * len(others), "what is aimed at has no gradient"


def test_beyond_a_terminal_state_only_the_reward_counts():
    agent, batch = agent_of(), batch_of()
    batch.discount = torch.zeros(32)
    assert torch.equal(agent.critic_loss(batch).terms["aim"], batch.reward)


def test_uncertainty_ahead_is_worth_something():
    batch = batch_of()
    poor = agent_of(temperature=0.0).critic_loss(batch).terms["aim"]
    rich = agent_of(temperature=1.0)  # of the same weights
    _, log_prob = rich.policy(batch.next).draw(Noise((0,), 0, 32).normal((2,)))
    batch.noise.draws = 0
    more = rich.critic_loss(batch).terms["aim"] - poor
    assert torch.allclose(more, -batch.discount * log_prob, atol=1e-5)


def test_the_actor_climbs_the_smaller_value_and_its_entropy():
    agent, batch = agent_of(), batch_of()
    action, log_prob = theirs(agent, batch.x, Noise((0,), 0, 32).normal((2,)))
    inputs = torch.cat([batch.x, action], 1)
    one, two = agent.critic.one.plain(inputs), agent.critic.two.plain(inputs)
    wanted = (0.36787944 * log_prob - torch.minimum(one, two)[:, 0]).mean()
    same_gradients(agent.actor_loss(batch).total, wanted, list(agent.actor.parameters()))
    batch.noise.draws = 0
    total = agent.actor_loss(batch).total
    assert torch.autograd.grad(total, agent.log_temperature, allow_unused=True) == (None,)


@pytest.mark.parametrize(("target", "rises"), [(50.0, True), (-50.0, False)])
def test_the_temperature_rises_while_the_entropy_is_too_small(target, rises):
    agent, batch = agent_of(target_entropy=target), batch_of()
    entropy = agent.actor_loss(batch).terms["entropy"].mean()
    loss = agent.temperature_loss(batch)
    (slope,) = torch.autograd.grad(loss.total, agent.log_temperature)
    assert torch.allclose(slope, entropy - target, atol=1e-5)
    assert bool(slope < 0) == rises
    assert float(loss.terms["temperature"]) == pytest.approx(0.36787944)


def test_the_temperature_alone_draws_for_itself():
    agent = agent_of()
    after_actor, alone = batch_of(), batch_of()
    agent.actor_loss(after_actor)
    first, second = agent.temperature_loss(after_actor), agent.temperature_loss(alone)
    assert torch.allclose(first.total, second.total)


def test_the_target_critics_follow_slowly():
    agent = agent_of(tau=0.25)
    wanted = [
        0.75 * old + 0.25 * new
        for old, new in zip(agent.target.parameters(), agent.critic.parameters(), strict=True)
    ]
    last = agent.phases()[-1]
    assert (last.name, last.parameters) == ("target", [])
    last.update(batch_of(), None)
    for ours, other in zip(agent.target.parameters(), wanted, strict=True):
        assert torch.allclose(ours, other)
        assert not ours.requires_grad


@pytest.mark.parametrize("temperature", [None, 0.2])
def test_its_turns_are_critics_actor_temperature_on_one_batch(temperature):
    environment = make("Pendulum-v1", 2)
    agent = SAC(environment.spec, temperature=temperature, **SMALL)
    phases = agent.phases()
    learned = ["temperature"] if temperature is None else []
    assert [phase.name for phase in phases] == ["critic", "actor", *learned, "target"]
    owned = [id(p) for phase in phases for p in phase.parameters]
    assert len(owned) == len(set(owned)), "no parameter has two optimizers"
    frozen = {id(p) for p in agent.target.parameters()}
    assert set(owned) | frozen == {id(p) for p in agent.parameters()}
    replay = agent.experience(environment, 0, Alone())
    batches = [replay.next(0, agent, stream=i) for i in range(3)]
    assert all(torch.equal(batches[0].index, batch.index) for batch in batches)
    assert not torch.equal(batches[0].normal((2,)), batches[1].normal((2,)))
    assert [replay.experienced for k in range(7) if replay.next(k, agent)] == [10] * 3 + [
        12
    ] * 3 + [14]


def test_actions_fill_the_bounds_and_stay_within():
    agent, g = agent_of(warmup=100), torch.Generator().manual_seed(0)
    x, noise = torch.randn(4000, 3, generator=g), agent.noise((4000,), g)
    first = agent.explore(x, noise, 99)  # uniform in [-1, 1]
    assert float(first.mean().abs()) < 0.05
    assert float(first.square().mean()) == pytest.approx(1 / 3, abs=0.02)
    policy = agent.policy(x)
    assert torch.allclose(agent.explore(x, noise, 100), policy.draw(noise)[0], atol=1e-6)
    assert torch.allclose(agent.act(x), agent.bounds.to_env(policy.mode()))
    for action in (agent.to_env(first), agent.act(x, greedy=False, generator=g)):
        assert action.shape == (4000, 2)
        low, high = action.amin(0), action.amax(0)
        assert bool((low >= torch.tensor([-2.0, 0.0])).all())
        assert bool((high <= torch.tensor([2.0, 10.0])).all())
    assert float(agent.to_env(first)[:, 1].amax()) > 9.9


def test_what_cannot_be_is_refused():
    with pytest.raises(EventError, match="its actions are discrete"):
        SAC(EnvSpec("choice", Event.real(3), actions=2))
    for bad in ({"tau": 0.0}, {"temperature": -1.0}, {"first_temperature": 0.0}, {"gamma": 2.0}):
        with pytest.raises(ConfigError, match=f"{next(iter(bad))} must"):
            SAC(SPEC, **bad)
    infinite = EnvSpec("wide", Event.real(3), low=(-float("inf"),), high=(1.0,))
    with pytest.raises(ConfigError, match="without bounds"):
        SAC(infinite)
    environment = make("Pendulum-v1", 2)
    for bad in ({"turns": 0}, {"act_steps": 0}, {"warmup": 0}):
        with pytest.raises(ConfigError, match=f"{next(iter(bad))} must be (at least 1|1 or more)"):
            SAC(environment.spec, **{**SMALL, **bad}).experience(environment, 0, Alone())


@pytest.mark.parametrize(("step", "more"), [(9, {}), (10, {}), (10, {"temperature": 0.1})])
def test_resume_is_bit_exact_also_between_two_steps_of_experience(step, more, tmp_path):
    given = {
        "env": "Pendulum-v1", "folder": tmp_path, "model": SMALL | more, "threads": 1,
        "train": {"evaluate_every": 1000, "log_every": 1}, "budget": "24steps",
    }  # fmt: skip
    whole = ph.train("sac", name="whole", **given)

    def interrupt(event):
        if isinstance(event, StepEnd) and event.step == step:
            os.kill(os.getpid(), signal.SIGTERM)

    cut = ph.train("sac", name="cut", listeners=[interrupt], **given)
    assert max(row.get("step", 0) for row in cut.metrics) == step
    cut = ph.train("sac", name="cut", folder=tmp_path, resume=True)
    ours, theirs = (ph.load(run.path, weights="last").state_dict() for run in (whole, cut))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    told = [[r["loss"] for r in run.metrics if r.get("split") == "train"] for run in (whole, cut)]
    assert told[0] == told[1]
    assert len(told[0]) > step


class Mirror:
    """Episodes of one step: the closer the action to the observation, the better."""

    n, exact = 8, True
    spec = EnvSpec("mirror", Event.real(1), low=(-3.0,), high=(3.0,))

    def __init__(self, seed):
        self.generator = torch.Generator().manual_seed(seed)
        self.observation = self.reset()

    def reset(self):
        return 4 * torch.rand(self.n, 1, generator=self.generator) - 2

    def step(self, action):
        reward = -(action - self.observation).square().sum(1)
        self.observation, ends = self.reset(), torch.ones(self.n, dtype=torch.bool)
        return Step(self.observation, reward, ends, ~ends, self.observation)


@pytest.mark.parametrize("seed", range(2))
def test_it_learns_to_do_what_it_sees(seed):
    environment = Mirror(seed)
    agent = ph.build(
        "sac", environment.spec, seed=seed, environments=8, batch_size=64, hidden=(32, 32)
    )
    replay, phases = agent.experience(environment, seed, Alone()), agent.phases()
    learners = [torch.optim.Adam(p.parameters, 3e-3) if p.parameters else None for p in phases]
    x = torch.linspace(-2, 2, 9)[:, None]
    before = float((agent.act(x) - x).square().mean())
    for k in range(400):
        for i, (phase, learner) in enumerate(zip(phases, learners, strict=True)):
            batch = replay.next(k, agent, stream=i)
            if learner is None:
                phase.update(batch, None)
                continue
            learner.zero_grad()
            phase.loss(batch).total.backward()
            learner.step()
    assert before > 0.5
    assert float((agent.act(x) - x).square().mean()) < 0.05
    assert float(agent.temperature) < 0.5, "there is one thing to do, and no need of chance"
