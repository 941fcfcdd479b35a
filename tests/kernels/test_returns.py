"""The kernel of generalized advantages against its reference, and both against sums written out."""

from functools import partial

import pytest
import torch

from phosphene.decision.deep.ppo import generalized_advantage
from phosphene.kernels import returns
from phosphene.kernels.library import backend, forced

advantages = partial(returns.advantages, formula=generalized_advantage)
needs_kernels = pytest.mark.skipif(backend().library is None, reason=backend().why)


def problem(steps=17, n=5, dtype=torch.float64, seed=0, ends=0.2):
    g = torch.Generator().manual_seed(seed)
    reward, value, following = (
        torch.randn(steps, n, generator=g, dtype=torch.float64).to(dtype) for _ in range(3)
    )
    terminated = torch.rand(steps, n, generator=g) < ends
    truncated = torch.rand(steps, n, generator=g) < ends
    return reward, value, following, terminated, terminated | truncated


def written_out(reward, value, following, terminated, done, gamma, lambda_):
    """A_t = sum_k (gamma lambda)^k delta_{t+k} up to the end of the episode, term by term."""
    steps, n = reward.shape
    out = torch.zeros_like(reward)
    for i in range(n):
        for t in range(steps):
            weight, k = 1.0, t
            while k < steps:
                ahead = 0.0 if terminated[k, i] else float(following[k, i])
                out[t, i] += weight * (float(reward[k, i]) + gamma * ahead - float(value[k, i]))
                if done[k, i]:
                    break
                weight, k = weight * gamma * lambda_, k + 1
    return out


@pytest.mark.parametrize("lambda_", [0.0, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("kernels", ["auto", "off"])
def test_both_are_the_sums(kernels, lambda_):
    parts = problem()
    with forced(kernels):
        found = advantages(*parts, gamma=0.9, lambda_=lambda_)
    assert torch.allclose(found, written_out(*parts, 0.9, lambda_), atol=1e-12, rtol=0)


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (32, 8), (128, 64)])
def test_the_kernel_is_the_reference(dtype, shape):
    parts = problem(*shape, dtype=dtype)
    found = advantages(*parts, gamma=0.99, lambda_=0.95)
    wanted = generalized_advantage(*parts, gamma=0.99, lambda_=0.95)
    assert found.dtype == dtype
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    assert torch.allclose(found, wanted, atol=tolerance, rtol=tolerance)


@needs_kernels
@pytest.mark.parametrize("level", ["baseline", "avx2", "avx512"])
def test_every_build_and_number_of_threads_gives_the_same(level):
    parts = problem(40, 33, dtype=torch.float32)
    wanted = generalized_advantage(*parts, gamma=0.99, lambda_=0.9)
    with forced(level) as found:
        if found.library is None:
            pytest.skip(found.why)
        threads, results = torch.get_num_threads(), []
        try:
            for n in (1, 2):
                torch.set_num_threads(n)
                results.append(advantages(*parts, gamma=0.99, lambda_=0.9))
        finally:
            torch.set_num_threads(threads)
    assert torch.equal(*results)
    assert torch.allclose(results[0], wanted, atol=1e-5, rtol=1e-5)


def test_views_are_taken_as_they_are():
    reward, value, following, terminated, done = (x.T for x in problem())
    found = advantages(reward, value, following, terminated, done, gamma=0.9, lambda_=0.7)
    wanted = written_out(reward, value, following, terminated, done, 0.9, 0.7)
    assert torch.allclose(found, wanted, atol=1e-12, rtol=0)


@pytest.mark.parametrize("kernels", ["auto", "off"])
def test_nothing_that_is_not_finite_comes_from_behind_a_terminal_state(kernels):
    parts = problem()
    parts[2][parts[3]] = float("nan")  # a value there "does not matter"
    with forced(kernels):
        assert torch.isfinite(advantages(*parts, gamma=0.9, lambda_=0.9)).all()
