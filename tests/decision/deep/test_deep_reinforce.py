"""REINFORCE: exact means by enumeration, whole episodes, ranks."""

import threading

import pytest
import torch

from phosphene.core.environment import EnvSpec, Step
from phosphene.core.errors import ConfigError
from phosphene.core.event import Event
from phosphene.core.rng import seeded
from phosphene.core.subject import Alone
from phosphene.decision.deep.reinforce import REINFORCE, returns_to_go
from phosphene.decision.deep.whole_episodes import EpisodeBatch
from phosphene.decision.environments.cartpole import CartPole
from phosphene.decision.environments.vectorized import VectorEnvironment
from phosphene.proofs import baseline, lqr, policy_gradient
from phosphene.proofs.tiny_mdp import (
    HORIZON,
    SPEC,
    TinyMDP,
    expected_gradient,
    flat,
    prepared,
    total_variance,
)

POLE = CartPole().spec("CartPole-v1", 500)
UNBIASED = [
    {"reward_to_go": False, "baseline": "none"},
    {"reward_to_go": False, "baseline": "value"},
    {"baseline": "none", "discounted_states": True},
    {"baseline": "value", "discounted_states": True},
]


def tiny(seed, gamma=0.7, hidden=(5,), **settings):
    return prepared(REINFORCE(SPEC, gamma=gamma, hidden=hidden, **settings), seed)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("settings", UNBIASED)
@pytest.mark.parametrize("hidden", [(), (5,)])
def test_the_mean_over_all_trajectories_is_the_gradient(seed, settings, hidden):
    mdp = TinyMDP(seed)
    agent = tiny(seed, hidden=hidden, **settings)
    exact = flat(mdp.objective(agent), agent)
    assert exact.abs().max() > 1e-2
    found = expected_gradient(agent, mdp.trajectories())
    assert (found - exact).abs().max() < 1e-12


def test_the_objective_is_the_mean_of_returns():
    mdp = TinyMDP(3)
    agent, paths = tiny(3, baseline="none"), mdp.trajectories()
    discount = mdp.gamma ** torch.arange(HORIZON, dtype=torch.float64)
    mean = paths.probability(agent) @ (paths.reward @ discount)
    assert torch.allclose(mean, mdp.objective(agent), atol=1e-12, rtol=0)
    assert len(paths.x) == 3888
    assert abs(float(paths.probability(agent).sum()) - 1) < 1e-12


@pytest.mark.parametrize("seed", range(3))
def test_without_the_factor_it_is_biased_if_there_is_a_discount(seed):
    mdp = TinyMDP(seed)
    paths = mdp.trajectories()
    for gamma, biased in ((0.7, True), (1.0, False)):
        mdp.gamma = gamma
        agent = tiny(seed, gamma=gamma, baseline="none")
        bias = expected_gradient(agent, paths) - flat(mdp.objective(agent), agent)
        assert (float(bias.abs().max()) > 1e-3) == biased


@pytest.mark.parametrize("seed", range(3))
def test_variance_falls_with_what_comes_after_and_with_the_right_baseline(seed):
    mdp = TinyMDP(seed)
    mdp.r += 2.0
    paths = mdp.trajectories()
    whole = total_variance(tiny(seed, baseline="none", reward_to_go=False), paths)
    agent = tiny(seed, baseline="none", discounted_states=True)
    value = mdp.values(agent).detach()[:-1].gather(1, paths.state[:, :-1].T).T
    discount = mdp.gamma ** torch.arange(HORIZON, dtype=torch.float64)
    to_go, less = total_variance(agent, paths), total_variance(agent, paths, -value * discount)
    assert less < 0.5 * to_go < 0.5 * whole


def test_normalized_credit_has_mean_zero_and_variance_one():
    agent = REINFORCE(POLE, normalize=True, discounted_states=False)
    reward = torch.rand(5, 7)
    lived = torch.arange(7) < torch.tensor([[7], [3], [1], [5], [6]])
    credit, _ = agent.credit(torch.randn(5, 7, 4), reward * lived, lived)
    assert abs(float(credit[lived].mean())) < 1e-6
    assert abs(float(credit[lived].std(correction=0)) - 1) < 1e-5
    assert not credit[~lived].any()


def test_one_moment_alone_is_normalized_to_nothing():
    agent = REINFORCE(POLE, normalize=True, baseline="none")
    credit, target = agent.credit(
        torch.zeros(1, 1, 4), torch.ones(1, 1), torch.ones(1, 1, dtype=torch.bool)
    )
    assert credit.tolist() == [[0.0]]
    assert target.tolist() == [[1.0]]


