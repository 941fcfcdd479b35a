"""What the pages on decision processes state, with the library's own solver and agent."""

import numpy as np
import pytest

from phosphene.decision.deep.reinforce import REINFORCE
from phosphene.decision.mdp.mdp import MDP
from phosphene.decision.mdp.value_iteration import value_iteration
from phosphene.proofs.tiny_mdp import SPEC, TinyMDP, expected_gradient, flat, prepared


@pytest.mark.parametrize("gamma", [0.3, 0.9, 0.99])
def test_a_sweep_is_a_contraction(gamma):
    random = np.random.default_rng(0)
    for seed in range(10):
        mdp = MDP.random(12, 3, seed=seed)
        v, u = random.normal(size=(2, 12))
        swept = [
            value_iteration(mdp, gamma, sweeps=1, initial_values=start).values for start in (v, u)
        ]
        assert abs(swept[0] - swept[1]).max() <= gamma * abs(v - u).max() + 1e-12


def test_reinforce_follows_the_gradient_of_the_return():
    mdp = TinyMDP(3, 0.7)
    agent = prepared(
        REINFORCE(SPEC, gamma=0.7, hidden=(4,), reward_to_go=False, baseline="none"), 3
    )
    exact = flat(mdp.objective(agent), agent)
    assert (expected_gradient(agent, mdp.trajectories()) - exact).abs().max() < 1e-12
