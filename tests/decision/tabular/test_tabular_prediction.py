"""Values of a policy: Monte Carlo, temporal differences, traces, batches."""

import itertools

import numpy as np
import pytest
import torch

from phosphene.core.errors import ConfigError, DataError
from phosphene.decision.mdp.mdp import MDP
from phosphene.decision.tabular.episodes import (
    Episodes,
    batch_monte_carlo,
    batch_td,
    certainty_equivalence,
    generate_episodes,
)
from phosphene.decision.tabular.examples import random_walk
from phosphene.decision.tabular.learner import Learner
from phosphene.decision.tabular.monte_carlo import monte_carlo_prediction
from phosphene.decision.tabular.n_step import n_step_td
from phosphene.decision.tabular.schedules import harmonic
from phosphene.decision.tabular.td import lambda_returns, td_prediction

WALK = random_walk(5)
ONLY = torch.ones(7, 1)
TRUE = torch.tensor([1, 2, 3, 4, 5, 0, 0]).double() / 6


def maze(seed=0, states=9):
    """A process with loops, whose episodes end, and a policy for it."""
    g = np.random.default_rng(seed)
    mdp = MDP.random(states, 3, seed=seed, branching=3, terminal=2)
    policy = torch.from_numpy(g.dirichlet(np.ones(3), states))
    return mdp, policy


# -- values that are known -----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "learn",
    [
        lambda **k: monte_carlo_prediction(WALK, ONLY, **k),
        lambda **k: monte_carlo_prediction(WALK, ONLY, first_visit=False, **k),
        lambda **k: td_prediction(WALK, ONLY, alpha=harmonic(1, 0.8), **k),
        lambda **k: td_prediction(WALK, ONLY, alpha=harmonic(1, 0.8), lambda_=0.8, **k),
        lambda **k: n_step_td(WALK, ONLY, alpha=harmonic(1, 0.8), n=3, **k),
    ],
    ids=["first-visit", "every-visit", "td", "td-lambda", "n-step"],
)
def test_random_walk(learn, seed):
    found = learn(episodes=20_000, seed=seed)
    # The standard deviation of a return is at most 1/2; 20,000 episodes visit an end state 1/3.
    assert (found.values - TRUE).abs().max() < 0.03
    assert found.episodes == 20_000 == len(found.returns)
    assert abs(float(found.returns.mean()) - 0.5) < 0.015
    assert abs(float(found.lengths.double().mean()) - 9) < 0.3  # (n + 1)^2 / 4 steps
    assert found.steps == int(found.lengths.sum())


def test_values_of_any_policy_are_those_of_the_linear_equations():
    mdp, policy = maze(2)
    exact = solve(mdp, policy, 0.9)
    for learn, options in (
        (td_prediction, {"alpha": harmonic(1, 0.7)}),
        (monte_carlo_prediction, {}),
    ):
        found = learn(mdp, policy, gamma=0.9, episodes=60_000, limit=None, **options)
        assert (found.values - exact).abs().max() < 0.06


def solve(mdp, policy, gamma):
    P = np.zeros((mdp.states, mdp.states))
    r = np.zeros(mdp.states)
    for s, a in itertools.product(range(mdp.states), range(mdp.actions)):
        for p, s2, reward, ends in mdp.outcomes(s, a):
            w = p * float(policy[s, a]) * (not mdp.terminal[s])
            r[s] += w * reward
            P[s, s2] += w * (not ends)
    return torch.from_numpy(np.linalg.solve(np.eye(mdp.states) - gamma * P, r))


# -- Monte Carlo: bias, exactly ------------------------------------------------------------------


def loops(most=60):
    """Episodes of two states that each go on with probability 1/2, then to the next; 1 a step."""
    for j, k in itertools.product(range(1, most), range(1, most)):
        yield 0.5 ** (j + k), Episodes.of([[0] * j + [1] * k], [[1.0] * (j + k)])


