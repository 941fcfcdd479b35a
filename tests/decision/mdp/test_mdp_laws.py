"""What holds for every process: contraction, monotone improvement, bounds, ties, simulation."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phosphene.decision.mdp.average_reward import relative_value_iteration
from phosphene.decision.mdp.evaluation import evaluate_policy, policy_values
from phosphene.decision.mdp.finite_horizon import backward_induction
from phosphene.decision.mdp.linear_programming import linear_programming
from phosphene.decision.mdp.mdp import MDP
from phosphene.decision.mdp.policy_iteration import policy_iteration
from phosphene.decision.mdp.value_iteration import value_iteration
from phosphene.kernels.library import forced

DISCOUNTS = st.sampled_from([0.0, 0.3, 0.9, 0.95, 0.99])


@st.composite
def processes(draw):
    """Random processes, with and without terminal states, and outcomes that end by themselves."""
    states, actions = draw(st.integers(1, 12)), draw(st.integers(1, 4))
    mdp = MDP.random(
        states,
        actions,
        seed=draw(st.integers(0, 10_000)),
        branching=draw(st.integers(1, min(states, 4))),
        terminal=draw(st.integers(0, states - 1)),
    )
    if not draw(st.booleans()):
        return mdp
    rng = np.random.default_rng(draw(st.integers(0, 100)))
    rows = np.repeat(np.arange(states * actions), np.diff(mdp.indptr))
    return MDP.from_outcomes(
        states,
        actions,
        rows // actions,
        rows % actions,
        mdp.next,
        mdp.probability,
        rng.standard_normal(len(rows)),
        rng.random(len(rows)) < 0.3,
        terminal=mdp.terminal,
    )


def brute_force(mdp, gamma):
    """V* as the best over all policies that numpy's dense solver finds; for tiny processes."""
    p = np.zeros((mdp.states, mdp.actions, mdp.states))
    rows = np.repeat(np.arange(mdp.states * mdp.actions), np.diff(mdp.indptr))
    np.add.at(p, (rows // mdp.actions, rows % mdp.actions, mdp.next), mdp.weight)
    every = np.stack(np.meshgrid(*[range(mdp.actions)] * mdp.states), -1).reshape(-1, mdp.states)
    states = np.arange(mdp.states)
    matrices = np.eye(mdp.states) - gamma * p[states, every]
    return np.linalg.solve(matrices, mdp.rewards[states, every][..., None])[..., 0].max(0)


@given(processes(), DISCOUNTS)
def test_all_solvers_agree_within_their_tolerance(mdp, gamma):
    exact = policy_iteration(mdp, gamma)
    assert exact.residual < 1e-9
    for tolerance in (1e-2, 1e-8):
        for other in (
            value_iteration(mdp, gamma, tolerance=tolerance),
            value_iteration(mdp, gamma, tolerance=tolerance, sweep="gauss-seidel"),
            policy_iteration(mdp, gamma, tolerance=tolerance, sweeps=3),
        ):
            assert abs(other.values - exact.values).max() <= tolerance + 1e-11
            assert (other.values[mdp.terminal] == 0).all()
            assert other.residual <= (1 + gamma) * tolerance + 1e-11


@given(st.integers(0, 10_000), DISCOUNTS, st.integers(0, 2))
def test_no_policy_is_better(seed, gamma, terminal):
    mdp = MDP.random(5, 3, seed=seed, branching=2, terminal=terminal)
    exact = brute_force(mdp, gamma)
    np.testing.assert_allclose(value_iteration(mdp, gamma).values, exact, atol=2e-8)
    np.testing.assert_allclose(policy_iteration(mdp, gamma).values, exact, atol=1e-9)


@given(processes(), DISCOUNTS)
def test_sweeps_contract(mdp, gamma):
    path = value_iteration(mdp, gamma, record=True).path
    changes = abs(np.diff(path, axis=0, prepend=0.0)).max(1)
    for before, after in pairwise(changes):
        assert after <= (gamma + 1e-9) * before + 1e-13
    recorded = value_iteration(mdp, gamma).contraction
    told = changes[:-1] > 1e-4
    assert (recorded[told] <= gamma + 1e-9).all()


@given(processes(), DISCOUNTS)
def test_policy_iteration_is_monotone_and_short(mdp, gamma):
    solution = policy_iteration(mdp, gamma, record=True)
    assert (np.diff(solution.path, axis=0) >= -1e-10).all()
    assert solution.iterations <= 12
    assert np.array_equal(solution.path[-1], solution.values)
    # The policy that is returned has the values that are returned.
    np.testing.assert_allclose(
        policy_values(mdp, solution.policy, gamma), solution.values, atol=1e-9
    )


@given(processes(), DISCOUNTS, st.integers(0, 100))
def test_sweeps_and_the_linear_solve_agree(mdp, gamma, seed):
    rng = np.random.default_rng(seed)
    stochastic = rng.dirichlet(np.ones(mdp.actions), size=mdp.states)
    for policy in (stochastic, rng.integers(mdp.actions, size=mdp.states)):
        solved = policy_values(mdp, policy, gamma)
        swept = evaluate_policy(mdp, policy, gamma, tolerance=1e-11)
        assert abs(swept.values - solved).max() <= 1e-10
        assert swept.residual <= 1e-10
        assert swept.policy.shape == policy.shape


@pytest.mark.parametrize("terminal", [0, 30])
@pytest.mark.parametrize("gamma", [0.9, 0.999])
def test_above_500_states_the_linear_solve_sweeps(terminal, gamma):
    mdp = MDP.random(3000, 3, seed=1, terminal=terminal)
    policy = np.random.default_rng(0).integers(3, size=3000)
    solved = policy_values(mdp, policy, gamma)
    rows = np.arange(3000) * 3 + policy
    matrix = np.zeros((3000, 3000))
    for s, row in enumerate(rows):
        i = slice(mdp.indptr[row], mdp.indptr[row + 1])
        np.add.at(matrix[s], mdp.next[i], gamma * mdp.weight[i])
    residual = mdp.rewards[np.arange(3000), policy] + matrix @ solved - solved
    assert abs(residual).max() <= 1e-10 * max(1.0, abs(solved).max()) * (1 - gamma) * 10


def test_slow_chains_are_factorized():
    pytest.importorskip("scipy")
    states = 600
    forward = np.minimum(np.arange(states) + 1, states - 1)
    mdp = MDP.from_outcomes(
        states, 1, np.arange(states), np.zeros(states), forward, np.ones(states),
        np.arange(states) == states - 2, forward == states - 1,
    )  # fmt: skip
    gamma = 1 - 1e-6
    values = policy_values(mdp, np.zeros(states), gamma)
    np.testing.assert_allclose(values[:-1], gamma ** np.arange(states - 2, -1, -1), rtol=1e-9)
    assert policy_values(mdp, np.zeros(states), 1)[0] == pytest.approx(1.0)


def test_equal_actions_do_not_take_turns():
    """Three actions with the same outcomes in another order: their values differ by rounding."""
    for seed in range(20):
        base = MDP.random(30, 1, seed=seed, branching=5)
        rng = np.random.default_rng(seed)
        after, p = base.next.reshape(30, 5), base.probability.reshape(30, 5)
        orders = rng.permuted(np.tile(np.arange(5), (90, 1)), axis=1).reshape(30, 3, 5)
        states = np.arange(30)[:, None, None]
        mdp = MDP.from_outcomes(
            30, 3, np.repeat(np.arange(30), 15), np.tile(np.repeat(np.arange(3), 5), 30),
            after[states, orders].ravel(), p[states, orders].ravel(),
            np.repeat(base.rewards[:, 0], 15),
        )  # fmt: skip
        for gamma in (0.9, 0.99, 0.9999):
            exact = policy_iteration(mdp, gamma)
            assert exact.iterations <= 2
            started = policy_iteration(mdp, gamma, initial_policy=np.full(30, 2))
            assert started.iterations == 1
            assert (started.policy == 2).all()
        assert (value_iteration(mdp, 0.9).policy == 0).all()


@pytest.mark.parametrize("gamma", [0.9, 0.99])
def test_linear_programming_agrees(gamma):
    pytest.importorskip("scipy")
    for seed in range(5):
        mdp = MDP.random(60, 4, seed=seed, terminal=3 * (seed % 2))
        exact = policy_iteration(mdp, gamma)
        found = linear_programming(mdp, gamma)
        np.testing.assert_allclose(found.values, exact.values, atol=1e-9)
        assert np.array_equal(found.policy, exact.policy)


def simulate(mdp, policy, gamma, episodes, steps, rng):
    """Discounted returns of so many episodes, by drawing outcomes one after another."""
    row_of = np.arange(mdp.states) * mdp.actions + policy
    edge = np.cumsum(mdp.probability)
    state = rng.choice(mdp.states, size=episodes, p=mdp.start)
    total, alive = np.zeros(episodes), ~mdp.terminal[state]
    for t in range(steps):
        row = row_of[state]
        low = np.where(mdp.indptr[row] > 0, edge[mdp.indptr[row] - 1], 0.0)
        high = edge[mdp.indptr[row + 1] - 1]
        drawn = np.searchsorted(edge, low + (high - low) * rng.random(episodes), side="right")
        drawn = np.clip(drawn, mdp.indptr[row], mdp.indptr[row + 1] - 1)
        total += np.where(alive, gamma**t * mdp.outcome_reward[drawn], 0.0)
        alive &= ~mdp.ends[drawn]
        state = mdp.next[drawn]
    return total


@pytest.mark.parametrize("name", ["frozen-lake-4x4", "cliff", "garnet"])
def test_returns_of_the_greedy_policy_are_its_values(name):
    if name == "garnet":
        mdp = MDP.random(50, 3, seed=7, terminal=4)
    else:
        mdp = MDP.from_grid(name, slip=(1 / 3, 1 / 3, 1 / 3))
    solution = value_iteration(mdp, 0.95)
    errors = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        returns = simulate(mdp, solution.policy, 0.95, 4000, 500, rng)
        error = returns.std() / np.sqrt(len(returns))
        errors.append((returns.mean() - solution.start_value(mdp)) / error)
    assert np.abs(errors).max() < 4
    assert abs(np.mean(errors)) < 2


def test_backward_induction_is_sweeps_and_goes_to_the_fixed_point():
    mdp = MDP.random(40, 3, seed=2)
    plan = backward_induction(mdp, 400, 0.9)
    swept = value_iteration(mdp, 0.9, sweeps=7)
    np.testing.assert_allclose(plan.values[7], swept.values, atol=1e-12)
    np.testing.assert_allclose(plan.values[-1], policy_iteration(mdp, 0.9).values, atol=1e-10)
    final = np.arange(40.0)
    assert np.array_equal(backward_induction(mdp, 1, 0.0, final=final).values[0], final)


def test_gain_is_the_limit_of_the_discounted_value():
    for seed in range(4):
        mdp = MDP.random(30, 3, seed=seed)
        run = relative_value_iteration(mdp)
        discounted = (1 - 0.9999) * policy_iteration(mdp, 0.9999).values
        np.testing.assert_allclose(discounted, run.gain, atol=2e-3)
        # The gain of its policy by the stationary distribution, another way.
        p = mdp.matrices()[run.policy, np.arange(30)]
        stationary = np.linalg.lstsq(
            np.vstack([p.T - np.eye(30), np.ones(30)]), np.r_[np.zeros(30), 1.0], rcond=None
        )[0]
        assert stationary @ mdp.rewards[np.arange(30), run.policy] == pytest.approx(
            run.gain, abs=1e-7
        )


def test_a_process_with_a_period_has_a_gain():
    ring = MDP([[[0, 1, 0], [0, 0, 1], [1, 0, 0]]], [[3.0], [0.0], [0.0]])
    assert relative_value_iteration(ring).gain == pytest.approx(1.0, abs=1e-8)


def test_the_reference_solves_the_same():
    mdp = MDP.random(40, 3, seed=5, terminal=2)
    options = ({}, {"sweep": "gauss-seidel"})
    native = [value_iteration(mdp, 0.9, **o).values for o in options]
    with forced("off"):
        slow = [value_iteration(mdp, 0.9, **o).values for o in options]
        improved = policy_iteration(mdp, 0.9, sweeps=4).values
    for ours, reference in zip(native, slow, strict=True):
        np.testing.assert_allclose(ours, reference, atol=1e-10)
    np.testing.assert_allclose(improved, native[0], atol=2e-8)


def test_bounds_stop_long_before_the_values_stand_still():
    """MacQueen's bounds take some tens of sweeps where the change alone would take a thousand."""
    mdp = MDP.random(200, 4, seed=0)
    solution = value_iteration(mdp, 0.99)
    plain = value_iteration(mdp, 0.99, sweep="gauss-seidel")
    assert solution.iterations < 60 < 300 < plain.iterations
    assert abs(solution.values - plain.values).max() < 2e-8
