"""PQN: its targets by hand, its loss, its exploration, exact resume, learning."""

import os
import signal

import pytest
import torch

import phosphene as ph
from phosphene.core.environment import EnvSpec, Step
from phosphene.core.errors import ConfigError, EventError
from phosphene.core.event import Event
from phosphene.core.progress import StepEnd
from phosphene.core.subject import Alone
from phosphene.decision.deep.pqn import PQN, NormedMLP
from phosphene.decision.deep.rollouts import RolloutBatch
from phosphene.decision.environments.table import make
from phosphene.decision.playing import play
from phosphene.subjects.environment.judge import evaluation_seed

VECTOR = EnvSpec("vector", Event.real(3), actions=2)
PIXELS = EnvSpec("pixels", Event.image(1, 10, levels=2), actions=3)
SMALL = {"environments": 4, "steps": 8, "epochs": 2, "batch_size": 16, "hidden": (8,)}


class Script:
    """One environment that plays what is written: states 0, 1, 2, ...; ends where it says so.

    Args:
        reward: Of each step.
        terminated: Steps that end in a terminal state.
        truncated: Steps that the time limit cuts off.
    """

    spec, n, exact = EnvSpec("script", Event.tokens(1, 16), actions=2), 1, True

    def __init__(self, reward, terminated=(), truncated=()):
        self.reward, self.terminated, self.truncated = reward, terminated, truncated
        self.time = 0

    def reset(self):
        return torch.tensor([[0]])

    def step(self, action):
        t, self.time = self.time, self.time + 1
        ends, cut = t in self.terminated, t in self.truncated
        following = torch.tensor([[t + 1]])
        # A new episode begins in a state of its own, which is worth something else.
        begun = torch.tensor([[10 + t]]) if ends or cut else following
        flags = torch.tensor([ends]), torch.tensor([cut])
        return Step(begun, torch.tensor([self.reward[t]]), *flags, following)


def values(agent):
    """max Q of each state."""
    with torch.no_grad():
        return agent.q(torch.arange(16)[:, None]).amax(1).tolist()


def scripted(lambda_, gamma, **script):
    environment = Script([1.0, -2.0, 3.0, 0.5], **script)
    agent = ph.build(
        "pqn", environment.spec, seed=0, environments=1, steps=4, epochs=1, batch_size=4,
        gamma=gamma, lambda_=lambda_, hidden=(8,),
    )  # fmt: skip
    batch = agent.experience(environment, 0, Alone()).next(0, agent)
    order = batch.index.argsort()
    return agent, batch.x[order].flatten().tolist(), batch.target[order].tolist()


@pytest.mark.parametrize("lambda_", [0.0, 0.7, 1.0])
def test_targets_are_lambda_returns_of_the_greatest_q(lambda_):
    gamma = 0.9
    agent, _, found = scripted(lambda_, gamma)
    v, wanted = values(agent), [0.0] * 4
    wanted[3] = 0.5 + gamma * v[4]
    for t, reward in ((2, 3.0), (1, -2.0), (0, 1.0)):
        wanted[t] = reward + gamma * ((1 - lambda_) * v[t + 1] + lambda_ * wanted[t + 1])
    assert found == pytest.approx(wanted, abs=1e-5)


def test_nothing_is_earned_beyond_a_terminal_state():
    agent, states, found = scripted(0.7, 0.9, terminated=(1,))
    v = values(agent)
    assert states == [0, 1, 11, 3]  # the third moment is the first of a new episode
    last = 0.5 + 0.9 * v[4]
    third = 3.0 + 0.9 * (0.3 * v[3] + 0.7 * last)
    second = -2.0
    first = 1.0 + 0.9 * (0.3 * v[1] + 0.7 * second)
    assert found == pytest.approx([first, second, third, last], abs=1e-5)


def test_beyond_a_time_limit_counts_what_was_cut_off():
    agent, states, found = scripted(0.7, 0.9, truncated=(1,))
    v = values(agent)
    assert states == [0, 1, 11, 3]
    second = -2.0 + 0.9 * v[2]  # not of state 11, where the next episode began
    first = 1.0 + 0.9 * (0.3 * v[1] + 0.7 * second)
    assert found[:2] == pytest.approx([first, second], abs=1e-5)
    assert abs(v[2] - v[11]) > 1e-3


def test_the_loss_is_half_the_squared_error_of_the_action_taken():
    agent = PQN(VECTOR, environments=2, steps=3, batch_size=6, hidden=(8,))
    action = torch.tensor([0, 1, 1, 0, 1, 0])
    batch = RolloutBatch(
        x=torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), index=torch.arange(6),
        action=action, target=torch.arange(6.0).requires_grad_(),
    )  # fmt: skip
    loss = agent.loss(batch)
    q = agent.q(batch.x)[torch.arange(6), action]
    assert torch.allclose(loss.total, 0.5 * (q - torch.arange(6.0)).square().mean())
    assert all(not term.requires_grad for term in loss.terms.values())


