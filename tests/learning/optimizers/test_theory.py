"""Rates, batches and the problem that Adam fails: what the pages on optimizers say."""

import math

import pytest
import torch

from phosphene.core.errors import ConfigError
from phosphene.learning.optimizers.adam import Adam
from phosphene.learning.optimizers.amsgrad import (
    AMSGrad,
    play_counter_example,
    slope_of_counter_example,
)
from phosphene.learning.optimizers.mini_batch import (
    all_batches,
    batch_gradients,
    mini_batches,
    variance_of_batches,
)
from phosphene.learning.optimizers.momentum import Momentum, best_for_quadratics
from phosphene.learning.optimizers.rmsprop import RMSProp, root
from phosphene.learning.optimizers.sgd import SGD


def rate(kind, curvatures, steps, **settings):
    """The factor a step by which the distance to 0 falls, over the later half."""
    p = torch.nn.Parameter(torch.ones(len(curvatures), dtype=torch.float64))
    optimizer = kind([p], **settings)
    lengths = []
    for _ in range(steps):
        p.grad = curvatures * p.detach()
        optimizer.step()
        lengths.append(float(p.detach().norm()))
    half = steps // 2
    return (lengths[-1] / lengths[half]) ** (1 / (steps - 1 - half))


@pytest.mark.parametrize("kappa", [10.0, 100.0, 1000.0])
def test_momentum_falls_at_polyaks_rate_and_descent_does_not(kappa):
    curvatures = torch.logspace(0, math.log10(kappa), 12, dtype=torch.float64)
    lr, momentum, best = best_for_quadratics(1.0, kappa)
    assert best == pytest.approx((kappa**0.5 - 1) / (kappa**0.5 + 1))
    steps = int(20 * kappa**0.5) + 100
    assert rate(Momentum, curvatures, steps, lr=lr, momentum=momentum) == pytest.approx(
        best, rel=0.02
    )
    plain = rate(SGD, curvatures, steps, lr=2 / (1 + kappa))
    assert plain == pytest.approx((kappa - 1) / (kappa + 1), rel=1e-3)


def test_the_mean_over_all_batches_is_the_full_gradient_exactly():
    """In whole numbers: each example is in (n-1 choose m-1) batches, so sums can be compared."""
    gradients = torch.randint(-1000, 1000, (9, 4)).double()
    for m in range(1, 10):
        batches = all_batches(9, m)
        assert batches.shape == (math.comb(9, m), m)
        summed = gradients[batches].sum((0, 1))
        assert torch.equal(summed, math.comb(8, m - 1) * gradients.sum(0))
        mean = batch_gradients(gradients, batches).mean(0)
        torch.testing.assert_close(mean, gradients.mean(0), rtol=1e-13, atol=1e-12)


def test_the_variance_falls_as_one_over_m():
    gradients = torch.randn(10, 3, dtype=torch.float64)
    one = variance_of_batches(gradients, 1)
    for m in range(1, 11):
        found = batch_gradients(gradients, all_batches(10, m)).var(0, correction=0).sum()
        expected = variance_of_batches(gradients, m)
        assert float(found) == pytest.approx(expected, rel=1e-10, abs=1e-15)
        assert variance_of_batches(gradients, m, replacement=True) == pytest.approx(one / m)
    pairs = torch.cartesian_prod(torch.arange(10), torch.arange(10))  # with replacement
    found = batch_gradients(gradients, pairs).var(0, correction=0).sum()
    assert float(found) == pytest.approx(one / 2, rel=1e-12)


def test_batches_of_an_epoch_are_every_example_once():
    batches = mini_batches(23, 5, seed=3)
    assert [len(b) for b in batches] == [5, 5, 5, 5, 3]
    assert sorted(torch.cat(batches).tolist()) == list(range(23))
    again, next_ = mini_batches(23, 5, seed=3), mini_batches(23, 5, seed=3, epoch=1)
    assert torch.equal(torch.cat(batches), torch.cat(again))
    assert not torch.equal(torch.cat(batches), torch.cat(next_))


@pytest.mark.parametrize("call", [mini_batches, all_batches])
@pytest.mark.parametrize("size", [0, 6])
def test_batches_that_there_are_not(call, size):
    with pytest.raises(ConfigError, match=f"1 to 5 examples, got {size}"):
        call(5, size)


def test_too_many_batches_to_list():
    with pytest.raises(ConfigError, match="at most 1e6"):
        all_batches(60, 30)


@pytest.mark.parametrize("slope", [2.5, 3.0, 10.0])
def test_adam_goes_to_the_worst_point_and_amsgrad_does_not(slope):
    per_round = sum(slope_of_counter_example(t, slope) for t in (1, 2, 3))
    assert per_round == pytest.approx(slope - 2)  # above 0: x = -1 is best
    ends = [play_counter_example(k, 2000, slope=slope)[-1] for k in (Adam, AMSGrad)]
    assert ends[0] > 0.95
    assert ends[1] < -0.85


def test_where_eps_stands_matters():
    """The divisor at 0 is eps outside, sqrt(eps) inside: the same number, another step."""
    assert root(torch.zeros(()), 1e-8) == pytest.approx(1e-8)
    assert root(torch.zeros(()), 1e-8, "inside") == pytest.approx(1e-4)
    steps = []
    for place in ("outside", "inside"):
        p = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
        p.grad = torch.full_like(p, 1e-6)
        RMSProp([p], lr=1.0, eps=1e-8, place=place).step()
        steps.append(-p.item())
    assert steps[0] == pytest.approx(1e-6 / (1e-7 + 1e-8))
    assert steps[1] == pytest.approx(1e-6 / (1e-14 + 1e-8) ** 0.5)
