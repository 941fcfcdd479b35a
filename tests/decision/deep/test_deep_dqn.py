"""DQN: what is aimed at, the target network, priorities, exact resume, learning."""

import os
import signal

import pytest
import torch

import phosphene as ph
from phosphene.core.batch import Noise
from phosphene.core.environment import EnvSpec
from phosphene.core.errors import ConfigError, EventError
from phosphene.core.event import Event
from phosphene.core.progress import StepEnd
from phosphene.core.subject import Alone
from phosphene.decision.deep.dqn import DQN
from phosphene.decision.deep.q_network import QNetwork
from phosphene.decision.deep.replay import TransitionBatch
from phosphene.decision.environments.table import make
from phosphene.decision.playing import play
from phosphene.subjects.environment.judge import evaluation_seed

VECTOR = EnvSpec("vector", Event.real(4), actions=3)
PIXELS = EnvSpec("pixels", Event.image(2, 10, levels=2), actions=3)
SMALL = {"environments": 2, "act_steps": 4, "turns": 3, "batch_size": 8, "warmup": 16,
         "capacity": 64, "hidden": (8,), "target_every": 24}  # fmt: skip


def batch_of(n=32, weight=None, seed=0):
    g = torch.Generator().manual_seed(seed)
    return TransitionBatch(
        x=torch.randn(n, 4, generator=g), index=torch.arange(n), noise=Noise((0,), 0, n),
        action=torch.randint(3, (n,), generator=g), reward=3 * torch.randn(n, generator=g),
        next=torch.randn(n, 4, generator=g), discount=torch.rand(n, generator=g),
        weight=torch.ones(n) if weight is None else weight,
    )  # fmt: skip


def unlike(**settings):
    """An agent whose target network is another than the one that learns."""
    agent = DQN(VECTOR, hidden=(16,), **settings)
    for p in agent.target.parameters():
        p.data = torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel()))
    return agent


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("huber", [False, True])
def test_the_loss_is_that_of_the_formula(double, huber):
    weight = torch.rand(32, generator=torch.Generator().manual_seed(3))
    agent, batch = unlike(double=double, huber=huber, prioritized=True), batch_of(weight=weight)
    total, count = 0.0, {"chose": 0}
    for i in range(32):
        learns, aims = (
            agent.online(batch.next[i : i + 1])[0],
            agent.target(batch.next[i : i + 1])[0],
        )
        best = int(learns.argmax()) if double else int(aims.argmax())
        count["chose"] += int(learns.argmax()) != int(aims.argmax())
        aim = float(batch.reward[i]) + float(batch.discount[i]) * float(aims[best])
        error = aim - float(agent.online(batch.x[i : i + 1]).detach()[0, batch.action[i]])
        linear = abs(error) - 0.5 if abs(error) >= 1 else 0.5 * error**2
        loss = linear if huber else error**2
        total += float(weight[i]) * loss / 32
    assert agent.loss(batch).total.item() == pytest.approx(total, rel=1e-5)
    assert count["chose"] > 3  # else both ways would aim at the same


def test_weights_of_one_change_nothing():
    plain, weighted = unlike(), unlike(prioritized=True)
    weighted.load_state_dict(plain.state_dict())
    ours, theirs = (agent.loss(batch_of()).total for agent in (plain, weighted))
    torch.testing.assert_close(ours, theirs)


def test_dueling_puts_value_and_advantages_together():
    network = QNetwork(VECTOR, hidden=(16,), dueling=True)
    x = torch.randn(5, 4)
    value, advantage = network.value(x), network.advantage(x)
    q = network(x)
    torch.testing.assert_close(q.mean(1, keepdim=True), value)
    torch.testing.assert_close(q - value, advantage - advantage.mean(1, keepdim=True))
    q[:, 0].sum().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in network.parameters())


@pytest.mark.parametrize("dueling", [False, True])
def test_pixels_are_seen_by_convolutions(dueling):
    network = QNetwork(PIXELS, hidden=(16,), dueling=dueling)
    assert any(isinstance(m, torch.nn.Conv2d) for m in network.modules())
    codes = torch.randint(2, (3, 2, 10, 10), dtype=torch.uint8)
    assert network(codes).shape == (3, 3)


@pytest.mark.parametrize("tau", [1.0, 0.25])
def test_the_target_network_follows_at_its_intervals(tau):
    agent = DQN(VECTOR, tau=tau, **SMALL)
    experience = agent.experience(Vectors(2), 0, Alone())
    followed = []
    for cycle in range(6):
        batch = experience.next(3 * cycle, agent, stream=1)
        for p in agent.online.parameters():
            p.data += 1.0
        before = [p.clone() for p in agent.target.parameters()]
        agent.follow(batch, None)
        pairs = zip(before, agent.target.parameters(), agent.online.parameters(), strict=True)
        if all(torch.equal(b, t) for b, t, _ in pairs):
            continue
        followed.append(experience.experienced)
        for b, t, o in zip(
            before, agent.target.parameters(), agent.online.parameters(), strict=True
        ):
            torch.testing.assert_close(t, b + tau * (o - b))
    assert followed == [24, 48]  # 16 steps at first, then 8 a cycle


def test_what_is_ahead_is_worked_out_for_a_cycle_and_changes_nothing():
    for double in (False, True):
        agent = DQN(VECTOR, double=double, **SMALL)
        experience = agent.experience(Vectors(2), 0, Alone())
        for turn in range(3):
            batch = experience.next(turn, agent)
            assert batch.ahead.shape == ((8, 3) if double else (8,))
            whole = agent.loss(batch).total
            batch.ahead = torch.zeros(0)
            assert torch.equal(whole, agent.loss(batch).total)


