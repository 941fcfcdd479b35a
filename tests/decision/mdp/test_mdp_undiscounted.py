"""gamma = 1: what is solved, what is refused, and states that must be taken as one."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phosphene.core.errors import ConfigError
from phosphene.decision.mdp.evaluation import evaluate_policy, policy_values
from phosphene.decision.mdp.linear_programming import linear_programming
from phosphene.decision.mdp.mdp import MDP
from phosphene.decision.mdp.policy_iteration import policy_iteration
from phosphene.decision.mdp.undiscounted import _tarjan, undiscounted
from phosphene.decision.mdp.value_iteration import value_iteration


def made(states, outcomes, **options):
    """From (state, action, next, probability, reward, ends)."""
    actions = 1 + max(o[1] for o in outcomes)
    return MDP.from_outcomes(states, actions, *zip(*outcomes, strict=True), **options)


def refused(mdp, *parts):
    for solve in (value_iteration, policy_iteration):
        with pytest.raises(ConfigError) as caught:
            solve(mdp, 1)
        text = str(caught.value)
        assert "\n" not in text
        for part in ("gamma", *parts):
            assert part in text, text


def test_a_positive_cycle_is_refused_by_name():
    mdp = made(3, [(0, 0, 1, 1, 0, 0), (1, 0, 0, 1, 2, 0), (2, 0, 2, 1, 0, 1)])
    refused(mdp, "return to state 1", "action 0", "infinite reward")


def test_a_cycle_of_both_signs_is_refused():
    mdp = made(3, [(0, 0, 1, 1, -2, 0), (1, 0, 0, 1, 2, 0), (2, 0, 2, 1, 0, 1)])
    refused(mdp, "state 1", "both signs")


def test_a_state_without_a_way_to_the_end_is_refused_by_name():
    mdp = made(
        4, [(0, 0, 3, 1, -1, 1), (1, 0, 2, 1, -1, 0), (2, 0, 1, 1, 0, 0), (3, 0, 3, 1, 0, 1)]
    )
    refused(mdp, "from state 1", "no sequence of actions ends")
    refused(MDP.random(10, 2), "gamma = 1")


def test_rewards_that_end_are_no_cycle():
    """A positive reward on the way to the end is earned once."""
    mdp = made(2, [(0, 0, 0, 0.5, -1, 0), (0, 0, 1, 0.5, 9, 1), (1, 0, 1, 1, 0, 1)])
    for solve in (value_iteration, policy_iteration):
        assert solve(mdp, 1).values[0] == pytest.approx(8.0)


def test_a_policy_that_never_ends_is_refused_by_its_state():
    cliff = MDP.from_grid("cliff")
    up = np.zeros(48)
    for solve in (evaluate_policy, policy_values):
        with pytest.raises(ConfigError, match="from state 0 of cliff no sequence of actions ends"):
            solve(cliff, up, 1)
    lake = MDP.from_grid("frozen-lake-4x4", slip=0)
    assert (policy_values(lake, np.zeros(16), 1) == 0).all()  # to the left forever, for nothing
    assert (evaluate_policy(lake, np.zeros(16), 1).values == 0).all()


def test_staying_without_reward_is_worth_nothing_and_leaving_what_it_pays():
    """Two states one may go round in: one exit pays 3, the other costs 5."""
    outcomes = [
        (0, 0, 1, 1, 0, 0), (0, 1, 2, 1, -5, 1),
        (1, 0, 0, 1, 0, 0), (1, 1, 2, 1, 3, 1),
        (2, 0, 2, 1, 0, 1), (2, 1, 2, 1, 0, 1),
    ]  # fmt: skip
    mdp = made(3, outcomes)
    known = undiscounted(mdp)
    assert known.component.tolist() == [0, 0, -1]
    for solve in (value_iteration, policy_iteration, linear_programming):
        solution = solve(mdp, 1)
        assert solution.values.tolist() == pytest.approx([3, 3, 0], abs=1e-8)
        assert solution.policy.tolist()[:2] == [0, 1]
        assert solution.residual < 1e-8
    outcomes[3] = (1, 1, 2, 1, -3, 1)
    for solve in (value_iteration, policy_iteration, linear_programming):
        solution = solve(made(3, outcomes), 1)
        assert solution.values.tolist() == pytest.approx([0, 0, 0], abs=1e-8)
        assert solution.policy.tolist()[:2] == [0, 0]  # round and round


def test_greedy_on_the_right_values_may_stay_forever_and_ours_does_not():
    """In a component every action that stays is greedy; only the way out earns the value."""
    lake = MDP.from_grid("frozen-lake-8x8")
    for solve in (value_iteration, policy_iteration):
        solution = solve(lake, 1)
        assert solution.start_value(lake) == pytest.approx(1.0, abs=1e-7)
        assert lake.start @ policy_values(lake, solution.policy, 1) == pytest.approx(1.0, abs=1e-7)


def test_a_coin_is_thrown_until_it_shows_heads():
    """V = 1 - (1 - p)^n goes to 1 so slowly that a small change says nothing."""
    p = 1e-4
    mdp = made(2, [(0, 0, 0, 1 - p, 0, 0), (0, 0, 1, p, 1, 1), (1, 0, 1, 1, 0, 1)])
    assert value_iteration(mdp, 1, tolerance=1e-6).values[0] == pytest.approx(1.0, abs=1e-6)
    walk = MDP.from_grid("G" + "." * 49 + "G", step=-1, goal=-1)
    random = evaluate_policy(walk, np.tile([0.5, 0, 0.5, 0], (51, 1)), 1, tolerance=1e-6)
    steps = np.arange(51.0)
    np.testing.assert_allclose(random.values, -steps * (50 - steps), atol=1e-6)


def best_by_trying(mdp):
    """V* as the best over all deterministic policies; each is followed for ever."""
    p = np.zeros((mdp.states, mdp.actions, mdp.states))
    rows = np.repeat(np.arange(mdp.states * mdp.actions), np.diff(mdp.indptr))
    np.add.at(p, (rows // mdp.actions, rows % mdp.actions, mdp.next), mdp.weight)
    states = np.arange(mdp.states)
    every = np.stack(np.meshgrid(*[range(mdp.actions)] * mdp.states), -1).reshape(-1, mdp.states)
    matrix, value = p[states, every], mdp.rewards[states, every]
    for _ in range(24):  # doubling: 2^24 steps
        value = value + (matrix @ value[..., None])[..., 0]
        matrix = matrix @ matrix
    value = np.where(value < -1e4, -np.inf, value)
    return value.max(0)


@st.composite
def episodic(draw):
    """Small processes whose rewards on the way are 0 or less, and of any sign at the end."""
    states, actions = 4, draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 100_000)))
    costs = rng.choice([0.0, 0.0, -1.0, -0.5], size=(states, actions))
    outcomes = []
    for s in range(states):
        for a in range(actions):
            if rng.random() < 0.3:
                outcomes.append(
                    (s, a, int(rng.integers(states)), 1.0, float(rng.integers(-4, 5)), 1)
                )
                continue
            after = rng.choice(states, size=2, replace=False)
            share = rng.choice([0.5, 1.0])
            outcomes.append((s, a, int(after[0]), share, costs[s, a], 0))
            if share < 1:
                outcomes.append((s, a, int(after[1]), 0.5, costs[s, a], 0))
    return made(states, outcomes)


@given(episodic())
def test_no_policy_is_better(mdp):
    exact = best_by_trying(mdp)
    if np.isinf(exact).any():
        refused(mdp)
        return
    for solve in (value_iteration, policy_iteration, linear_programming):
        solution = solve(mdp, 1)
        np.testing.assert_allclose(solution.values, exact, atol=2e-8)
        np.testing.assert_allclose(policy_values(mdp, solution.policy, 1), exact, atol=1e-7)


@given(st.integers(0, 10_000))
def test_components_without_scipy_are_the_same(seed):
    csgraph = pytest.importorskip("scipy.sparse.csgraph")
    from scipy.sparse import coo_array

    rng = np.random.default_rng(seed)
    states = int(rng.integers(1, 30))
    edges = rng.integers(states, size=(2, int(rng.integers(0, 2 * states))))
    ours = _tarjan(edges[0], edges[1], states)
    graph = coo_array((np.ones(edges.shape[1]), tuple(edges)), shape=(states, states))
    theirs = csgraph.connected_components(graph, connection="strong")[1]
    same = ours[:, None] == ours[None]
    assert np.array_equal(same, theirs[:, None] == theirs[None])


def test_a_long_chain_needs_no_recursion():
    states = 3 * sys.getrecursionlimit()
    ring = np.arange(states)
    assert len(set(_tarjan(ring, (ring + 1) % states, states))) == 1


def test_without_scipy_the_lake_is_solved_too(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    lake = MDP.from_grid("frozen-lake-4x4")
    assert value_iteration(lake, 1).start_value(lake) == pytest.approx(14 / 17, abs=1e-8)