def test_first_visit_is_unbiased_and_every_visit_is_not():
    first, every = torch.zeros(2).double(), torch.zeros(2).double()
    for p, episode in loops(30):
        first += p * batch_monte_carlo(episode, 2, first_visit=True)
        every += p * batch_monte_carlo(episode, 2, first_visit=False)
    exact = torch.tensor([4.0, 2.0]).double()
    assert (first - exact).abs().max() < 1e-6  # what 2^-29 of all episodes could add
    # One that lasts k steps gives (k + 1) / 2 on average: 3/2 for k = 2 on average.
    assert (every - torch.tensor([3.5, 1.5])).abs().max() < 1e-6


def test_the_bias_of_every_visit_falls_as_two_over_n_plus_one():
    """Singh and Sutton (1996), theorem 5: after n episodes it is 2 / (n + 1) of that of one."""
    most, bias = 28, []
    for n in (1, 2, 3):
        mean = first = 0.0
        for lengths in itertools.product(range(1, most if n < 3 else 22), repeat=n):
            p = 0.5 ** sum(lengths)
            total = sum(k * (k + 1) / 2 for k in lengths)
            mean += p * total / sum(lengths)
            first += p * sum(lengths) / n
        assert abs(first - 2) < 1e-4
        bias.append(2 - mean)
    assert abs(bias[0] - 0.5) < 1e-5
    assert abs(bias[1] - bias[0] * 2 / 3) < 1e-4
    assert abs(bias[2] - bias[0] * 2 / 4) < 1e-4
    three = Episodes.of([[0] * 3, [0], [0, 0]], [[1.0] * 3, [1.0], [1.0, 1.0]])
    assert abs(float(batch_monte_carlo(three, 1)) - (6 + 1 + 3) / 6) < 1e-15


@pytest.mark.parametrize("first_visit", [True, False])
def test_monte_carlo_is_the_mean_of_returns(first_visit):
    mdp, policy = maze(1)
    for gamma in (1.0, 0.8):
        found = monte_carlo_prediction(
            mdp, policy, episodes=50, gamma=gamma, first_visit=first_visit, seed=4
        )
        kept = generate_episodes(mdp, policy, 50, seed=4)
        means = batch_monte_carlo(kept, mdp.states, gamma=gamma, first_visit=first_visit)
        assert (found.values - means).abs().max() < 1e-12
        assert len(kept) == 50
        assert (found.returns - sums(kept)).abs().max() < 1e-12


def sums(kept):
    return torch.stack([part.sum() for part in torch.split(kept.reward, lengths_of(kept))])


def lengths_of(kept):
    ends = (kept.how > 0).nonzero().flatten()
    return torch.diff(ends, prepend=torch.tensor([-1])).tolist()


# -- batches -------------------------------------------------------------------------------------


def test_you_are_the_predictor():
    """Sutton and Barto (2018), example 6.4: A then B once, B seven times, six of which earn 1."""
    eight = Episodes.of([[0, 1]] + [[1]] * 7, [[0, 0]] + [[1]] * 6 + [[0]])
    assert (batch_td(eight, 2) - 0.75).abs().max() < 1e-10
    assert torch.equal(batch_monte_carlo(eight, 2), torch.tensor([0.0, 0.75]).double())
    assert (certainty_equivalence(eight, 2) - 0.75).abs().max() < 1e-15


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("gamma", [1.0, 0.9])
def test_batch_td_is_certainty_equivalence(seed, gamma):
    for source, policy in ((WALK, ONLY), maze(seed)):
        kept = generate_episodes(source, policy, 30, seed=seed)
        rests = batch_td(kept, source.states, gamma=gamma)
        exact = certainty_equivalence(kept, source.states, gamma=gamma)
        assert (rests - exact).abs().max() < 1e-8
        # An independent way: a process with the frequencies as probabilities.
        empirical = MDP.from_outcomes(
            source.states, 1, kept.state.numpy(), np.zeros(len(kept.state), int),
            kept.next.numpy(), frequency(kept), kept.reward.numpy(), kept.how.numpy() == 1,
            terminal=[s not in set(kept.state.tolist()) for s in range(source.states)],
        )  # fmt: skip
        known = solve(empirical, torch.ones(source.states, 1), gamma)
        assert (rests - known).abs().max() < 1e-6


