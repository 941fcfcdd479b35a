"""Known numbers: gymnasium's tables, Sutton and Barto's example 4.1, pymdptoolbox's forest."""

import numpy as np
import pytest

from phosphene.decision.mdp.evaluation import evaluate_policy, linear_solve, policy_values
from phosphene.decision.mdp.finite_horizon import backward_induction
from phosphene.decision.mdp.linear_programming import linear_programming
from phosphene.decision.mdp.mdp import MDP
from phosphene.decision.mdp.policy_iteration import policy_iteration
from phosphene.decision.mdp.value_iteration import value_iteration

TABLE = {
    "FrozenLake-v1": (14 / 17, 0.5420259, 0.1804716),
    "FrozenLake-v1?map_name=8x8": (1.0, 0.4146404, 0.0482502),
    "FrozenLake-v1?is_slippery=": (1.0, 0.9509900, 0.7737809),
    "CliffWalking-v1": (-13.0, -12.2478977, -9.7331583),
    "CliffWalking-v1?is_slippery=1": (-64.7091759, -46.3526722, -18.7568307),
    "Taxi-v4": (7.93, 6.3274643, 1.7299300),
}
CASES = [(n, g, v) for n, row in TABLE.items() for g, v in zip((1, 0.99, 0.95), row, strict=True)]


@pytest.fixture(scope="module")
def gym():
    pytest.importorskip("gymnasium")
    made = {}

    def build(name):
        if name not in made:
            identity, _, option = name.partition("?")
            key, _, value = option.partition("=")
            value = bool(value) if key == "is_slippery" else value
            made[name] = MDP.from_gym(identity, **({key: value} if key else {}))
        return made[name]

    return build


@pytest.mark.parametrize(("name", "gamma", "value"), CASES)
def test_values_of_starts(gym, name, gamma, value):
    mdp = gym(name)
    swept = value_iteration(mdp, gamma)
    improved = policy_iteration(mdp, gamma)
    assert swept.start_value(mdp) == pytest.approx(value, abs=1e-6)
    assert improved.start_value(mdp) == pytest.approx(value, abs=1e-6)
    # The greedy policy of the values is as good as the values say.
    for solution in (swept, improved):
        solved = policy_values(mdp, solution.policy, gamma)
        assert mdp.start @ solved == pytest.approx(value, abs=1e-6)
        np.testing.assert_allclose(solution.values, solved, atol=1e-7)
        assert solution.residual < 2e-8
    assert abs(swept.values - improved.values).max() <= 1e-8


@pytest.mark.parametrize(("name", "gamma", "value"), [c for c in CASES if "Taxi" not in c[0]])
def test_values_by_linear_programming(gym, name, gamma, value):
    pytest.importorskip("scipy")
    solution = linear_programming(gym(name), gamma)
    assert solution.start_value(gym(name)) == pytest.approx(value, abs=1e-6)
    assert solution.residual < 1e-6


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("gamma", [0.99, 0.95])
def test_values_by_other_sweeps(gym, name, gamma):
    mdp = gym(name)
    exact = policy_iteration(mdp, gamma).values
    for other in (
        value_iteration(mdp, gamma, sweep="gauss-seidel"),
        policy_iteration(mdp, gamma, sweeps=10),
    ):
        assert abs(other.values - exact).max() <= 1e-8


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FrozenLake-v1", 0.7441903),
        ("FrozenLake-v1?map_name=8x8", 0.6407193),
        ("FrozenLake-v1?is_slippery=", 1.0),
        ("Taxi-v4", 7.93),
    ],
)
def test_values_within_the_time_limit(gym, name, value):
    plan = backward_induction(gym(name))
    assert plan.start_value(gym(name)) == pytest.approx(value, abs=1e-6)


def test_no_stationary_policy_is_as_good_within_the_limit(gym):
    """Within 100 steps the best stationary policy succeeds less often than one with a clock."""
    mdp = gym("FrozenLake-v1")
    best = value_iteration(mdp, 0.99).policy
    success = evaluate_policy(mdp, best, 1, sweeps=100).start_value(mdp)
    assert success == pytest.approx(0.74016, abs=1e-5)
    assert success < backward_induction(mdp).start_value(mdp) - 0.004


# Sutton and Barto (2018), example 4.1

