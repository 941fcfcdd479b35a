"""What a decision process holds, however it was made."""

import numpy as np
import pytest
import torch

from phosphene.decision.mdp.evaluation import induced
from phosphene.decision.mdp.grid import BUILT_IN, grid_of
from phosphene.decision.mdp.mdp import MDP
from phosphene.kernels.library import forced


def dense(actions=3, states=6, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(states), size=(actions, states))
    p[:, :, 2] = 0.0  # a column of zeros: sparse rows differ in length from dense ones
    return p / p.sum(2, keepdims=True), rng.standard_normal((states, actions))


def equal(a, b):
    """The same process, to the last bit."""
    assert (a.states, a.actions) == (b.states, b.actions)
    for name in ("indptr", "next", "probability", "outcome_reward", "ends", "rewards", "terminal"):
        x, y = getattr(a, name), getattr(b, name)
        assert x.dtype == y.dtype, name
        assert np.array_equal(x, y), name
    assert np.array_equal(a.start, b.start)


def test_every_form_of_transitions_is_the_same_process():
    sparse = pytest.importorskip("scipy.sparse")
    p, r = dense()
    first = MDP(p, r)
    stacked = p.transpose(1, 0, 2).reshape(18, 6)
    equal(first, MDP(p.tolist(), r.tolist()))
    equal(first, MDP(torch.from_numpy(p), torch.from_numpy(r)))
    equal(first, MDP([sparse.csr_array(m) for m in p], r))
    equal(first, MDP([p[0], sparse.coo_matrix(p[1]), sparse.csc_matrix(p[2])], r))
    equal(first, MDP(sparse.csr_matrix(stacked), r))
    np.testing.assert_allclose(first.matrices(), p)


def test_every_form_of_rewards_gives_the_expected_reward():
    p, _ = dense()
    rng = np.random.default_rng(1)
    by_state = rng.standard_normal(6)
    assert np.array_equal(MDP(p, by_state).rewards, np.repeat(by_state[:, None], 3, axis=1))
    by_next = rng.standard_normal((3, 6, 6))
    np.testing.assert_allclose(MDP(p, by_next).rewards, np.einsum("ast,ast->sa", p, by_next))
    mdp = MDP(p, by_next)
    for probability, after, reward, ends in mdp.outcomes(4, 1):
        assert (probability, reward, ends) == (p[1, 4, after], by_next[1, 4, after], False)


def test_float32_rows_are_normalized():
    p = dense()[0].astype(np.float32)
    mdp = MDP(p, np.zeros(6))
    sums = np.add.reduceat(mdp.probability, mdp.indptr[:-1])
    assert abs(sums - 1).max() < 1e-15


def test_lists_of_outcomes_need_no_order_and_keep_repeated_ones():
    lists = {
        "state": [1, 0, 0, 1, 0],
        "action": [0, 0, 0, 0, 0],
        "next": [0, 1, 1, 1, 0],
        "probability": [0.5, 0.25, 0.25, 0.5, 0.5],
        "reward": [1.0, 2.0, -2.0, 3.0, 0.0],
        "ends": [True, False, True, False, False],
    }
    mdp = MDP.from_outcomes(2, 1, **lists)
    assert mdp.outcomes(0, 0) == [
        (0.25, 1, 2.0, False),
        (0.25, 1, -2.0, True),
        (0.5, 0, 0.0, False),
    ]
    assert mdp.rewards.tolist() == [[0.0], [2.0]]
    assert mdp.weight.tolist() == [0.25, 0.0, 0.5, 0.0, 0.5]
    assert mdp.start.tolist() == [0.5, 0.5]


def test_nothing_is_earned_in_or_beyond_a_terminal_state():
    p, r = dense()
    p[:, 5] = np.nan  # never read
    mdp = MDP(p, r, terminal=[0, 0, 0, 0, 0, 1])
    assert (mdp.rewards[5] == 0).all()
    assert mdp.start.tolist() == [0.2] * 5 + [0.0]
    of_terminal = np.arange(len(mdp.next)) >= mdp.indptr[15]
    assert np.array_equal(mdp.ends, (mdp.next == 5) | of_terminal)
    assert (mdp.weight[mdp.next == 5] == 0).all()
    assert (mdp.weight[mdp.indptr[15] :] == 0).all()


def test_states_whose_outcomes_all_end_without_reward_are_terminal():
    mdp = MDP.from_outcomes(
        3, 1, [0, 1, 2], [0, 0, 0], [1, 1, 2], [1, 1, 1], [0.0, 0.0, 5.0], [False, True, True]
    )
    assert mdp.terminal.tolist() == [False, True, False]
    assert mdp.ends.tolist() == [True, True, True]


