"""How actions are chosen, and numbers that change over time."""

import math

import pytest
import torch

from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.core.rng import generator
from phosphene.decision.mdp.mdp import MDP
from phosphene.decision.tabular.exploration import draw, epsilon_greedy, greedy, softmax
from phosphene.decision.tabular.learner import Learner
from phosphene.decision.tabular.q_learning import q_learning
from phosphene.decision.tabular.schedules import Schedule, exponential, harmonic, linear

LIMIT = {1: 10.83, 2: 13.82, 3: 16.27, 4: 18.47}
"""The 99.9th percentile of chi squared, by degrees of freedom."""
LOOP = MDP.from_outcomes(1, 4, [0] * 4, [0, 1, 2, 3], [0] * 4, [1.0] * 4, [0.0] * 4)
N = 20_000


def actions(q, seed, method="q-learning", **options):
    """What a learner does that has these values and hardly learns."""
    learner = Learner(
        LOOP, method, alpha=1e-300, gamma=0.0, initial=torch.tensor([q]), seed=seed, **options
    )
    met = learner.advance(N, record=True)
    assert torch.equal(learner.q, torch.tensor([q]).double())
    return torch.bincount(met.path[:, 1], minlength=4)


def chi_squared(counts, probabilities):
    expected = N * probabilities.flatten()
    kept = expected > 0
    assert not counts[~kept].any()
    value = ((counts - expected)[kept] ** 2 / expected[kept]).sum()
    return float(value) < LIMIT[max(int(kept.sum()) - 1, 1)]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("method", ["q-learning", "sarsa", "double-q-learning"])
@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.7, 1.0])
@pytest.mark.parametrize("q", [[1.0, 3.0, 2.0, 0.0], [2.0, 0.0, 2.0, 2.0], [0.0] * 4])
def test_epsilon_greedy_frequencies(q, epsilon, method, seed):
    counts = actions(q, seed, method, epsilon=epsilon)
    assert chi_squared(counts, epsilon_greedy(torch.tensor([q]), epsilon))
    counts = actions(q, seed, method, epsilon=epsilon, ties="first")
    assert chi_squared(counts, epsilon_greedy(torch.tensor([q]), epsilon, ties="first"))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("temperature", [0.2, 1.0, 30.0])
def test_softmax_frequencies(temperature, seed):
    q = [1.0, 1.5, 1.2, 0.9]
    counts = actions(q, seed, temperature=temperature)
    assert chi_squared(counts, softmax(torch.tensor([q]), temperature))


@pytest.mark.parametrize("seed", range(3))
def test_policies_are_followed(seed):
    for policy in ([[0.1, 0.2, 0.3, 0.4]], [[0.5, 0.0, 0.5, 0.0]], [[0.0, 1.0, 0.0, 0.0]]):
        counts = actions([0.0] * 4, seed, policy=policy)
        assert chi_squared(counts, torch.tensor(policy))
    assert actions([0.0] * 4, seed, policy=[2]).tolist() == [0, 0, N, 0]


def test_probabilities():
    q = torch.tensor([[0.0, 2.0, 1.0, 2.0], [5.0, 1.0, 1.0, 1.0]])
    assert torch.equal(greedy(q)[0], torch.tensor([0.0, 0.5, 0.0, 0.5]).double())
    assert greedy(q, ties="first").argmax(1).tolist() == [1, 0]
    p = epsilon_greedy(q, 0.2)
    assert (p[1] - torch.tensor([0.85, 0.05, 0.05, 0.05], dtype=torch.float64)).abs().max() < 1e-15
    total = sum(math.exp(v / 0.5) for v in (0.0, 2.0, 1.0, 2.0))
    exact = torch.tensor(
        [math.exp(v / 0.5) / total for v in (0.0, 2.0, 1.0, 2.0)], dtype=torch.float64
    )
    assert (softmax(q, 0.5)[0] - exact).abs().max() < 1e-15
    # No overflow, and the limits: greedy at 0, uniform at infinity.
    assert softmax(torch.tensor([1e4, 0.0]), 1e-3).tolist() == [1.0, 0.0]
    assert (softmax(q, 1e9) - 0.25).abs().max() < 1e-8
    chosen = draw(p.repeat(5000, 1), generator(1)).reshape(5000, 2)
    assert abs(float((chosen[:, 1] == 0).double().mean()) - 0.85) < 0.02


