"""Environments whose table is known: frequencies of outcomes, ends, limits, gymnasium's tables."""

import numpy as np
import pytest
import torch
from scipy import stats

from phosphene.decision.environments.table import make, spec
from phosphene.decision.environments.tabular import TabularEnvironment
from phosphene.decision.mdp.mdp import MDP

FIELDS = ("observation", "reward", "terminated", "truncated", "next")


def process(seed=0):
    """8 states, 3 actions, rows of 1 to 5 outcomes with ends, rewards of their own, and zeros."""
    generator = np.random.default_rng(seed)
    rows = []
    for state in range(8):
        for action in range(3):
            count = 1 + (state + action) % 5
            p = generator.dirichlet(np.ones(count))
            if count > 2:
                p = np.append(p, 0.0)  # an outcome that cannot be, at the end
                p[0], p[1] = 0.0, p[0] + p[1]  # and one at the beginning
            for k, one in enumerate(p):
                after = int(generator.integers(8))
                rows.append((state, action, after, one, float(10 * state + k), k == 2))
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return MDP.from_outcomes(8, 3, *columns, start=generator.dirichlet(np.ones(8)))


def test_outcomes_come_as_often_as_the_table_says():
    """Chi-square of every (state, action), rewards telling outcomes of one next state apart."""
    mdp = process()
    n = 3000
    environment = TabularEnvironment(mdp, n, seed=1)
    environment.reset()
    for state in range(8):
        for action in range(3):
            environment._state[...] = state
            environment._clock[...] = environment._clock + 1 + action
            step = environment.step(torch.full((n,), action))
            table = mdp.outcomes(state, action)
            expected = {(after, reward, ends): 0.0 for _, after, reward, ends in table}
            for p, after, reward, ends in table:
                expected[after, reward, ends] += p * n
            seen = dict.fromkeys(expected, 0)
            triples = zip(
                step.next[:, 0].tolist(), step.reward.tolist(), step.terminated.tolist(),
                strict=True,
            )  # fmt: skip
            for triple in triples:
                seen[triple] += 1  # a KeyError is an outcome that the table does not have
            possible = [key for key, count in expected.items() if count > 0]
            assert sum(seen[key] for key in possible) == n
            if len(possible) > 1:
                counts = [seen[key] for key in possible], [expected[key] for key in possible]
                assert stats.chisquare(*counts).pvalue > 1e-5


def test_starts_come_as_often_as_the_process_says():
    mdp = process(3)
    states = TabularEnvironment(mdp, 20_000, seed=2).reset()[:, 0].numpy()
    counts = np.bincount(states, minlength=8)
    assert stats.chisquare(counts, mdp.start * 20_000).pvalue > 1e-4


def test_a_long_row_is_drawn_right():
    """A hundred outcomes of one action, most of them impossible."""
    p = np.zeros(100)
    p[[7, 50, 98]] = 0.2, 0.5, 0.3
    mdp = MDP(np.tile(p, (1, 100, 1)), np.zeros((100, 1)))
    environment = TabularEnvironment(mdp, 20_000, seed=0)
    environment.reset()
    states = environment.step(torch.zeros(20_000, dtype=torch.int64)).next[:, 0].numpy()
    counts = np.bincount(states, minlength=100)
    assert counts[[7, 50, 98]].sum() == 20_000
    assert stats.chisquare(counts[[7, 50, 98]], 20_000 * p[[7, 50, 98]]).pvalue > 1e-4


@pytest.mark.parametrize("name", ["FrozenLake-v1", "CliffWalking-v1", "Taxi-v4", "grid:gridworld"])
def test_parts_copies_and_resumed_runs_agree(name):
    make_one = lambda n, first: make(f"{name}?limit=13", n, seed=4, first=first)  # noqa: E731
    whole, parts = make_one(6, 0), [make_one(2, 0), make_one(4, 2)]
    assert torch.equal(whole.reset(), torch.cat([part.reset() for part in parts]))
    generator, saved, clock = torch.Generator().manual_seed(0), None, torch.zeros(6)
    for _ in range(60):
        action = torch.randint(whole.spec.actions, (6,), generator=generator)
        if saved is not None:
            resumed = make_one(6, 0)
            resumed.load_state_dict(saved)
            again = resumed.step(action)
        step = whole.step(action)
        answers = [parts[0].step(action[:2]), parts[1].step(action[2:])]
        for field in FIELDS:
            joined = torch.cat([getattr(answer, field) for answer in answers])
            assert torch.equal(getattr(step, field), joined)
            assert saved is None or torch.equal(getattr(step, field), getattr(again, field))
        going = ~step.done
        assert torch.equal(step.next[going], step.observation[going])
        clock += 1
        assert torch.equal(step.truncated, clock == 13)
        clock[step.done] = 0
        saved = whole.state_dict()
    assert whole.exact


