"""Decision processes that are none, and questions that cannot be answered."""

import sys

import numpy as np
import pytest

from phosphene.core.errors import ConfigError, PhospheneError, UnknownNameError
from phosphene.decision.mdp.average_reward import relative_value_iteration
from phosphene.decision.mdp.evaluation import evaluate_policy, policy_values
from phosphene.decision.mdp.finite_horizon import backward_induction
from phosphene.decision.mdp.linear_programming import linear_programming
from phosphene.decision.mdp.mdp import MDP
from phosphene.decision.mdp.policy_iteration import policy_iteration
from phosphene.decision.mdp.value_iteration import value_iteration
from phosphene.kernels.library import forced

P = np.array([[[0.5, 0.5], [0.0, 1.0]], [[1.0, 0.0], [0.3, 0.7]]])
R = np.zeros((2, 2))


def refused(call, *parts, kind=ConfigError):
    """It raises one sentence of this kind that holds all parts."""
    with pytest.raises(PhospheneError) as caught:
        call()
    text = str(caught.value)
    assert isinstance(caught.value, kind)
    assert "\n" not in text
    for part in parts:
        assert part in text, text


def changed(place, value):
    p = P.copy()
    p[place] = value
    return p


@pytest.mark.parametrize("kernels", ["auto", "off"])
def test_rows_that_are_no_distributions(kernels):
    with forced(kernels):
        refused(lambda: MDP(changed((1, 1, 0), 0.4), R), "sum to 1.1", "state 1, action 1")
        refused(lambda: MDP(changed((0, 0), 0.0), R), "no outcome", "state 0, action 0")
        refused(lambda: MDP(changed((0, 0, 0), -0.5), R), "-0.5", "state 0, action 0", "0 to 1")
        refused(lambda: MDP(changed((1, 0, 1), np.nan), R), "nan", "state 0, action 1")
        refused(lambda: MDP(changed((1, 0, 1), np.inf), R), "inf", "state 0, action 1")
        MDP(P, R)


def test_rewards_that_are_no_numbers():
    refused(lambda: MDP(P, [[0, 0], [0, np.nan]]), "rewards must be finite", "state 1, action 1")
    refused(lambda: MDP(P, [[0, np.inf], [0, 0]]), "rewards must be finite", "state 0, action 1")
    by_next = np.zeros((2, 2, 2))
    by_next[1, 0, 0] = np.nan
    refused(lambda: MDP(P, by_next), "rewards must be finite", "state 0, action 1")
    refused(lambda: MDP(P, "high"), "rewards must be an array of numbers")


def test_shapes():
    refused(lambda: MDP(P[0], R), "(A, S, S)", "(2, 2)")
    refused(lambda: MDP(P[:, :1], R), "(A, S, S)", "(2, 1, 2)")
    refused(lambda: MDP([], R), "empty")
    refused(lambda: MDP([[[1.0], [0.5, 0.5]]], R), "transitions must be an array of numbers")
    refused(
        lambda: MDP(P, np.zeros(3)), "rewards must have shape (2,), (2, 2) or (2, 2, 2)", "(3,)"
    )
    refused(lambda: MDP(P, R, terminal=[True]), "terminal must have shape (2,)")
    refused(lambda: MDP(P, R, terminal=[0, 2]), "terminal must be true or false")
    refused(lambda: MDP(P, R, start=[0.5, 0.6]), "start must be probabilities", "1.1")
    refused(lambda: MDP(P, R, start=[1.5, -0.5]), "start", "-0.5")
    refused(lambda: MDP(P, R, start=[np.nan, 1]), "start", "nan")
    refused(lambda: MDP(P, R, start=[1]), "start must have shape (2,)")
    refused(lambda: MDP(P, R, limit=0), "limit must be 1")


def test_sparse_matrices_that_do_not_fit():
    sparse = pytest.importorskip("scipy.sparse")
    refused(lambda: MDP(sparse.eye_array(3, 2).tocsr(), R), "(S * A, S)", "(3, 2)")
    matrices = [sparse.eye_array(2).tocsr(), sparse.eye_array(3).tocsr()]
    refused(lambda: MDP(matrices, R), "the matrix of action 1 must be (2, 2), got (3, 3)")


def test_lists_of_outcomes():
    def of(state=0, action=0, after=0, p=1.0, reward=0.0, ends=None, states=1):
        return lambda: MDP.from_outcomes(
            states, 1, [state], [action], [after], [p], [reward], ends=ends
        )

    refused(of(state=1), "state must be whole numbers, 0 to 0, got 1")
    refused(of(action=-1), "action must be whole numbers", "got -1")
    refused(of(after=0.5), "next must be whole numbers", "got 0.5")
    refused(of(p=0.5), "sum to 0.5 at state 0, action 0")
    refused(of(reward=np.nan), "rewards must be finite")
    refused(of(ends=[2]), "ends must be whole numbers, 0 to 1, got 2")
    refused(of(states=0), "states and actions must be 1 or more, got 0 and 1")
    refused(of(states=2), "no outcome at state 1, action 0")
    refused(
        lambda: MDP.from_outcomes(1, 1, [0, 0], [0], [0], [1.0], [0.0]), "state", "(1,)", "(2,)"
    )
    refused(lambda: MDP.from_outcomes(1, 1, [0], [0], [0], [1.0], [0.0, 1.0]), "reward", "(1,)")


def test_random_processes():
    refused(lambda: MDP.random(0, 2), "states and actions must be 1 or more")
    refused(lambda: MDP.random(3, 2, branching=4), "branching must be 1 to 3")
    refused(lambda: MDP.random(3, 2, branching=1, terminal=3), "terminal must be 0 to 2")


