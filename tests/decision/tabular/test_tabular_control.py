"""Learning to act: single backups by hand, the cliff, the lake, the bias of a maximum."""

import numpy as np
import pytest
import torch

from phosphene.decision.mdp.mdp import MDP
from phosphene.decision.tabular.examples import maximization_bias, windy_gridworld
from phosphene.decision.tabular.learner import Learner
from phosphene.decision.tabular.monte_carlo import monte_carlo_control
from phosphene.decision.tabular.n_step import n_step_sarsa
from phosphene.decision.tabular.problems import as_problem
from phosphene.decision.tabular.q_learning import double_q_learning, q_learning
from phosphene.decision.tabular.sarsa import expected_sarsa, sarsa
from phosphene.decision.tabular.schedules import harmonic

CLIFF = MDP.from_grid("cliff")
START = 36


def soft_values(mdp, q, epsilon, gamma=1.0):
    """V of the policy that is epsilon-greedy in q, by linear equations."""
    policy = np.full((mdp.states, mdp.actions), epsilon / mdp.actions)
    policy[np.arange(mdp.states), np.asarray(q).argmax(1)] += 1 - epsilon
    policy[mdp.terminal] = 0
    state, action = np.divmod(rows(mdp), mdp.actions)
    weight = policy[state, action] * mdp.probability
    P = np.zeros((mdp.states, mdp.states))
    np.add.at(P, (state, mdp.next), weight * ~mdp.ends)
    r = np.bincount(state, weight * mdp.outcome_reward, mdp.states)
    return np.linalg.solve(np.eye(mdp.states) - gamma * P, r)


def rows(mdp):
    return np.repeat(np.arange(mdp.states * mdp.actions), np.diff(mdp.indptr))


def backup(mdp, values, gamma=1.0):
    worth = mdp.probability * (mdp.outcome_reward + gamma * values[mdp.next] * ~mdp.ends)
    q = np.bincount(rows(mdp), worth, mdp.states * mdp.actions).reshape(-1, mdp.actions)
    q[mdp.terminal] = 0
    return q


def optimal(mdp, gamma):
    values = np.zeros(mdp.states)
    for _ in range(3000):
        values = backup(mdp, values, gamma).max(1)
    return torch.from_numpy(backup(mdp, values, gamma))


def greedy_return(mdp, policy):
    follow = Learner(mdp, "follow", policy=policy, limit=200)
    follow.advance(episodes=1)
    return float(follow.returns[0])


# -- one step by hand ----------------------------------------------------------------------------

FORK = MDP.from_outcomes(
    3, 2, [0, 0, 1, 1], [0, 1, 0, 1], [1, 1, 2, 2], [1.0] * 4, [3.0, 3.0, 1.0, -1.0],
    [False, False, True, True], terminal=[False, False, True], start=[1.0, 0.0, 0.0],
)  # fmt: skip
Q = torch.tensor([[5.0, 4.0], [2.0, 7.0], [0.0, 0.0]]).double()


def one_step(method, **options):
    learner = Learner(FORK, method, gamma=0.5, alpha=0.1, initial=Q, **options)
    met = learner.advance(1, record=True)
    s, a, s2, how = met.path[0].tolist()
    assert (s, s2, how) == (0, 1, 0)
    return learner, a, float(learner.q[0, a])


@pytest.mark.parametrize("seed", range(6))
def test_backups(seed):
    q, epsilon = Q.tolist(), 0.4
    options = {"seed": seed, "epsilon": epsilon}
    learner, a, got = one_step("sarsa", **options)
    after = learner.advance(1, record=True).path[0, 1]  # the action that was learned from
    assert got == q[0][a] + 0.1 * (3 + 0.5 * q[1][after] - q[0][a])
    _, a, got = one_step("q-learning", **options)
    assert got == q[0][a] + 0.1 * (3 + 0.5 * 7 - q[0][a])
    _, a, got = one_step("expected-sarsa", **options)
    mean = (1 - epsilon) * 7 + epsilon * (2 + 7) / 2
    assert abs(got - (q[0][a] + 0.1 * (3 + 0.5 * mean - q[0][a]))) < 1e-15
    _, a, got = one_step("expected-sarsa", seed=seed, temperature=2.0)
    p = torch.softmax(Q[1] / 2, 0)
    assert abs(got - (q[0][a] + 0.1 * (3 + 0.5 * float(p @ Q[1]) - q[0][a]))) < 1e-14
    _, a, got = one_step("expected-sarsa", seed=seed, policy=[[0.5, 0.5], [0.25, 0.75], [1, 0]])
    assert abs(got - (q[0][a] + 0.1 * (3 + 0.5 * (0.5 + 5.25) - q[0][a]))) < 1e-15


