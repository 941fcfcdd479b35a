"""What sweeps claim of the solution: the bounds hold it, and no narrower or wider ones are used."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phosphene.core.errors import ConfigError
from phosphene.decision.mdp.evaluation import evaluate_policy, policy_values
from phosphene.decision.mdp.mdp import MDP
from phosphene.decision.mdp.policy_iteration import policy_iteration
from phosphene.decision.mdp.solution import process
from phosphene.decision.mdp.sweeping import bounds_of
from phosphene.decision.mdp.value_iteration import value_iteration
from phosphene.kernels.dynamic_programming import sweeps
from phosphene.kernels.library import forced

DISCOUNTS = st.sampled_from([0.3, 0.9, 0.99])
COARSE = (10.0, 1.0, 0.1, 1e-3)
"""A fine tolerance hides what a bound forgets: nothing is left to be carried on."""


@st.composite
def even(draw):
    """Processes whose rewards are nearly the same everywhere, and whose episodes end in places.

    Their first changes are nearly the same everywhere, too: bounds that forget that an episode's
    end carries nothing on are then narrow, and wrong.
    """
    states, actions = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    base = MDP.random(states, actions, seed=int(rng.integers(1000)), branching=min(states, 2))
    rows = np.repeat(np.arange(states * actions), np.diff(base.indptr))
    ends = draw(st.sampled_from(["nowhere", "some", "one state", "everywhere"]))
    ending = {
        "nowhere": np.zeros(len(rows), bool),
        "some": rng.random(len(rows)) < 0.3,
        "one state": rows // actions == 0,
        "everywhere": np.ones(len(rows), bool),
    }[ends]
    level, spread = draw(st.sampled_from([1.0, -1.0])), draw(st.sampled_from([0.0, 0.05, 1.0]))
    rewards = level + spread * rng.standard_normal(len(rows))
    return MDP.from_outcomes(
        states, actions, rows // actions, rows % actions, base.next, base.probability, rewards,
        ending,
    )  # fmt: skip


def dense(mdp):
    """Rewards (S, A) and the probabilities (S, A, S) with which an episode goes on."""
    onward = np.zeros((mdp.states * mdp.actions, mdp.states))
    rows = np.repeat(np.arange(mdp.states * mdp.actions), np.diff(mdp.indptr))
    np.add.at(onward, (rows, mdp.next), np.where(mdp.ends, 0.0, mdp.probability))
    return mdp.rewards, onward.reshape(mdp.states, mdp.actions, mdp.states)


def best_of_all_policies(mdp, gamma):
    """V* by solving the equations of every policy."""
    rewards, onward = dense(mdp)
    every = np.stack(np.meshgrid(*[range(mdp.actions)] * mdp.states), -1).reshape(-1, mdp.states)
    s = np.arange(mdp.states)
    solved = np.linalg.solve(np.eye(mdp.states) - gamma * onward[s, every],
                             rewards[s, every][..., None])  # fmt: skip
    return solved[..., 0].max(0)


def macqueen(mdp, gamma, count):
    """V after so many sweeps, and what MacQueen's formula says of V* then: below and above."""
    rewards, onward = dense(mdp)
    v = np.zeros(mdp.states)
    for _ in range(count):
        new = (rewards + gamma * onward @ v).max(1)
        change, v = new - v, new
    mass = onward.sum(2)
    carried = gamma * mass.max()
    low, high = change.min(), change.max()
    if mass.min() < 1 - 1e-12:  # part of a change may be lost at once
        low, high = min(low, 0.0), max(high, 0.0)
    factor = carried / (1 - carried)
    return v, v + factor * low, v + factor * high


@given(even(), DISCOUNTS, st.integers(1, 4))
def test_the_bounds_of_a_sweep_hold_the_solution_and_are_the_formulas(mdp, gamma, count):
    exact = best_of_all_policies(mdp, gamma)
    values, below, above = macqueen(mdp, gamma, count)
    bounds = bounds_of(mdp, gamma)
    for how in ("auto", "off"):
        with forced(how):
            swept = sweeps(process(mdp, gamma), np.zeros(mdp.states), count=count, tolerance=-1.0)
        middle = bounds.middle(swept.values, swept.low, swept.high)
        width = bounds.halfwidth(swept.low, swept.high)
        np.testing.assert_allclose(swept.values, values, atol=1e-10)
        assert (middle - width <= exact + 1e-9).all(), "V* lies below what is claimed"
        assert (middle + width >= exact - 1e-9).all(), "V* lies above what is claimed"
        np.testing.assert_allclose(middle - width, below, atol=1e-9)
        np.testing.assert_allclose(middle + width, above, atol=1e-9)


def test_both_bounds_are_reached():
    """A state that goes on forever and one that ends at once: no narrower bounds would be true."""
    mdp = MDP.from_outcomes(2, 1, [0, 1], [0, 0], [0, 1], [1.0, 1.0], [1.0, 1.0], [False, True])
    bounds = bounds_of(mdp, 0.9)
    swept = sweeps(process(mdp, 0.9), np.zeros(2), count=1, tolerance=-1.0)
    middle = bounds.middle(swept.values, swept.low, swept.high)
    width = bounds.halfwidth(swept.low, swept.high)
    assert middle[0] + width == pytest.approx(10.0)
    assert middle[1] - width == pytest.approx(1.0)


@given(even(), DISCOUNTS, st.sampled_from(COARSE))
def test_every_solver_keeps_a_coarse_tolerance(mdp, gamma, tolerance):
    exact = best_of_all_policies(mdp, gamma)
    for how in ("auto", "off"):
        with forced(how):
            found = [
                value_iteration(mdp, gamma, tolerance=tolerance),
                value_iteration(mdp, gamma, tolerance=tolerance, sweep="gauss-seidel"),
                policy_iteration(mdp, gamma, tolerance=tolerance, sweeps=2),
            ]
            policy = np.zeros(mdp.states, dtype=np.int64)
            judged = evaluate_policy(mdp, policy, gamma, tolerance=tolerance)
        for solution in found:
            assert abs(solution.values - exact).max() <= tolerance + 1e-9, solution.method
        of_policy = policy_values(mdp, policy, gamma)
        assert abs(judged.values - of_policy).max() <= tolerance + 1e-9


@given(even(), DISCOUNTS, st.sampled_from(COARSE[1:]))
def test_sweeps_stop_as_soon_as_the_formula_says(mdp, gamma, tolerance):
    needed = next(
        count for count in range(1, 5000)
        if np.ptp(np.stack(macqueen(mdp, gamma, count)[1:]), axis=0).max() / 2 <= tolerance
    )  # fmt: skip
    for how in ("auto", "off"):
        with forced(how):
            assert value_iteration(mdp, gamma, tolerance=tolerance).iterations == needed


def test_a_tolerance_of_nothing_is_refused():
    mdp = MDP.from_outcomes(1, 1, [0], [0], [0], [1.0], [1.0], [False])
    with pytest.raises(ConfigError, match="tolerance"):
        value_iteration(mdp, 0.9, tolerance=0.0)