def test_errors_become_priorities_of_what_was_drawn():
    agent = DQN(VECTOR, prioritized=True, alpha=1.0, **SMALL)
    experience = agent.experience(Vectors(2), 0, Alone())
    expected = {}
    for turn in range(3):
        batch = experience.next(turn, agent)
        agent.loss(batch)
        with torch.no_grad():
            best = agent.online(batch.next).argmax(1)
            rows = torch.arange(8)
            aim = batch.reward + batch.discount * agent.target(batch.next)[rows, best]
            error = (aim - agent.online(batch.x)[rows, batch.action]).abs()
        expected |= dict(zip(batch.index.tolist(), error.tolist(), strict=True))
    agent.follow(experience.next(0, agent, stream=1), None)
    tree = experience.priorities.tree
    for place, error in expected.items():
        assert float(tree[64 + place]) == pytest.approx(error, abs=1e-5)
    rest = set(range(16)) - set(expected)
    assert rest
    assert all(float(tree[64 + place]) == 1.0 for place in rest)


def test_the_scale_is_that_of_all_met_and_the_target_network_takes_it_over():
    agent = DQN(VECTOR, standardize=True, **SMALL)
    experience = agent.experience(Vectors(2), 0, Alone())
    for cycle in range(3):
        batch = experience.next(3 * cycle, agent, stream=1)
        agent.follow(batch, None)
        own, other = agent.online.eyes.scale, agent.target.eyes.scale
        met = experience.ring.columns["x"][: experience.experienced]
        torch.testing.assert_close(own.mean, met.mean(0))
        torch.testing.assert_close(own.variance, met.var(0, correction=0))
        assert torch.equal(own.mean, other.mean) == experience.passed(24)


def test_only_the_network_that_learns_is_trained():
    agent = DQN(VECTOR, **SMALL)
    q, target = agent.phases()
    assert {id(p) for p in q.parameters} == {id(p) for p in agent.online.parameters()}
    assert (list(target.parameters), q.repeat, target.repeat) == ([], 3, 1)
    assert not any(p.requires_grad for p in agent.target.parameters())


class Vectors:
    """Environments of random vectors, for what does not depend on them."""

    spec, exact = VECTOR, True

    def __init__(self, n):
        self.n, self.generator = n, torch.Generator().manual_seed(0)

    def reset(self):
        return torch.randn(self.n, 4, generator=self.generator)

    def step(self, action):
        from phosphene.core.environment import Step

        x, u = self.reset(), torch.rand(self.n, generator=self.generator)
        return Step(x, u, u < 0.1, u > 0.9, x)


# -- in the trainer -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("system", "more"),
    [
        ("dqn", {}),
        ("dqn", {"n_step": 3, "prioritized": True, "dueling": True, "tau": 0.5}),
        ("dqn", {"hold": 5, "standardize": True}),
        ("deep-q-learning", {}),
    ],
)
def test_resume_is_bit_exact(system, more, tmp_path):
    settings = {k: v for k, v in SMALL.items() if system == "dqn" or k != "target_every"} | more
    given = {
        "env": "CartPole-v1", "folder": tmp_path, "model": settings,
        "train": {"evaluate_every": 1000, "log_every": 1}, "budget": "200steps",
    }  # fmt: skip
    whole = ph.train(system, name="whole", **given)
    stopped = []

    def interrupt(event):
        if isinstance(event, StepEnd) and event.step == 9 and not stopped:
            stopped.append(event.step)
            os.kill(os.getpid(), signal.SIGTERM)

    first = ph.train(system, name="cut", listeners=[interrupt], **given)
    assert stopped == [9]
    assert max(row.get("environment_steps", 0) for row in first.metrics) < 200
    second = ph.train(system, name="cut", folder=tmp_path, resume=True)
    ours, theirs = (ph.load(run.path, weights="last").state_dict() for run in (whole, second))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    told = [
        [(r["step"], r["loss"], r.get("return")) for r in run.metrics if r.get("split") == "train"]
        for run in (whole, second)
    ]
    assert told[0] == told[1]


def test_other_environments_are_refused(tmp_path):
    with pytest.raises(EventError, match="its actions are continuous"):
        ph.train("dqn", env="Pendulum-v1", folder=tmp_path, budget="10steps")
    with pytest.raises(ConfigError, match="capacity 50 is below batch_size, which is 128"):
        ph.train("dqn", env="CartPole-v1", folder=tmp_path, budget="10steps", capacity=50)
    for bad in ({"n_step": 0}, {"hold": 0}, {"tau": 0.0}, {"target_every": 0}, {"beta": 2.0}):
        with pytest.raises(ConfigError, match=f"{next(iter(bad))}.* must"):
            ph.train("dqn", env="CartPole-v1", folder=tmp_path, budget="10steps", model=bad)


def test_it_learns_to_balance_in_a_few_thousand_steps(tmp_path):
    """Random actions keep the pole up for 22 steps."""
    scores = []
    for seed in range(2):
        run = ph.train("dqn", seed=seed, folder=tmp_path, name=f"{seed}", budget="8000steps")
        environment = make("CartPole-v1", 50, seed=evaluation_seed(seed))
        scores.append(float(play(run.model, environment, 50).returns.mean()))
    assert min(scores) >= 150, scores