@pytest.mark.parametrize("seed", range(8))
def test_double_backup(seed):
    learner = Learner(FORK, "double-q-learning", gamma=0.5, alpha=0.1, seed=seed, initial=Q)
    learner.progress.table[1, 1] = torch.tensor([11.0, 6.0])  # the tables disagree in state 1
    before = learner.progress.table.clone()
    s, a, _, _ = learner.advance(1, record=True).path[0].tolist()
    own = int((learner.progress.table[1] != before[1]).any())
    best = int(before[own, 1].argmax())
    target = 3 + 0.5 * float(before[1 - own, 1, best])
    old = float(before[own, s, a])
    assert float(learner.progress.table[own, s, a]) == old + 0.1 * (target - old)
    assert torch.equal(learner.progress.table[1 - own], before[1 - own])


def test_after_an_end_nothing_follows_and_after_a_cut_something_does():
    loop = MDP.from_outcomes(2, 1, [0], [0], [0], [1.0], [1.0], terminal=[False, True])
    for method in ("sarsa", "q-learning", "expected-sarsa", "n-step-sarsa", "monte-carlo"):
        learner = Learner(loop, method, alpha=0.5, gamma=0.5, initial=10.0, limit=1)
        learner.advance(episodes=1)
        assert float(learner.q[0, 0]) == 10 + 0.5 * (1 + 0.5 * 10 - 10), method
    ends = MDP.from_outcomes(2, 1, [0], [0], [1], [1.0], [1.0], [True], terminal=[False, True])
    for method in ("sarsa", "q-learning", "expected-sarsa", "n-step-sarsa", "monte-carlo"):
        learner = Learner(ends, method, alpha=0.5, gamma=0.5, initial=10.0, limit=1)
        learner.advance(episodes=1)
        assert float(learner.q[0, 0]) == 10 + 0.5 * (1 - 10), method


def test_n_step_sarsa_of_one_is_sarsa():
    options = {"alpha": 0.5, "seed": 4, "steps": 5000}
    assert torch.equal(n_step_sarsa(CLIFF, n=1, **options).q, sarsa(CLIFF, **options).q)


def test_without_exploration_expected_sarsa_is_q_learning():
    options = {"alpha": 0.5, "seed": 4, "steps": 5000, "epsilon": 0.0}
    assert torch.equal(expected_sarsa(CLIFF, **options).q, q_learning(CLIFF, **options).q)


# -- the cliff: Sutton and Barto (2018), example 6.6 ---------------------------------------------


def fifty(learn, **options):
    found = [learn(CLIFF, episodes=500, alpha=0.5, seed=s, **options) for s in range(50)]
    online = np.mean([float(f.returns[-100:].mean()) for f in found])
    return online, [greedy_return(CLIFF, f.policy) for f in found]


def test_the_cliff():
    q, q_greedy = fifty(q_learning)
    on, on_greedy = fifty(sarsa)
    expected, expected_greedy = fifty(expected_sarsa)
    assert -54 < q < -47
    assert set(q_greedy) == {-13.0}
    assert -30 < on < -24
    assert np.median(on_greedy) == -17
    assert q < on < expected < -19
    assert np.median(expected_greedy) >= -17


def test_sarsa_comes_to_the_best_soft_policy():
    """-20.71 is what the best of all epsilon-greedy policies earns, for epsilon = 0.1."""
    q = np.zeros((CLIFF.states, CLIFF.actions))
    for _ in range(60):  # policy iteration among soft policies
        q = backup(CLIFF, soft_values(CLIFF, q, 0.1))
    bound = soft_values(CLIFF, q, 0.1)[START]
    assert abs(bound + 20.71) < 0.01
    # No policy that is greedy in q and slips does better: q-learning's does far worse.
    assert soft_values(CLIFF, optimal(CLIFF, 1.0), 0.1)[START] < bound - 10
    late = [sarsa(CLIFF, episodes=20_000, alpha=0.05, seed=s).returns[-10_000:] for s in range(3)]
    mean = float(torch.stack(late).mean())
    assert bound - 1.5 < mean < bound + 0.3
    late = expected_sarsa(CLIFF, episodes=40_000, alpha=0.5, seed=0).returns[-30_000:]
    assert abs(float(late.mean()) - bound) < 0.4


