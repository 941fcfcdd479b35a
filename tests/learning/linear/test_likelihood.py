"""Maximum likelihood against its bound, and cross-entropy against torch."""

import math

import pytest
import torch
import torch.nn.functional as F

from phosphene.core.errors import ConfigError, DataError
from phosphene.learning.linear.cross_entropy import (
    binary_cross_entropy,
    binary_cross_entropy_gradient,
    cross_entropy,
    cross_entropy_gradient,
)
from phosphene.learning.linear.maximum_likelihood import (
    bernoulli_fit,
    bernoulli_information,
    cramer_rao,
    exponential_fit,
    exponential_information,
    gaussian_fit,
    gaussian_information,
)


def test_the_estimates_are_the_most_likely():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(50, generator=g, dtype=torch.float64) * 2 + 1
    mean, variance = gaussian_fit(x)
    normal = lambda m, v: torch.distributions.Normal(m, v**0.5).log_prob(x).sum()  # noqa: E731
    assert all(
        normal(mean, variance) >= normal(mean + a, variance * (1 + b))
        for a in (-0.01, 0, 0.01)
        for b in (-0.01, 0, 0.01)
    )
    assert float(variance) == pytest.approx(float(x.var(correction=0)))
    waits = x.abs()
    rate = exponential_fit(waits)
    law = lambda r: torch.distributions.Exponential(r).log_prob(waits).sum()  # noqa: E731
    assert law(rate) >= max(law(rate * 0.99), law(rate * 1.01))
    assert float(bernoulli_fit((x > 0).double())) == float((x > 0).double().mean())


def test_information_is_the_variance_of_the_score():
    g = torch.Generator().manual_seed(1)
    x = torch.randn(400_000, generator=g, dtype=torch.float64) * math.sqrt(2.0)
    of_mean, of_variance = gaussian_information(2.0)
    assert float((x / 2).var()) == pytest.approx(of_mean, rel=0.02)
    assert float((x.square() / 8 - 1 / 4).var()) == pytest.approx(of_variance, rel=0.02)
    ones = (torch.rand(400_000, generator=g) < 0.3).double()
    score = ones / 0.3 - (1 - ones) / 0.7
    assert float(score.var()) == pytest.approx(bernoulli_information(0.3), rel=0.02)
    waits = torch.empty(400_000, dtype=torch.float64).exponential_(2.0, generator=g)
    assert float((0.5 - waits).var()) == pytest.approx(exponential_information(2.0), rel=0.02)


def test_the_bound_falls_as_one_over_n():
    assert cramer_rao(4.0, 100) == 1 / 400


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_binary_cross_entropy_is_torchs(dtype):
    g = torch.Generator().manual_seed(0)
    a = (torch.randn(500, generator=g, dtype=torch.float64) * 6).to(dtype)
    a[:4] = torch.tensor([-1e4, 1e4, -1e4, 1e4])
    y = torch.rand(500, generator=g).to(dtype)
    y[:4] = torch.tensor([0.0, 0.0, 1.0, 1.0])
    own = binary_cross_entropy(a, y)
    peer = F.binary_cross_entropy_with_logits(a, y, reduction="none")
    assert own.isfinite().all()
    assert own.dtype == dtype
    assert (own - peer).abs().max() <= (1e-12 if dtype == torch.float64 else 1e-5)
    assert own[:4].tolist() == [0.0, 1e4, 1e4, 0.0]


@pytest.mark.parametrize("weight", [1.0, 3.5])
def test_gradient_is_prediction_less_target(weight):
    g = torch.Generator().manual_seed(0)
    a = torch.randn(200, generator=g, dtype=torch.float64) * 4
    y = torch.rand(200, generator=g, dtype=torch.float64)
    at = a.clone().requires_grad_()
    loss = F.binary_cross_entropy_with_logits(
        at, y, pos_weight=torch.tensor(weight, dtype=torch.float64), reduction="sum"
    )
    peer = torch.autograd.grad(loss, at)[0]
    own = binary_cross_entropy_gradient(a, y, positive_weight=weight)
    assert (own - peer).abs().max() < 1e-12
    if weight == 1.0:
        assert (own - (torch.sigmoid(a) - y)).abs().max() < 1e-12


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_classes_are_torchs(soft, weighted):
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(60, 5, generator=g, dtype=torch.float64) * 5
    logits[0] = torch.tensor([1e4, -1e4, 0, 0, 0])
    t = torch.rand(60, 5, generator=g, dtype=torch.float64)
    t = t / t.sum(1, keepdim=True) if soft else torch.randint(5, (60,), generator=g)
    weight = torch.rand(5, generator=g, dtype=torch.float64) if weighted else None
    at = logits.clone().requires_grad_()
    peer = F.cross_entropy(at, t, weight, reduction="none")
    assert (cross_entropy(logits, t, weight=weight) - peer).abs().max() < 1e-9
    slope = torch.autograd.grad(peer.sum(), at)[0]
    assert (cross_entropy_gradient(logits, t, weight=weight) - slope).abs().max() < 1e-12


@pytest.mark.parametrize(
    ("do", "error", "said"),
    [
        (lambda: bernoulli_fit(torch.tensor([0.0, 2.0])), DataError, "0 or 1"),
        (lambda: gaussian_fit(torch.zeros(0)), DataError, "an example or more"),
        (lambda: gaussian_fit(torch.tensor([1])), DataError, "reals"),
        (lambda: bernoulli_information(1.0), ConfigError, "p must be above 0 and below 1, got 1"),
        (lambda: gaussian_information(0.0), ConfigError, "variance must be above 0, got 0"),
        (lambda: cramer_rao(1.0, 0), ConfigError, "n must be above 0, got 0"),
        (
            lambda: binary_cross_entropy(torch.zeros(2), torch.tensor([0.0, 1.5])),
            DataError,
            "between 0 and 1, got 1.5",
        ),
        (
            lambda: binary_cross_entropy(torch.zeros(2), torch.zeros(3)),
            DataError,
            r"shape \(2,\) and targets \(3,\)",
        ),
        (
            lambda: cross_entropy(torch.zeros(2, 3), torch.tensor([0, 3])),
            DataError,
            "classes 0 to 2, got 3",
        ),
        (lambda: cross_entropy(torch.zeros(3), torch.tensor([0])), DataError, "(n, classes)"),
        (
            lambda: cross_entropy(torch.zeros(1, 2), torch.tensor([[0.5, 0.4]])),
            DataError,
            "sum to 1",
        ),
    ],
)
def test_bad_input_is_one_sentence(do, error, said):
    with pytest.raises(error, match=said) as found:
        do()
    assert "\n" not in str(found.value)