def test_maps():
    refused(lambda: MDP.from_grid("S.\n.G."), "line 2", "2 cells as line 1", "has 3")
    refused(lambda: MDP.from_grid("S.\n.X"), "line 2, character 2", "'X'", "wall")
    refused(lambda: MDP.from_grid(""), "empty")
    refused(lambda: MDP.from_grid("..C"), "needs one S, not 0")
    refused(lambda: MDP.from_grid("S.CS"), "needs one S, not 2")
    refused(lambda: MDP.from_grid("SG", slip=0.6), "slip", "0.6")
    refused(lambda: MDP.from_grid("SG", slip=(0.5, 0.6, 0.1)), "slip")
    refused(lambda: MDP.from_grid("SG", order="left right up down"), "order must go round")
    refused(lambda: MDP.from_grid("SG", order="left right up"), "order must name")
    refused(
        lambda: MDP.from_grid("frozen-lake-4x5"), "did you mean 'frozen-lake-4x4'",
        kind=UnknownNameError,
    )  # fmt: skip


def test_environments(monkeypatch):
    gymnasium = pytest.importorskip("gymnasium")
    refused(lambda: MDP.from_gym("FrozenLake-v9"), "gymnasium cannot make 'FrozenLake-v9'")
    refused(lambda: MDP.from_gym("FrozenLake-v1", size=3), "gymnasium cannot make", "size")
    refused(lambda: MDP.from_gym("CartPole-v1"), "CartPole-v1 has no table", "FrozenLake-v1")
    refused(lambda: MDP.from_gym("Taxi-v4", fickle_passenger=True), "fickle_passenger")
    refused(lambda: MDP.from_gym(gymnasium.make("Taxi-v4"), map_name="8x8"), "map_name")
    refused(lambda: MDP.from_gym(7), "int is no environment")
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    refused(lambda: MDP.from_gym("Taxi-v4"), "not installed", "pip install 'phosphene[rl]'")


def test_discounts_and_tolerances():
    mdp = MDP(P, R)
    for solve in (value_iteration, policy_iteration, linear_programming):
        refused(lambda solve=solve: solve(mdp, 1.1), "gamma must be from 0 to 1, got 1.1")
        refused(lambda solve=solve: solve(mdp, float("nan")), "gamma must be from 0 to 1")
    refused(lambda: policy_values(mdp, [0, 0], -1), "gamma must be from 0 to 1, got -1")
    refused(lambda: value_iteration(mdp, 0.9, tolerance=0), "tolerance must be above 0")
    refused(lambda: value_iteration(mdp, 0.9, sweep="jacoby"), "jacobi", kind=UnknownNameError)
    refused(lambda: value_iteration(mdp, 0.9, sweeps=0), "sweeps must be 1 or more")
    refused(lambda: policy_iteration(mdp, 0.9, sweeps=0), "sweeps must be 1 or more")
    refused(lambda: policy_iteration(mdp, 1, sweeps=5), "gamma = 1")
    refused(lambda: value_iteration(mdp, 0.9, initial_values=[0, np.nan]), "initial")
    refused(lambda: backward_induction(mdp), "horizon must be 1 step or more, got None")
    refused(lambda: backward_induction(mdp, 2, final=[0]), "final must have shape (2,)")


def test_a_tolerance_that_rounding_hides():
    mdp = MDP.random(20, 3, seed=0)
    for solve in (
        lambda: value_iteration(mdp, 0.99, tolerance=1e-15),
        lambda: value_iteration(mdp, 0.99, tolerance=1e-15, sweep="gauss-seidel"),
        lambda: policy_iteration(mdp, 0.99, tolerance=1e-15, sweeps=5),
    ):
        refused(solve, "tolerance 1e-15", "finer than float64")


def test_policies():
    mdp = MDP(P, R)
    for solve in (policy_values, evaluate_policy):
        refused(lambda solve=solve: solve(mdp, [0, 2], 0.9), "actions 0 to 1, got 2 in state 1")
        refused(lambda solve=solve: solve(mdp, [0], 0.9), "a policy must have shape (2,) or (2, 2)")
        rows = [[0.5, 0.5], [0.5, 0.6]]
        refused(lambda solve=solve, rows=rows: solve(mdp, rows, 0.9), "state 1", "got 1.1")
        refused(lambda solve=solve: solve(mdp, "left", 0.9), "policy must be an array of numbers")
    refused(
        lambda: policy_iteration(mdp, 0.9, initial_policy=rows_of(2)), "one action for each state"
    )


def rows_of(states):
    return np.full((states, 2), 0.5)


def test_a_gain_that_does_not_exist():
    refused(lambda: relative_value_iteration(MDP.from_grid("cliff")), "cliff ends")
    apart = MDP([np.eye(2)], [[1.0], [2.0]])
    refused(
        lambda: relative_value_iteration(apart, sweeps=100), "between 1 and 2", "where one begins"
    )


def test_scipy_that_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    refused(lambda: linear_programming(MDP(P, R), 0.9), "scipy", "pip install")


def test_episodes_that_hardly_ever_end_are_not_swept_forever():
    """Always up, nearly: the goal of the cliff is below, some hundred million steps away."""
    mdp = MDP.from_grid("cliff")
    policy = np.full((mdp.states, 4), 0.025)
    policy[:, 0] += 0.9
    with pytest.raises(ConfigError, match="solve the equations instead"):
        evaluate_policy(mdp, policy, gamma=1.0, tolerance=1e-6)
    assert policy_values(mdp, policy, gamma=1.0)[36] < -1e5