@pytest.mark.parametrize("seed", range(4))
def test_optimism_tries_everything(seed):
    """Without other exploration: values that are too high are all tried, low ones are not."""
    bandit = MDP.from_outcomes(1, 4, [0] * 4, range(4), [0] * 4, [1.0] * 4, [0.1, 0.2, 0.9, 0.3])
    options = {"steps": 200, "gamma": 0.0, "alpha": 0.3, "epsilon": 0.0, "seed": seed}
    hopeful = q_learning(bandit, initial=5.0, **options)
    assert (hopeful.learner.visits > 0).all()
    assert int(hopeful.policy[0]) == 2
    assert hopeful.learner.visits[0, 2] > 100
    content = q_learning(bandit, initial=0.0, **options)
    assert (content.learner.visits > 0).sum() == 1
    cliff = q_learning(MDP.from_grid("cliff"), episodes=200, epsilon=0.0, seed=seed)
    assert round(float(cliff.values[36])) == -13  # 0 is more than any state is worth


# -- schedules -----------------------------------------------------------------------------------


def test_schedules():
    falls = linear(1.0, 0.1, 100, per="episode")
    assert [falls.value(episode=k, step=7) for k in (0, 50, 100, 1000)] == [1.0, 0.55, 0.1, 0.1]
    halves = exponential(1.0, 0.2, 0.5)
    assert [halves.value(step=k) for k in range(5)] == [1.0, 0.5, 0.25, 0.2, 0.2]
    assert harmonic(10, 1).value(visit=30) == 0.25
    assert abs(harmonic(1, 0.5).value(visit=3) - 0.5) < 1e-15


@pytest.mark.parametrize(
    "schedule",
    [
        linear(1.0, 0.05, 500, per="episode"),
        exponential(1.0, 0.01, 0.999),
        harmonic(1, 0.8),
        harmonic(2.5, 1, per="step"),
    ],
)
def test_schedules_as_text(schedule):
    assert Schedule.parse(str(schedule)) == schedule


@pytest.mark.parametrize("seed", range(2))
def test_exploration_falls_as_it_is_told_to(seed):
    learner = Learner(
        LOOP, alpha=1e-300, epsilon=linear(1, 0, N), initial=[[1.0, 0, 0, 0]], seed=seed, limit=5
    )
    met = learner.advance(N, record=True).path[:, 1] != 0
    for k in range(10):
        share = met[k * N // 10 : (k + 1) * N // 10].double().mean()
        assert abs(float(share) - 0.75 * (0.95 - k / 10)) < 0.04


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: linear(1, 0, 0), "length above 0"),
        (lambda: exponential(1, 0, 1.5), r"rate in \(0, 1\]"),
        (lambda: harmonic(0), "scale above 0"),
        (lambda: linear(float("nan"), 0, 1), "0 or more"),
        (lambda: linear(-1, 0, 1), "0 or more"),
        (lambda: Schedule("linear", (1.0, 0.0)), "has 3 numbers, got 2"),
        (lambda: Schedule.parse("lin"), "write it as"),
        (lambda: Schedule.parse("linear:1:2:..episodes"), "no numbers"),
    ],
)
def test_schedules_that_make_no_sense(make, sentence):
    with pytest.raises(ConfigError, match=sentence):
        make()


def test_schedules_by_name():
    with pytest.raises(UnknownNameError, match="did you mean 'linear'"):
        Schedule.parse("lineal:1:0:5steps")
    with pytest.raises(UnknownNameError, match="did you mean 'episode'"):
        linear(1, 0, 5, per="episodes")


def test_bad_probabilities():
    with pytest.raises(ConfigError, match=r"epsilon must be in \[0, 1\], got 2"):
        epsilon_greedy(torch.zeros(3), 2)
    with pytest.raises(ConfigError, match="temperature must be above 0"):
        softmax(torch.zeros(3), 0)