def test_padding_changes_nothing():
    """Episodes of different lengths, together and each by itself."""
    agent = REINFORCE(POLE, gamma=0.9)
    lengths, g = (3, 1, 6), torch.Generator().manual_seed(0)
    lived = torch.arange(6) < torch.tensor(lengths)[:, None]
    x, reward = torch.randn(3, 6, 4, generator=g), torch.randn(3, 6, generator=g) * lived
    x[~lived] = float("nan")  # nobody looks there
    action = torch.randint(2, (3, 6), generator=g)

    def loss(rows, until):
        part = (v[rows, :until] for v in (x, action, lived, reward))
        seen, did, here, earned = part
        credit, target = agent.credit(seen, earned, here)
        batch = EpisodeBatch(
            x=seen, index=torch.arange(len(seen)), action=did, lived=here,
            credit=credit, target=target,
        )  # fmt: skip
        return agent.loss(batch).total, agent.value_loss(batch).total * until

    together = loss(slice(0, 3), 6)
    alone = [loss(slice(i, i + 1), n) for i, n in enumerate(lengths)]
    for k in range(2):
        assert torch.allclose(together[k], sum(one[k] for one in alone) / 3, atol=1e-5)
        assert torch.isfinite(together[k])


def test_returns_to_go():
    found = returns_to_go(torch.tensor([[1.0, 0.0, 2.0], [1.0, 1.0, 0.0]]), 0.5)
    assert found.tolist() == [[1.5, 1.0, 2.0], [1.5, 1.0, 0.0]]


class Count:
    """Environment i gives 1 for each step of episodes of length i + 2, and takes notes."""

    exact = True

    def __init__(self, n, first=0, limit=None):
        self.spec = EnvSpec("count", Event.real(2), actions=2, limit=limit)
        self.n, self.first, self.steps = n, first, 0
        self.length = torch.arange(first, first + n) + 2
        self.clock, self.episode = torch.zeros(n), torch.zeros(n)

    def observe(self):
        return torch.stack([self.clock, self.episode], 1)

    def reset(self):
        self.clock, self.episode = torch.zeros(self.n), self.episode + 1
        return self.observe()

    def step(self, action):
        assert action.shape == (self.n,)
        self.steps, self.clock = self.steps + 1, self.clock + 1
        after, over = self.observe(), self.clock == self.length
        self.clock = torch.where(over, 0, self.clock)
        self.episode = self.episode + over
        never = torch.zeros(self.n, dtype=torch.bool)
        return Step(self.observe(), torch.ones(self.n), over, never, after)

    def state_dict(self):
        return {"episode": self.episode}

    def load_state_dict(self, state):
        self.episode = state["episode"]


def experience_of(n=3, ranks=None, first=0, own=None, **settings):
    with seeded(0):
        agent = REINFORCE(Count(1).spec, environments=n, hidden=(8,), **settings)
    environment = Count(own or n, first)
    return agent, environment, agent.experience(environment, 0, ranks or Alone())


def test_episodes_are_whole_and_each_begins_anew():
    agent, environment, experience = experience_of(3, gamma=1.0, value_steps=4)
    batch = experience.next(0, agent)
    assert batch.lived.sum(1).tolist() == [2, 3, 4]
    assert batch.target[:, 0].tolist() == [2.0, 3.0, 4.0]
    assert batch.x[2, :, 0].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert not batch.credit[~batch.lived].any()
    # Waiting costs steps, and they are counted; the episodes met meanwhile are not learned from.
    assert experience.experienced == 12
    assert environment.steps == 4
    assert experience.statistics() == {"episodes": 3.0, "return": 3.0, "length": 3.0}
    again = experience.next(3, agent)  # the value's turns see the same episodes
    for name in ("x", "action", "lived", "credit", "target"):
        assert torch.equal(getattr(batch, name), getattr(again, name))
    following = experience.next(4, agent)
    assert bool((following.x[:, 0, 0] == 0).all())
    assert experience.statistics()["length"] == 3.0


def test_episodes_without_an_end_are_left():
    agent, environment, experience = experience_of(3, longest=3, gamma=1.0)
    batch = experience.next(0, agent)
    assert batch.lived.sum(1).tolist() == [2, 3, 3]
    assert experience.statistics()["return"] == pytest.approx(8 / 3)
    assert environment.steps == 3


