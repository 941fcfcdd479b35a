"""Replay: transitions are true, n-step sums stay within episodes, draws are as they should be."""

import io

import pytest
import torch

from phosphene.core.errors import ConfigError
from phosphene.decision.deep.priorities import Priorities
from phosphene.decision.deep.ring import Ring, n_step_returns
from phosphene.kernels.library import forced
from phosphene.kernels.sum_tree import (
    tree_draw,
    tree_draw_reference,
    tree_set,
    tree_set_reference,
)
from tests.decision.deep.replay_toys import Clockwork, by_two, replay, reward_of

COLUMNS = ("x", "action", "reward", "next", "discount", "weight", "index")


def columns(batch):
    return {name: getattr(batch, name) for name in COLUMNS}


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in COLUMNS)


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_n_step_returns_are_those_of_a_loop(n):
    g = torch.Generator().manual_seed(n)
    t, e, gamma = 11, 6, 0.7
    reward = torch.randn(t, e, generator=g, dtype=torch.float64)
    u = torch.rand(t, e, generator=g)
    terminated, done = u < 0.15, u < 0.3
    total, last, discount = n_step_returns(reward, done, terminated, gamma=gamma, n=n)
    for i in range(t):
        for k in range(e):
            value, m = 0.0, 0
            while True:
                value += gamma**m * float(reward[i + m, k])
                m += 1
                if done[i + m - 1, k] or m == n or i + m == t:
                    break
            assert abs(float(total[i, k]) - value) < 1e-12
            assert int(last[i, k]) == i + m - 1
            expected = 0.0 if terminated[i + m - 1, k] else gamma**m
            assert abs(float(discount[i, k]) - expected) < 1e-12


@pytest.mark.parametrize("n_step", [1, 3])
@pytest.mark.parametrize("capacity", [23, 60, 1000])
def test_transitions_are_true_and_stay_within_an_episode(n_step, capacity):
    """Each drawn transition is played again, by what its observation says of where it was."""
    experience = replay(capacity=capacity, n_step=n_step, batch_size=16)
    actions, ends, spans = {}, {}, set()
    step = experience.environment.step

    def watched(action):
        x = experience.environment.observe()
        answer = step(action)
        for i in range(3):
            actions[tuple(x[i].tolist())] = int(action[i])
            ends[tuple(x[i].tolist())] = bool(answer.terminated[i]), bool(answer.done[i])
        return answer

    experience.environment.step = watched
    for k in range(40):
        batch = experience.next(k, experience.agent)
        for row in range(16):
            place, episode, clock = batch.x[row].tolist()
            total, m = 0.0, 0
            while m < n_step:
                here = (place, episode, clock + m)
                if here not in actions:  # the newest of all: later steps are not there yet
                    break
                if m == 0:
                    assert int(batch.action[row]) == actions[here]
                x, action = torch.tensor([here]), torch.tensor([actions[here]])
                total += 0.5**m * float(reward_of(x, action))
                m += 1
                if ends[here][1]:
                    break
            spans.add(m)
            assert batch.next[row].tolist() == [place, episode, clock + m]
            assert float(batch.reward[row]) == total
            over = ends[(place, episode, clock + m - 1)][0]
            assert float(batch.discount[row]) == (0.0 if over else 0.5**m)
    assert spans == set(range(1, n_step + 1))


def test_the_first_request_of_a_cycle_acts_and_streams_share_batches():
    experience = replay(n_step=2)
    first = experience.next(0, experience.agent, stream=0)
    assert experience.experienced == 12  # whole steps of 3 environments, at least 10 for a start
    second = experience.next(1, experience.agent, stream=1)
    assert experience.experienced == 12
    assert same(columns(first), columns(experience.next(0, experience.agent, stream=2)))
    assert not torch.equal(first.index, second.index)
    experience.next(2, experience.agent)
    assert experience.experienced == 24
    assert experience.agent.told == [3 * t for t in range(8)]
    assert (experience.passed(24), experience.passed(25)) == (True, False)
    noise = [experience.next(2, experience.agent, stream=s).normal((2,)) for s in (0, 1, 0)]
    assert torch.equal(noise[0], noise[2])
    assert not torch.equal(noise[0], noise[1])


