"""PPO's loss in one native call: equal to torch's formula and to its gradients."""

import pytest
import torch

from phosphene.decision.deep.ppo import loss_of_logits
from phosphene.kernels.library import backend, forced
from phosphene.kernels.surrogate import Moments, Weights, surrogate

native = pytest.mark.skipif(backend().library is None, reason="the library is not built")


def case(n, actions, dtype, seed=0):
    g = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=g, dtype=torch.float64)  # noqa: E731
    logits, value = 2 * draw(n, actions), draw(n)
    action = torch.randint(actions, (n,), generator=g)
    now = logits.log_softmax(1).gather(1, action[:, None]).squeeze(1)
    moments = (now + 0.3 * draw(n), draw(n), draw(n), value + 0.4 * draw(n))
    log_prob, advantage, target, before = (t.to(dtype) for t in moments)
    return logits.to(dtype), value.to(dtype), Moments(action, log_prob, advantage, target, before)


def fast(logits, value, moments, weights):
    return surrogate(logits, value, moments, weights, loss_of_logits)


def both(function, logits, value, moments, weights):
    logits, value = logits.clone().requires_grad_(), value.clone().requires_grad_()
    total, means = function(logits, value, moments, weights)
    (3 * total).backward()
    return total.detach(), means, logits.grad, value.grad


@native
@pytest.mark.parametrize("level", ["baseline", "avx2", "avx512"])
@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 2e-6), (torch.float64, 1e-13)])
@pytest.mark.parametrize(("n", "actions"), [(1, 2), (7, 3), (256, 2), (100, 18)])
@pytest.mark.parametrize("clip_value", [None, 0.2])
def test_equals_the_formula(level, dtype, close, n, actions, clip_value):
    weights = Weights(0.2, clip_value, 0.7, 0.01)
    given = case(n, actions, dtype, seed=n)
    with forced(level) as chosen:
        if chosen.library is None:
            pytest.skip(chosen.why)
        ours = both(fast, *given, weights)
    theirs = both(loss_of_logits, *given, weights)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=close, rtol=10 * close)
    assert not ours[1].requires_grad


def test_the_formula_by_finite_differences():
    given = case(5, 3, torch.float64, seed=4)
    weights = Weights(0.2, 0.2, 0.5, 0.1)

    def loss(logits, value):
        return fast(logits, value, given[2], weights)[0]

    inputs = tuple(t.requires_grad_() for t in given[:2])
    assert torch.autograd.gradcheck(loss, inputs, atol=1e-6)


@native
def test_extreme_logits_stay_finite():
    logits, value, moments = case(4, 3, torch.float32)
    found = both(fast, 200 * logits, value, moments, Weights(0.2, None, 0.5, 0.01))
    assert all(bool(torch.isfinite(t).all()) for t in (found[2], found[3]))