def test_windy_gridworld():
    """Sutton and Barto (2018), example 6.5: about 170 episodes in 8,000 steps, 15 steps at last."""
    windy = windy_gridworld()
    assert abs(float(optimal(windy, 1.0)[30].max()) + 15) < 1e-12
    found = [sarsa(windy, steps=8000, seed=s) for s in range(10)]
    assert 140 < np.mean([f.episodes for f in found]) < 200
    late = q_learning(windy, steps=100_000, epsilon="linear:0.1:0:80000steps")
    assert greedy_return(windy, late.policy) == -15


# -- convergence ---------------------------------------------------------------------------------


def test_q_learning_comes_to_the_best_values_of_the_lake():
    lake = (
        MDP.from_gym("FrozenLake-v1") if has_gym() else MDP.from_grid("frozen-lake-4x4", slip=1 / 3)
    )
    exact = optimal(lake, 0.99)
    assert abs(float(exact[0].max()) - 0.5420259) < 1e-6
    for seed in range(3):
        found = q_learning(
            lake, steps=10_000_000, gamma=0.99, alpha=harmonic(1, 0.7), epsilon=0.6, seed=seed
        )
        assert (found.q - exact).abs().max() < 0.02


def has_gym():
    try:
        import gymnasium  # noqa: F401
    except ImportError:
        return False
    return True


@pytest.mark.parametrize("seed", range(3))
def test_every_method_finds_the_way_over_firm_ice(seed):
    lake = MDP.from_grid("frozen-lake-4x4", slip=0.0)
    soft = "linear:1:0.05:3000episodes"
    options = {"episodes": 5000, "epsilon": soft, "gamma": 0.95, "limit": 100, "seed": seed}
    for learn, more in (
        (q_learning, {}), (sarsa, {}), (expected_sarsa, {}), (double_q_learning, {}),
        (n_step_sarsa, {"n": 3}), (sarsa, {"lambda_": 0.8, "alpha": 0.1}),
        (sarsa, {"lambda_": 0.8, "traces": "replacing"}), (monte_carlo_control, {"alpha": 0.05}),
    ):  # fmt: skip
        found = learn(lake, **{**options, **more})
        assert greedy_return(lake, found.policy) == 1.0, learn.__name__
        assert float(found.returns[-500:].mean()) > 0.6, learn.__name__


def left_share(learn, runs=200):
    """How often a learner goes left in each of 300 episodes."""
    problem, share = as_problem(maximization_bias(), 0), torch.zeros(300)
    for seed in range(runs):
        met = Learner(problem, learn, alpha=0.1, epsilon=0.1, seed=seed)
        path = met.advance(episodes=300, record=True).path
        share += path[path[:, 0] == 0, 1] < 5
    return share / runs


def test_a_maximum_of_guesses_is_too_large_and_two_tables_are_not():
    """Sutton and Barto (2018), figure 6.5: Q-learning is drawn to the side that is worse."""
    single, double = left_share("q-learning"), left_share("double-q-learning")
    assert single[20:60].mean() > 0.8
    assert double[20:60].mean() < 0.6
    assert (single - double)[10:150].min() > 0.1
    assert double[-50:].mean() < 0.1


def test_the_bias_itself():
    """One state of ten actions, all worth nothing: the larger value of Q-learning is all bias."""
    B = maximization_bias(mean=0.0)
    worth = {"q-learning": [], "double-q-learning": []}
    for method, values in worth.items():
        for seed in range(100):
            learner = Learner(B, method, alpha=0.1, epsilon=1.0, seed=seed)
            learner.advance(2000)
            values.append(float(learner.q[0, :5].mean()))
    bias, spread = (np.mean(worth["q-learning"]), np.std(worth["double-q-learning"]) / 10)
    assert bias > 0.25
    assert abs(np.mean(worth["double-q-learning"])) < 4 * spread