@pytest.mark.parametrize("hold", [1, 3, 7])
def test_noise_is_held_for_a_while_wherever_cycles_end(hold):
    def acted(act_steps, steps=42):
        experience = replay(3, capacity=300, act_steps=act_steps, warmup=3, hold=hold)
        for cycle in range(steps // act_steps):
            experience.next(2 * cycle, experience.agent)
        return experience.ring.columns["action"][: 3 * steps].view(steps, 3)

    actions = acted(6)
    if hold == 1:
        changes = actions[1:] != actions[:-1]
        assert 0.6 < float(changes.double().mean()) < 0.98  # of 5 actions: 0.8
        return
    assert torch.equal(actions, acted(2))
    assert torch.equal(actions, acted(21))
    for i in range(3):
        at = {t % hold for t in range(1, 42) if actions[t, i] != actions[t - 1, i]}
        assert at == {-(i * hold // 3) % hold}


def test_statistics_tell_of_whole_episodes():
    experience = replay(1, environment=Clockwork(1), batch_size=1, act_steps=50, capacity=100)
    experience.next(0, experience.agent)
    found = experience.statistics()
    assert found["episodes"] == experience.environment.episode.item() > 0
    assert found["length"] == (50 - experience.environment.clock.item()) / found["episodes"]
    assert found["curiosity"] == 25


def test_all_transitions_are_drawn_alike():
    experience = replay(capacity=600, batch_size=600, turns=20, warmup=30)
    index = torch.cat([experience.next(k, experience.agent).index for k in range(20)])
    counts = torch.bincount(index, minlength=30).double()
    assert len(counts) == 30
    chi2 = float((counts - 400).square().sum() / 400)
    assert chi2 < 66  # of 29 degrees of freedom: 1 in 10,000 is above


@pytest.mark.parametrize("n_step", [1, 3])
@pytest.mark.parametrize("prioritized", [False, True])
def test_two_ranks_draw_what_one_does(n_step, prioritized):
    def settings():
        given = Priorities(60, alpha=1.0, beta=0.5, steps=100) if prioritized else None
        return {"n_step": n_step, "priorities": given}

    def work(ranks):
        environment = Clockwork(2, first=2 * ranks.rank)
        experience = replay(4, environment=environment, ranks=ranks, **settings())
        return run(experience)

    def run(experience):
        found = []
        for k in range(8):
            found.append(columns(experience.next(k, experience.agent)))
            if prioritized and k % 2:
                mine = torch.stack([b["reward"] for b in found[-2:]])
                experience.learn(mine)
        return found

    whole = run(replay(4, environment=Clockwork(4), **settings()))
    for one, a, b in zip(whole, *by_two(work), strict=True):
        assert len(a["x"]) == len(b["x"]) == 4
        assert same(one, {name: torch.cat([a[name], b[name]]) for name in COLUMNS})


@pytest.mark.parametrize("cut", [1, 3, 9])
@pytest.mark.parametrize("prioritized", [False, True])
def test_what_was_saved_goes_on_bit_for_bit(cut, prioritized):
    def make():
        given = Priorities(60, steps=100) if prioritized else None
        return replay(n_step=3, priorities=given)

    def go(experience, cycles):
        found = []
        for k in range(2 * cycles.start, 2 * cycles.stop):
            found.append(columns(experience.next(k, experience.agent)))
            if prioritized and k % 2:
                experience.learn(torch.stack([b["reward"] for b in found[-2:]]))
        return found

    whole = go(make(), range(12))
    first = make()
    go(first, range(cut))
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = make()
    second.load_state_dict(torch.load(file, weights_only=True))
    rest = go(second, range(cut, 12))
    assert second.experienced == 12 * 12
    assert all(map(same, whole[2 * cut :], rest))


def test_only_what_is_filled_is_saved():
    experience = replay(capacity=1_000_000)
    experience.next(0, experience.agent)
    file = io.BytesIO()
    torch.save(experience.state_dict(), file)
    assert len(file.getvalue()) < 20_000
    assert len(experience.state_dict()["ring"]["columns"]["x"]) == 12


def test_environments_that_cannot_be_saved_begin_anew():
    """No sum may reach from before the break to after it."""
    first = replay(environment=Clockwork(3, exact=False), n_step=3)
    first.next(0, first.agent)
    second = replay(environment=Clockwork(3, exact=False), n_step=3)
    second.load_state_dict(first.state_dict())
    assert second.observation[:, 1].eq(100).all()
    before = first.ring.columns["next"][:12].clone()
    second.next(2, second.agent)
    assert torch.equal(second.ring.columns["next"][:12], before)


def test_a_ring_keeps_the_newest_in_their_own_type():
    ring = Ring(5)
    for i in range(4):
        picture = torch.full((2, 1, 3, 3), i, dtype=torch.uint8)
        ring.write({"x": picture, "r": torch.tensor([2.0 * i, 2.0 * i + 1])})
    assert ring.columns["x"].dtype == torch.uint8
    assert sorted(ring.columns["r"].tolist()) == [3, 4, 5, 6, 7]
    again = ring.write({"x": torch.zeros(3, 1, 3, 3, dtype=torch.uint8), "r": torch.ones(3)}, 2)
    assert again.tolist() == [3]
    assert sorted(ring.columns["r"].tolist()) == [1, 1, 1, 4, 5]
    index = torch.tensor([[0, 3], [3, 1]])
    assert torch.equal(ring.take(index)["r"], ring.columns["r"][index])


# -- priorities ---------------------------------------------------------------------------------


@pytest.mark.parametrize("leaves", [1, 2, 64, 1024])
def test_the_tree_is_that_of_the_reference(leaves):
    g = torch.Generator().manual_seed(leaves)
    ours = torch.zeros(2 * leaves, dtype=torch.float64)
    theirs = ours.clone()
    for n in (1, 5, 300):
        index = torch.randint(leaves, (n,), generator=g)
        value = torch.rand(n, generator=g, dtype=torch.float64) + 0.01
        tree_set(ours, index, value)
        tree_set_reference(theirs, index, value)
        assert torch.equal(ours, theirs)
        kept = {int(i): float(v) for i, v in zip(index, value, strict=True)}
        assert all(float(ours[leaves + i]) == v for i, v in kept.items())
        u = torch.rand(500, generator=g, dtype=torch.float64)
        drawn = tree_draw(ours, u)
        assert torch.equal(drawn, tree_draw_reference(theirs, u))
        assert bool((ours[leaves + drawn] > 0).all())
        passed = torch.searchsorted(ours[leaves:].cumsum(0), u * ours[1], right=True)
        assert float((passed == drawn).double().mean()) > 0.99  # sums are rounded in another order


@pytest.mark.parametrize("level", ["off", "baseline", "avx2", "avx512"])
def test_every_build_keeps_the_same_tree(level):
    def work():
        priorities = Priorities(300, steps=10)
        priorities.add(torch.arange(300))
        priorities.learn(torch.arange(200), torch.linspace(-3, 5, 200))
        return priorities.draw((3, 50), torch.Generator().manual_seed(1), 300, 5)

    ours = work()
    with forced(level):
        theirs = work()
    assert all(map(torch.equal, ours, theirs))


def test_draws_follow_priorities_and_weights_take_the_bias_away():
    error, n = torch.tensor([4.0, 0.5, 1.0, 2.0, 0.25]), 5
    priorities = Priorities(8, alpha=0.7, beta=0.4, steps=100)
    priorities.add(torch.arange(n))
    priorities.learn(torch.arange(n), -error)
    share = error.double() ** 0.7
    share /= share.sum()
    g = torch.Generator().manual_seed(0)
    index, weight = priorities.draw((200, 100), g, n, experienced=50)
    counts = torch.bincount(index.flatten(), minlength=n).double()
    # Stratified draws vary less than independent ones: five deviations of those are ample.
    assert bool(((counts / 20_000 - share).abs() < 5 * (share / 20_000).sqrt()).all())
    expected = (n * share[index]) ** -0.7  # beta half way from 0.4 to 1
    expected /= expected.amax(1, keepdim=True)
    torch.testing.assert_close(weight, expected, rtol=1e-5, atol=0)
    full = priorities.draw((1, 100_000), g, n, experienced=100)
    mean = (full[1] * error[full[0]]).sum() / full[1].sum()
    assert abs(float(mean) - float(error.mean())) < 1e-3


def test_new_transitions_have_the_greatest_priority():
    priorities = Priorities(4, alpha=1.0)
    priorities.add(torch.tensor([0]))
    priorities.learn(torch.tensor([0, 0]), torch.tensor([9.0, 7.0]))
    priorities.add(torch.tensor([1]))
    assert priorities.tree[4:].round(decimals=3).tolist() == [7.0, 9.0, 0.0, 0.0]


# -- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"capacity": 7}, "capacity 7 is below batch_size, which is 8"),
        ({"warmup": 59, "capacity": 59}, "which is 60"),
        ({"act_steps": 30}, r"\(act_steps \+ n_step\) x environments, which is 93"),
        ({"n_step": 0}, "n_step must be 1 or more, got 0"),
        ({"hold": 0}, "hold must be 1 or more, got 0"),
        ({"turns": 0}, "turns must be 1 or more"),
        ({"batch_size": 0}, "batch_size must be 1 or more"),
        ({"warmup": 0}, "warmup must be 1 or more"),
    ],
)
def test_what_makes_no_replay_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        replay(**settings)


@pytest.mark.parametrize("settings", [{"alpha": 1.5}, {"beta": -0.1}, {"steps": 0}])
def test_bad_priorities_are_refused(settings):
    with pytest.raises(ConfigError, match="must"):
        Priorities(8, **settings)