def frequency(kept):
    return (1 / torch.bincount(kept.state)[kept.state].double()).numpy()


def test_batch_monte_carlo_minimizes_the_error_on_what_was_met():
    kept = generate_episodes(WALK, ONLY, 40, seed=3)
    g = kept.returns()
    means = batch_monte_carlo(kept, 7)
    error = (g - means[kept.state]).square().mean()
    assert error < (g - batch_td(kept, 7)[kept.state]).square().mean()
    for s in range(5):
        assert abs(float((g - means[kept.state])[kept.state == s].sum())) < 1e-12


# -- traces: forward and backward view -----------------------------------------------------------


def one_episode(learner):
    """Play one, and give its transitions and what it changed."""
    before = learner.values
    met = learner.advance(episodes=1, record=True)
    return met.path, met.reward, before, learner.values - before


@pytest.mark.parametrize("limit", [0, 6])
@pytest.mark.parametrize("lambda_", [0.0, 0.3, 0.9, 1.0])
def test_the_backward_view_is_the_forward_view(lambda_, limit):
    mdp, policy = maze(5)
    for seed in range(6):
        learner = Learner(
            mdp, "td", policy=policy, gamma=0.95, alpha=0.1, lambda_=lambda_, offline=True,
            limit=limit, seed=seed, initial=torch.linspace(-1, 1, 9),
        )  # fmt: skip
        path, reward, before, change = one_episode(learner)
        beyond = torch.where(path[:, 3] == 1, 0.0, before[path[:, 2]])
        g = lambda_returns(reward, beyond, gamma=0.95, lambda_=lambda_)
        forward = torch.zeros(9).double().index_add(0, path[:, 0], g - before[path[:, 0]])
        assert (change - 0.1 * forward).abs().max() < 1e-12
        assert change.abs().max() > 1e-3


@pytest.mark.parametrize("traces", ["accumulating", "replacing"])
def test_with_lambda_one_it_is_monte_carlo(traces):
    """Every visit for accumulating traces; the first one for replacing ones, undiscounted."""
    mdp, policy = maze(6)
    for seed in range(6):
        learner = Learner(
            mdp, "td", policy=policy, alpha=0.1, lambda_=1.0, traces=traces, offline=True,
            limit=0, seed=seed, initial=torch.linspace(-1, 1, 9),
        )  # fmt: skip
        path, reward, before, change = one_episode(learner)
        kept = Episodes(path[:, 0], path[:, 1], path[:, 2], reward, path[:, 3])
        error = kept.returns() - before[kept.state]
        if traces == "replacing":
            error = error * kept.first_visits()
        assert (
            change - 0.1 * torch.zeros(9).double().index_add(0, kept.state, error)
        ).abs().max() < 1e-12


def test_lambda_returns():
    r, v = torch.randn(6).double(), torch.randn(6).double()
    gamma, lambda_ = 0.9, 0.7
    g = lambda_returns(r, v, gamma=gamma, lambda_=lambda_)
    for t in range(6):  # by the definition: a weighted sum of n-step returns
        n_step = [
            sum(gamma**i * r[t + i] for i in range(n)) + gamma**n * v[t + n - 1]
            for n in range(1, 7 - t)
        ]
        mixed = sum((1 - lambda_) * lambda_**n * x for n, x in enumerate(n_step[:-1]))
        assert abs(mixed + lambda_ ** (len(n_step) - 1) * n_step[-1] - g[t]) < 1e-12
    with pytest.raises(ConfigError, match=r"are \(T,\) each"):
        lambda_returns(r, v[:2], gamma=1.0, lambda_=1.0)


