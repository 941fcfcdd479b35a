"""Limits of generalized advantages: Monte Carlo, temporal differences, what is cut off."""

from functools import partial

import pytest
import torch

from phosphene.decision.deep.ppo import generalized_advantage
from phosphene.kernels import returns

advantages = partial(returns.advantages, formula=generalized_advantage)
GAMMA = 0.9


def episode(steps=6, n=3, seed=0):
    """One episode in each column; V has a value of where the last action led."""
    g = torch.Generator().manual_seed(seed)
    reward = torch.randn(steps, n, generator=g, dtype=torch.float64)
    value = torch.randn(steps + 1, n, generator=g, dtype=torch.float64)
    last = torch.zeros(steps, n, dtype=torch.bool)
    last[-1] = True
    return reward, value, last, torch.zeros_like(last)


def monte_carlo(reward):
    out, beyond = torch.zeros_like(reward), torch.zeros_like(reward[0])
    for t in reversed(range(len(reward))):
        beyond = reward[t] + GAMMA * beyond
        out[t] = beyond
    return out


def test_lambda_one_is_the_return_less_the_value():
    reward, value, last, _ = episode()
    found = advantages(reward, value[:-1], value[1:], last, last, gamma=GAMMA, lambda_=1.0)
    assert torch.allclose(found, monte_carlo(reward) - value[:-1], atol=1e-12, rtol=0)


def test_lambda_zero_is_the_residual():
    reward, value, last, _ = episode()
    found = advantages(reward, value[:-1], value[1:], last, last, gamma=GAMMA, lambda_=0.0)
    wanted = reward + GAMMA * value[1:] * ~last - value[:-1]
    assert torch.allclose(found, wanted, atol=1e-15, rtol=1e-15)  # fused multiply-adds round once


@pytest.mark.parametrize("lambda_", [0.0, 0.6, 1.0])
def test_what_a_limit_cuts_off_is_worth_its_value(lambda_):
    """To be cut off with V(s_T) beyond is to earn gamma V(s_T) more and terminate."""
    reward, value, last, never = episode()
    cut = advantages(reward, value[:-1], value[1:], never, last, gamma=GAMMA, lambda_=lambda_)
    paid = reward.clone()
    paid[-1] += GAMMA * value[-1]
    ended = advantages(paid, value[:-1], value[1:], last, last, gamma=GAMMA, lambda_=lambda_)
    assert torch.allclose(cut, ended, atol=1e-12, rtol=0)
    assert (cut != advantages(
        reward, value[:-1], value[1:], last, last, gamma=GAMMA, lambda_=lambda_
    )).any()  # fmt: skip


def test_the_end_of_a_rollout_is_like_the_limit():
    reward, value, last, never = episode()
    parts = (reward, value[:-1], value[1:])
    cut = advantages(*parts, never, last, gamma=GAMMA, lambda_=0.8)
    open_ended = advantages(*parts, never, never, gamma=GAMMA, lambda_=0.8)
    assert torch.equal(cut, open_ended)


def test_an_episode_knows_nothing_of_the_next():
    first, second = episode(seed=1), episode(seed=2)
    both = [torch.cat([a, b]) for a, b in zip(first, second, strict=True)]
    value = torch.cat([first[1][:-1], second[1][:-1]])
    following = torch.cat([first[1][1:], second[1][1:]])
    found = advantages(both[0], value, following, both[2], both[2], gamma=GAMMA, lambda_=0.9)
    alone = advantages(
        first[0], first[1][:-1], first[1][1:], first[2], first[2], gamma=GAMMA, lambda_=0.9
    )
    assert torch.equal(found[:6], alone)


def test_the_right_value_leaves_no_advantage_on_average():
    """In a chain without choices and with V exact, every advantage is 0."""
    reward = torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64)
    value = torch.cat([monte_carlo(reward), torch.zeros(1, 1, dtype=torch.float64)])
    last = torch.tensor([[False], [False], [True]])
    found = advantages(reward, value[:-1], value[1:], last, last, gamma=GAMMA, lambda_=0.7)
    assert found.abs().max() < 1e-12
