"""Distributions of actions against torch's own, by quadrature, and by what they draw."""

import numpy as np
import pytest
import torch
from scipy import stats

from phosphene.core.environment import EnvSpec
from phosphene.core.event import Event
from phosphene.core.rng import generator
from phosphene.decision.deep.actor_critic import ActorCritic
from phosphene.decision.deep.distributions import Categorical, Gaussian, SquashedGaussian

EXACT = {torch.float64: 1e-12, torch.float32: 1e-5}


def normal(*shape, dtype=torch.float64, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=g, dtype=torch.float64).to(dtype)


def close(found, wanted, dtype):
    assert found.dtype == dtype
    assert torch.allclose(found, wanted, atol=EXACT[dtype], rtol=EXACT[dtype])


@pytest.mark.parametrize("dtype", EXACT)
def test_categorical(dtype):
    logits = 3 * normal(50, 7, dtype=dtype)
    ours, theirs = Categorical(logits), torch.distributions.Categorical(logits=logits)
    action = torch.arange(50) % 7
    close(ours.log_prob(action), theirs.log_prob(action), dtype)
    close(ours.entropy(), theirs.entropy(), dtype)
    assert torch.equal(ours.mode(), theirs.mode)


@pytest.mark.parametrize("dtype", EXACT)
@pytest.mark.parametrize("rows", [False, True])
def test_gaussian(dtype, rows):
    mean, action = normal(40, 3, dtype=dtype), normal(40, 3, dtype=dtype, seed=1)
    log_std = normal(40, 3, dtype=dtype, seed=2) if rows else normal(3, dtype=dtype, seed=2)
    theirs = torch.distributions.Independent(torch.distributions.Normal(mean, log_std.exp()), 1)
    ours = Gaussian(mean, log_std)
    # Far from the mean a log-probability is large, and so is its rounding.
    wanted = theirs.log_prob(action)
    scale = wanted.abs().clamp(min=1)
    close(ours.log_prob(action) / scale, wanted / scale, dtype)
    close(ours.entropy(), theirs.entropy(), dtype)
    assert ours.entropy().shape == (40,)
    assert torch.equal(ours.mode(), mean)
    noise = normal(40, 3, dtype=dtype, seed=3)
    close(ours.draw(noise), mean + log_std.exp() * noise, dtype)


@pytest.mark.parametrize("dtype", EXACT)
def test_squashed_gaussian(dtype):
    mean, log_std = 0.5 * normal(40, 3, dtype=dtype), 0.3 * normal(40, 3, dtype=dtype, seed=1)
    base = torch.distributions.Normal(mean, log_std.exp())
    theirs = torch.distributions.Independent(
        torch.distributions.TransformedDistribution(
            base, torch.distributions.transforms.TanhTransform(cache_size=1)
        ),
        1,
    )
    ours = SquashedGaussian(mean, log_std)
    action, log_prob = ours.draw(normal(40, 3, dtype=dtype, seed=2).clamp(-2, 2))
    tolerance = 1e-10 if dtype == torch.float64 else 2e-3  # atanh near 1 loses digits, theirs too
    for found in (log_prob, ours.log_prob(action)):
        assert torch.allclose(found, theirs.log_prob(action), atol=tolerance, rtol=tolerance)
    assert torch.equal(ours.mode(), mean.tanh())


@pytest.mark.parametrize(("mean", "std"), [(0.0, 0.3), (0.4, 0.5), (-1.0, 0.6)])
def test_the_correction_of_tanh_makes_it_a_density(mean, std):
    nodes, weights = np.polynomial.legendre.leggauss(400)
    action = torch.from_numpy(nodes)[:, None]
    one = torch.ones(400, 1, dtype=torch.float64)
    density = SquashedGaussian(mean * one, one * std).log_prob(action).exp()
    whole = SquashedGaussian(mean * one, one * float(np.log(std))).log_prob(action).exp()
    assert abs(float(whole @ torch.from_numpy(weights)) - 1) < 1e-6
    assert torch.isfinite(density).all()


def test_the_correction_survives_saturation():
    """Where tanh is 1 in floating point, log(1 - a^2) is -inf; ours is not."""
    far = SquashedGaussian(torch.full((1, 1), 30.0), torch.zeros(1, 1))
    action, log_prob = far.draw(torch.zeros(1, 1))
    assert float(action) == 1.0
    wanted = -0.5 * np.log(2 * np.pi) - 2 * (np.log(2) - 30.0)
    assert abs(float(log_prob) - wanted) < 1e-4


@pytest.mark.parametrize("seed", range(3))
def test_gumbel_draws_follow_the_probabilities(seed):
    spec = EnvSpec("any", Event.real(2), actions=5)
    agent = ActorCritic(spec, hidden=(4,))
    logits = torch.tensor([1.0, 0.0, -1.0, 2.0, -3.0])
    draws = 40_000
    noise = agent.noise((draws,), generator(seed))
    found = torch.bincount(Categorical.draw(logits.expand(draws, 5), noise), minlength=5)
    _, p = stats.chisquare(found.numpy(), (logits.double().softmax(0) * draws).numpy())
    assert p > 1e-3
    _, p = stats.kstest(noise.flatten()[:20_000].numpy(), stats.gumbel_r.cdf)
    assert p > 1e-3


def test_noise_is_finite_and_a_function_of_the_generator():
    spec = EnvSpec("any", Event.real(2), low=(-1.0, -1.0), high=(1.0, 1.0))
    agent = ActorCritic(spec, hidden=(4,))
    first, again = (agent.noise((3, 2), generator(1)) for _ in range(2))
    assert first.shape == (3, 2, 2)
    assert torch.equal(first, again)
    _, p = stats.kstest(agent.noise((5000,), generator(2)).flatten().numpy(), stats.norm.cdf)
    assert p > 1e-3
    discrete = ActorCritic(EnvSpec("any", Event.real(2), actions=3), hidden=(4,))
    assert torch.isfinite(discrete.noise((200_000,), generator(3))).all()