class Pair:
    """Two ranks, each in a thread of its own."""

    def __init__(self):
        self.barrier, self.parts = threading.Barrier(2), [None, None]

    def rank(self, rank):
        pair = self

        class Rank:
            world = 2

            def __init__(self):
                self.rank = rank

            def join(self, value, dim=0):
                pair.parts[rank] = value
                pair.barrier.wait(20)
                joined = torch.cat(list(pair.parts), dim)
                pair.barrier.wait(20)
                return joined

        return Rank()


def test_two_ranks_meet_what_one_meets():
    agent, environment, alone = experience_of(4)
    wanted = [alone.next(k, agent) for k in (0, 10)]
    pair, found, ends = Pair(), {}, {}

    def work(rank):
        own, its, experience = experience_of(4, pair.rank(rank), first=2 * rank, own=2)
        found[rank] = [experience.next(k, own) for k in (0, 10)]
        ends[rank] = (experience.experienced, its.episode.tolist(), experience.statistics())

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k in range(2):
        for name in ("action", "lived", "credit", "target", "index"):
            joined = torch.cat([getattr(found[rank][k], name) for rank in range(2)])
            assert torch.allclose(joined, getattr(wanted[k], name)), name
        seen, lived = torch.cat([found[rank][k].x for rank in range(2)]), wanted[k].lived
        assert torch.equal(seen[lived], wanted[k].x[lived])
    assert ends[0][0] == ends[1][0] == alone.experienced
    assert ends[0][1] + ends[1][1] == environment.episode.tolist()
    assert ends[0][2] == alone.statistics()


def test_a_saved_experience_goes_on_exactly():
    def begun():
        with seeded(0):
            agent = REINFORCE(POLE, environments=3, value_steps=2, standardize=True)
        return agent, agent.experience(VectorEnvironment(CartPole(), 3, seed=5), 5, Alone())

    agent, experience = begun()
    experience.next(0, agent)
    saved, weights = experience.state_dict(), {k: v.clone() for k, v in agent.state_dict().items()}
    wanted = [experience.next(k, agent) for k in (2, 4)]
    other, resumed = begun()
    other.load_state_dict(weights)
    resumed.load_state_dict(saved)
    for k, batch in zip((2, 4), wanted, strict=True):
        found = resumed.next(k, other)
        for name in ("x", "action", "credit", "target"):
            assert torch.equal(getattr(found, name), getattr(batch, name)), name
    assert resumed.experienced == experience.experienced
    assert torch.equal(other.eyes.scale.mean, agent.eyes.scale.mean)


@pytest.mark.parametrize("kind", ["value", "none"])
def test_phases_teach_every_parameter(kind):
    agent = REINFORCE(POLE, environments=2, baseline=kind, value_steps=3)
    experience = agent.experience(VectorEnvironment(CartPole(), 2), 0, Alone())
    taught = set()
    for phase in agent.phases():
        batch = experience.next(0, agent)
        grads = torch.autograd.grad(phase.loss(batch).total, list(phase.parameters))
        assert all(torch.isfinite(g).all() for g in grads)
        assert any(g.any() for g in grads)
        taught |= {id(p) for p in phase.parameters}
    assert taught == {id(p) for p in agent.parameters()}
    assert experience.turns == max(phase.repeat for phase in agent.phases())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"environments": 0}, "environments"),
        ({"value_steps": 0}, "value_steps"),
        ({"longest": 0}, "longest"),
        ({"baseline": "mean"}, "baseline 'mean'"),
        ({"gamma": -1.0}, "gamma"),
    ],
)
def test_what_cannot_be_is_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        REINFORCE(POLE, **settings)


@pytest.mark.parametrize("seed", range(1, 3))
def test_proofs_hold_for_other_problems(seed):
    assert policy_gradient.prove(seed=seed).holds
    assert baseline.prove(seed=seed).holds


def test_riccatis_gain_solves_its_equation():
    gain = lqr.riccati()
    assert torch.allclose(gain, lqr._descend(), atol=1e-6)
    cost = lqr._cost(gain)
    for push in (torch.tensor([[0.05, 0.0]]), torch.tensor([[0.0, -0.05]])):
        assert lqr._cost(gain + push.double()) > cost


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 5))
def test_reinforce_finds_the_gain(seed):
    assert lqr.prove(seed=seed).holds