def test_the_targets_of_a_rollout_have_no_gradient_and_stand_still():
    environment = make("CartPole-v1", 4)
    agent = ph.build("pqn", environment.spec, seed=0, **SMALL)
    rollouts = agent.experience(environment, 0, Alone())
    first = rollouts.next(0, agent)
    with torch.no_grad():
        for parameter in agent.parameters():
            parameter += 1.0
    again = rollouts.next(2, agent)  # of the second pass
    order, other = first.index, again.index
    assert not first.target.requires_grad
    both = set(order.tolist()) & set(other.tolist())
    assert both, "two halves of a rollout share moments"
    for i in both:
        assert torch.equal(first.target[order == i], again.target[other == i])


@pytest.mark.parametrize("norm", [True, False])
def test_the_network_is_linear_layers_normalized(norm):
    net = NormedMLP(3, (8, 5), 2, activation="tanh", norm=norm)
    x = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    h = x
    for i, layer in enumerate(net.layers):
        h = h @ layer.weight.T + layer.bias
        if norm:
            assert torch.equal(net.norms[i].weight, torch.ones(len(h[0])))
            h = (h - h.mean(1, keepdim=True)) / (h.var(1, keepdim=True, correction=0) + 1e-5).sqrt()
        h = h.tanh()
    assert torch.allclose(net(x), h @ net.head.weight.T + net.head.bias, atol=1e-6)


def test_exploration_fades_with_experience():
    agent = ph.build("pqn", VECTOR, seed=0, epsilon_start=0.9, epsilon_end=0.1,
                     epsilon_steps=200, **SMALL)  # fmt: skip
    assert [agent.epsilon(n) for n in (0, 100, 200, 900)] == pytest.approx([0.9, 0.5, 0.1, 0.1])
    x, g = torch.zeros(4000, 3), torch.Generator().manual_seed(0)
    best = int(agent.act(x[:1]))
    for experienced, epsilon in ((0, 0.9), (100, 0.5), (500, 0.1)):
        agent.begin(experienced)
        other = float((agent.explore(x, agent.noise((4000,), g)) != best).float().mean())
        assert other == pytest.approx(epsilon / 2, abs=0.03)  # a random action may be the best
    mine = agent.act(x, greedy=False, generator=g)
    assert float((mine != best).float().mean()) == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize("spec", [VECTOR, PIXELS, EnvSpec("maze", Event.tokens(1, 9), actions=4)])
def test_it_acts_on_vectors_pixels_and_numbers_of_states(spec):
    agent = ph.build("pqn", spec, seed=0, hidden=(8,))
    x = torch.zeros(5, *spec.observation.shape, dtype=torch.int64)
    action = agent.act(x if spec is not VECTOR else x.float())
    assert action.shape == (5,)
    assert action.dtype == torch.int64


def test_what_cannot_be_is_refused():
    with pytest.raises(EventError, match="its actions are continuous"):
        PQN(EnvSpec("swing", Event.real(3), low=(-1.0,), high=(1.0,)))
    for bad in (
        {"epsilon_start": 1.2}, {"epsilon_end": -0.1}, {"epsilon_steps": 0}, {"gamma": 1.5},
        {"lambda_": -1.0}, {"epochs": 0}, {"steps": 0}, {"environments": 0},
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=f"{next(iter(bad))} must"):
            PQN(VECTOR, **bad)
    with pytest.raises(ConfigError, match="cannot be cut into batches of 100"):
        PQN(VECTOR, batch_size=100)
    with pytest.raises(ConfigError, match="width"):
        PQN(VECTOR, hidden=(0,))


@pytest.mark.parametrize("more", [{}, {"standardize": True, "scale_rewards": True}])
def test_resume_is_bit_exact(more, tmp_path):
    given = {
        "env": "CartPole-v1", "folder": tmp_path, "model": SMALL | more, "threads": 1,
        "train": {"evaluate_every": 1000}, "budget": "640steps",
    }  # fmt: skip
    whole = ph.train("pqn", name="whole", **given)

    def interrupt(event):
        if isinstance(event, StepEnd) and event.step == 9:
            os.kill(os.getpid(), signal.SIGTERM)

    cut = ph.train("pqn", name="cut", listeners=[interrupt], **given)
    assert max(row.get("environment_steps", 0) for row in cut.metrics) == 9 * 32
    cut = ph.train("pqn", name="cut", folder=tmp_path, resume=True)
    ours, theirs = (ph.load(run.path, weights="last").state_dict() for run in (whole, cut))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    told = [[r["loss"] for r in run.metrics if r.get("split") == "train"] for run in (whole, cut)]
    assert told[0] == told[1]


def score(env, seed, folder, **settings):
    run = ph.train("pqn", env=env, seed=seed, folder=folder, **settings)
    environment = make(env, 100, seed=evaluation_seed(seed))
    return float(play(run.model, environment, 100).returns.mean())


def test_it_learns_to_hold_the_pole_longer(tmp_path):
    assert score("CartPole-v1", 0, tmp_path, budget="24000steps") > 120