def test_td_zero_by_hand():
    mdp, policy = maze(3)
    learner = Learner(mdp, "td", policy=policy, gamma=0.9, alpha=0.3, seed=1)
    met = learner.advance(200, record=True)
    values = torch.zeros(9).double()
    for (s, _, s2, how), r in zip(met.path.tolist(), met.reward.tolist(), strict=True):
        target = r if how == 1 else r + 0.9 * float(values[s2])
        values[s] += 0.3 * (target - float(values[s]))
    assert torch.equal(values, learner.values)
    for other in ({"lambda_": 1e-9}, {"offline": True}):
        assert Learner(mdp, "td", policy=policy, **other).settings.method == "sarsa"


def test_n_steps_of_one_are_td_and_many_are_monte_carlo():
    mdp, policy = maze(7)
    common = {"policy": policy, "gamma": 0.9, "alpha": 0.2, "seed": 2, "limit": 0}
    one, td = Learner(mdp, "n-step-td", n=1, **common), Learner(mdp, "td", **common)
    for learner in (one, td):
        learner.advance(500)
    assert torch.equal(one.values, td.values)
    many = Learner(mdp, "n-step-td", n=10_000, **common)
    met = many.advance(episodes=5, record=True)
    kept = Episodes(met.path[:, 0], met.path[:, 1], met.path[:, 2], met.reward, met.path[:, 3])
    values = torch.zeros(9).double()
    for s, g in zip(kept.state.tolist(), kept.returns(0.9).tolist(), strict=True):
        values[s] += 0.2 * (g - float(values[s]))
    assert (many.values - values).abs().max() < 1e-12


# -- curves of the book --------------------------------------------------------------------------


def rms(method, episodes, runs, walk=WALK, truth=TRUE, initial=0.5, **options):
    """The error over states, its mean over runs, after each episode."""
    states = len(truth) - 2
    total = torch.zeros(episodes).double()
    for seed in range(runs):
        learner = Learner(
            walk, method, policy=torch.ones(len(truth), 1), initial=initial, seed=seed, **options
        )
        for k in range(episodes):
            learner.advance(episodes=1)
            total[k] += (learner.values - truth)[:states].square().mean().sqrt()
    return total / runs


def test_td_learns_the_walk_faster_than_monte_carlo():
    """Sutton and Barto (2018), example 6.2."""
    td = rms("td", 100, 15, alpha=0.05)
    mc = rms("monte-carlo-prediction", 100, 15, alpha=0.02, first_visit=False)
    assert td[-1] < 0.06
    assert mc[-1] > 0.065
    assert (td[30:] < mc[30:]).double().mean() > 0.95


def test_on_the_long_walk_an_intermediate_n_is_best():
    """Sutton and Barto (2018), figure 7.2: the best mean error over ten episodes of each n."""
    walk = random_walk(19, left=-1, right=1)
    truth = torch.cat([torch.linspace(-0.9, 0.9, 19), torch.zeros(2)]).double()
    best = {
        n: min(
            float(rms("n-step-td", 10, 12, walk, truth, 0.0, n=n, alpha=a).mean()) for a in alphas
        )
        for n, alphas in ((1, (0.6, 0.8, 1.0)), (4, (0.3, 0.4, 0.5)), (64, (0.05, 0.1, 0.2)))
    }
    assert best[4] < best[1] - 0.02
    assert best[4] < best[64] - 0.05
    assert 0.2 < best[4] < 0.32


# -- bad input -----------------------------------------------------------------------------------


def test_episodes_that_cannot_be_used():
    with pytest.raises(ConfigError, match="a reward for each state"):
        Episodes.of([[0, 1]], [[1.0]])
    kept = generate_episodes(WALK, ONLY, 3, limit=2)
    assert (kept.how == 2).any()
    with pytest.raises(DataError, match="cut off has no return"):
        batch_monte_carlo(kept, 7)
    with pytest.raises(ConfigError, match="did not come to rest"):
        batch_td(generate_episodes(WALK, ONLY, 9), 7, sweeps=2)