@pytest.mark.parametrize(
    ("name", "identity", "options"),
    [
        ("frozen-lake-4x4", "FrozenLake-v1", {}),
        ("frozen-lake-8x8", "FrozenLake-v1", {"map_name": "8x8"}),
        ("cliff", "CliffWalking-v1", {}),
    ],
)
@pytest.mark.parametrize("slippery", [False, True])
def test_maps_that_are_built_in_are_those_of_gymnasium(name, identity, options, slippery):
    gymnasium = pytest.importorskip("gymnasium")
    slip = {"cliff": (1 / 3, 1 / 3, 1 / 3)}.get(name) if slippery else 0.0
    mdp = MDP.from_grid(name, slip=slip)
    env = gymnasium.make(identity, is_slippery=slippery, **options)
    table = env.unwrapped.P
    assert (mdp.states, mdp.actions) == (len(table), len(table[0]))
    for state in range(mdp.states):
        # The last cell of the cliff has a row in gymnasium that no episode meets.
        for action in range(mdp.actions) if not (name == "cliff" and state == 47) else []:
            assert mdp.outcomes(state, action) == [tuple(o) for o in table[state][action]]
    theirs = MDP.from_gym(env)
    assert np.array_equal(mdp.start, env.unwrapped.initial_state_distrib)
    assert np.array_equal(mdp.terminal, theirs.terminal)
    assert np.array_equal(mdp.rewards, theirs.rewards)
    assert np.array_equal(mdp.weight, theirs.weight) or name == "cliff"
    assert theirs.limit == env.spec.max_episode_steps == mdp.limit
    assert theirs.grid.text == mdp.grid.text
    assert theirs.grid.directions == mdp.grid.directions


def test_taxi_has_its_starts_and_its_limit():
    pytest.importorskip("gymnasium")
    mdp = MDP.from_gym("Taxi-v4")
    assert (mdp.states, mdp.actions, mdp.limit, mdp.grid) == (500, 6, 200, None)
    assert ((mdp.start > 0).sum(), round(mdp.start.max() * 300)) == (300, 1)
    assert mdp.ends.sum() == 4  # a passenger is put down at one of four places


def test_walls_keep_one_where_one_is_and_cost_a_step():
    mdp = MDP.from_grid("S#\n.G", step=-2, goal=7)
    left, down, right, up = range(4)
    assert mdp.outcomes(0, right) == [(1.0, 0, -2.0, False)]
    assert mdp.outcomes(0, up) == [(1.0, 0, -2.0, False)]
    assert mdp.outcomes(0, down) == [(1.0, 2, -2.0, False)]
    assert mdp.outcomes(2, right) == [(1.0, 3, 7.0, True)]
    assert mdp.outcomes(2, left) == [(1.0, 2, -2.0, False)]
    assert mdp.terminal.tolist() == [False, True, False, True]
    assert mdp.grid.walls.tolist() == [[False, True], [False, False]]


def test_sliding_goes_to_both_sides():
    mdp = MDP.from_grid("...\n.S.\n..G", slip=0.25)
    assert mdp.outcomes(4, 0) == [
        (0.25, 1, 0.0, False),
        (0.5, 3, 0.0, False),
        (0.25, 7, 0.0, False),
    ]


def test_policies_are_drawn_as_arrows():
    for preset in BUILT_IN.values():
        grid = grid_of(preset.text.splitlines(), preset.order)
        picture = grid.draw(np.zeros(grid.rows * grid.columns, dtype=int))
        assert set(picture) <= {grid.arrows[0], "G", "H", "C", "\n"}
        assert len(picture.splitlines()) == grid.rows
    assert grid_of(["..", ".."], "up right down left").draw([0, 1, 2, 3]) == "↑→\n↓←"


@pytest.mark.parametrize("branching", [1, 2, 5, 11])
def test_random_processes_have_different_next_states_and_are_a_function_of_the_seed(branching):
    mdp = MDP.random(11, 3, branching=branching, seed=4, terminal=2)
    rows = mdp.next.reshape(33, branching)
    assert all(len(set(row)) == branching for row in rows)
    np.testing.assert_allclose(mdp.probability.reshape(33, -1).sum(1), 1, rtol=1e-14)
    equal(mdp, MDP.random(11, 3, branching=branching, seed=4, terminal=2))
    other = MDP.random(11, 3, branching=branching, seed=5, terminal=2)
    assert not np.array_equal(other.rewards, mdp.rewards)
    assert mdp.terminal.tolist() == [False] * 9 + [True] * 2


def test_random_probabilities_are_uniform_cuts():
    mdp = MDP.random(20_000, 2, branching=3, seed=1)
    p = mdp.probability.reshape(-1, 3)
    # Spacings of two uniform cuts: mean 1/3, variance 1/18.
    np.testing.assert_allclose(p.mean(0), 1 / 3, atol=5 * np.sqrt(1 / 18 / len(p)))
    np.testing.assert_allclose(p.var(0), 1 / 18, rtol=0.03)


def test_a_policy_leaves_a_chain():
    p, r = dense()
    rng = np.random.default_rng(2)
    policy = rng.dirichlet(np.ones(3), size=6)
    policy[0] = (0.0, 1.0, 0.0)
    chain = induced(MDP(p, r), policy)
    np.testing.assert_allclose(chain.matrices()[0], np.einsum("sa,ast->st", policy, p))
    np.testing.assert_allclose(chain.rewards[:, 0], (policy * r).sum(1))
    chosen = induced(MDP(p, r), [0, 1, 2, 0, 1, 2])
    np.testing.assert_allclose(chosen.matrices()[0], p[[0, 1, 2, 0, 1, 2], range(6)])
    assert np.array_equal(chosen.rewards[:, 0], r[range(6), [0, 1, 2, 0, 1, 2]])


def test_the_native_check_and_the_slow_one_agree():
    p, r = dense()
    with forced("off"):
        slow = MDP(p, r)
    equal(slow, MDP(p, r))