def test_what_was_handed_out_stays_as_it_is():
    environment = make("CliffWalking-v1", 3)
    kept = [environment.reset()]
    before = [kept[0].clone()]
    for _ in range(20):
        step = environment.step(torch.tensor([0, 1, 2]))
        kept += [step.observation, step.next]
        before += [step.observation.clone(), step.next.clone()]
    assert all(torch.equal(a, b) for a, b in zip(kept, before, strict=True))


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("FrozenLake-v1", {}),
        ("FrozenLake-v1?map_name=8x8", {"map_name": "8x8"}),
        ("FrozenLake-v1?is_slippery=false", {"is_slippery": False}),
        ("FrozenLake-v1?success_rate=0.5", {"success_rate": 0.5}),
        ("FrozenLake8x8-v1", {}),
        ("CliffWalking-v1", {}),
        ("CliffWalking-v1?is_slippery=true", {"is_slippery": True}),
        ("CliffWalkingSlippery-v1", {}),
        ("Taxi-v4", {}),
        ("Taxi-v4?is_rainy=true", {"is_rainy": True}),
    ],
)
def test_tables_are_those_of_gymnasium(name, given):
    """Every outcome that an episode can meet, merged by where it leads."""
    gymnasium = pytest.importorskip("gymnasium")
    base = name.partition("?")[0]
    ours, peer = make(name), gymnasium.make(base, **given)
    assert ours.spec.limit == peer.spec.max_episode_steps
    assert ours.spec.states == peer.observation_space.n
    assert ours.spec.actions == peer.action_space.n
    np.testing.assert_allclose(ours.mdp.start, peer.unwrapped.initial_state_distrib, atol=1e-12)
    for state, actions in peer.unwrapped.P.items():
        if ours.mdp.terminal[state]:
            continue
        for action, table in actions.items():
            sums: list[dict] = [{}, {}]
            for side, rows in zip(sums, (table, ours.mdp.outcomes(state, action)), strict=True):
                for p, after, reward, ends in rows:
                    key = (int(after), float(reward), bool(ends))
                    side[key] = side.get(key, 0.0) + p
            theirs, own = ({k: v for k, v in side.items() if v > 0} for side in sums)
            assert own.keys() == theirs.keys()
            assert all(abs(own[key] - theirs[key]) < 1e-12 for key in own)


def test_returns_of_the_optimal_policy_are_those_of_the_book():
    """FrozenLake 4x4 within 100 steps: walking at random succeeds rarely; the table knows."""
    environment = make("CliffWalking-v1", 1)
    environment.reset()
    total = 0.0
    for action in [0, *[1] * 11, 2]:  # up, along the cliff, down
        step = environment.step(torch.tensor([action]))
        total += float(step.reward)
    assert total == -13.0
    assert bool(step.terminated)
    assert step.observation.tolist() == [[36]]


def test_a_map_from_a_file(tmp_path):
    path = tmp_path / "maze.txt"
    path.write_text("S.#\n..G\n")
    environment = make(f"grid:{path}?step=-1&goal=5&order=up-right-down-left", 1)
    assert environment.spec.states == 6
    assert environment.reset().tolist() == [[0]]
    rewards = [float(environment.step(torch.tensor([a])).reward) for a in (1, 1, 2, 1)]
    assert rewards == [-1.0, -1.0, -1.0, 5.0]
    assert spec(f"grid:{path}").actions == 4


def test_pictures_without_a_map():
    environment = TabularEnvironment(MDP.random(30, 2, seed=0, terminal=2), 1)
    environment.reset()
    one = environment.render()
    environment.step(torch.tensor([0]))
    assert one.shape == environment.render().shape == (300, 400, 3)
    assert not np.array_equal(one, environment.render())
    big = TabularEnvironment(MDP.random(20_000, 1, seed=0, branching=2), 1)
    big.reset()
    assert big.render().shape == (300, 400, 3)