RANDOM = np.full((16, 4), 0.25)
SWEPT = {
    1: [0.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0],
    2: [0.0, -1.7, -2.0, -2.0, -1.7, -2.0, -2.0, -2.0],
    3: [0.0, -2.4, -2.9, -3.0, -2.4, -2.9, -3.0, -2.9],
    10: [0.0, -6.1, -8.4, -9.0, -6.1, -7.7, -8.4, -8.4],
}


@pytest.mark.parametrize("sweeps", SWEPT)
def test_sweeps_of_the_random_policy(sweeps):
    grid = MDP.from_grid("gridworld")
    values = evaluate_policy(grid, RANDOM, 1, sweeps=sweeps).values
    # The book prints -1.75 as -1.7, and -2.4375 as -2.4.
    np.testing.assert_allclose(values[:8], SWEPT[sweeps], atol=0.0501)
    np.testing.assert_allclose(values, values[::-1], atol=1e-12)


def test_values_of_the_random_policy():
    grid = MDP.from_grid("gridworld")
    exact = [0, -14, -20, -22, -14, -18, -20, -20, -20, -20, -18, -14, -22, -20, -14, 0]
    np.testing.assert_allclose(policy_values(grid, RANDOM, 1), exact, atol=1e-10)
    swept = evaluate_policy(grid, RANDOM, 1, tolerance=1e-10)
    np.testing.assert_allclose(swept.values, exact, atol=1e-10)
    best = value_iteration(grid, 1)
    assert best.values.tolist() == [0, -1, -2, -3, -1, -2, -3, -2, -2, -3, -2, -1, -3, -2, -1, 0]


# pymdptoolbox

FOREST = (
    [[[0.1, 0.9, 0], [0.1, 0, 0.9], [0.1, 0, 0.9]], [[1, 0, 0], [1, 0, 0], [1, 0, 0]]],
    [[0, 0], [0, 1], [4, 2]],
)


def test_forest():
    mdp = MDP(*FOREST)
    for solution in (
        value_iteration(mdp, 0.9),
        value_iteration(mdp, 0.9, sweep="gauss-seidel"),
        policy_iteration(mdp, 0.9),
        policy_iteration(mdp, 0.9, sweeps=5),
    ):
        assert solution.policy.tolist() == [0, 0, 0]
        np.testing.assert_allclose(solution.values, [26.244, 29.484, 33.484], atol=1e-8)


def test_forest_is_that_of_pymdptoolbox():
    toolbox, example = (
        pytest.importorskip("mdptoolbox.mdp"),
        pytest.importorskip("mdptoolbox.example"),
    )
    p, r = example.forest()
    theirs = toolbox.PolicyIteration(p, r, 0.9)
    theirs.run()
    ours = policy_iteration(MDP(p, r), 0.9)
    np.testing.assert_allclose(ours.values, theirs.V, atol=1e-10)
    assert tuple(ours.policy) == theirs.policy


def test_values_are_those_of_quantecon():
    markov, sparse = pytest.importorskip("quantecon.markov"), pytest.importorskip("scipy.sparse")
    mdp = MDP.random(300, 4, seed=3)
    pairs = np.repeat(np.arange(300), 4), np.tile(np.arange(4), 300)
    matrix = sparse.csr_matrix((mdp.probability, mdp.next, mdp.indptr), shape=(1200, 300))
    theirs = markov.DiscreteDP(mdp.rewards.ravel(), matrix, 0.95, *pairs).solve("policy_iteration")
    ours = policy_iteration(MDP(matrix, mdp.rewards), 0.95)
    np.testing.assert_allclose(ours.values, theirs.v, atol=1e-9)
    assert np.array_equal(ours.policy, theirs.sigma)


def test_the_linear_equations_are_told_as_a_solution():
    """As its siblings: values, the policy that was given, its q, and how well they agree."""
    mdp = MDP.random(30, 3, seed=4)
    for policy in (np.zeros(30), np.full((30, 3), 1 / 3)):
        exact, swept = linear_solve(mdp, policy, 0.9), evaluate_policy(mdp, policy, 0.9)
        np.testing.assert_array_equal(exact.values, policy_values(mdp, policy, 0.9))
        np.testing.assert_allclose(exact.values, swept.values, atol=1e-7)
        np.testing.assert_allclose(exact.q, swept.q, atol=1e-7)
        assert exact.residual < 1e-12
        assert exact.policy.shape == policy.shape
        assert exact.gamma == 0.9
