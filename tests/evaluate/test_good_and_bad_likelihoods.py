"""A likelihood alone does not say whether samples are good (Theis, van den Oord, Bethge, 2016)."""

import math

import pytest
import torch

from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.data.dataset import Dataset
from phosphene.evaluate.likelihood import exact_log_prob
from phosphene.evaluate.scoring import evaluate_model
from tests.evaluate.toys import LinearGaussian

EVENT = Event.real(12)


class Diluted(Model):
    """0.01 p + 0.99 noise: nearly every sample is noise."""

    likelihood = "exact"

    def __init__(self, event: Event, inner: Model) -> None:
        super().__init__(event)
        self.inner = inner
        self.noise = torch.distributions.Normal(torch.zeros(event.shape), 10.0)

    def log_prob(self, x, context=None):
        noise = self.noise.log_prob(x).sum(1) + math.log(0.99)
        return torch.logaddexp(self.inner.log_prob(x) + math.log(0.01), noise)

    def sample(self, n, context=None, *, generator=None):
        good = self.inner.sample(n, generator=generator)
        noise = 10 * torch.randn(good.shape, generator=generator)
        return torch.where(torch.rand(n, 1, generator=generator) < 0.01, good, noise)


class Kernels(Model):
    """A Gaussian of width h on each training example: it repeats what it saw."""

    likelihood = "exact"

    def __init__(self, event: Event, train: torch.Tensor, h: float) -> None:
        super().__init__(event)
        self.centers, self.h = train, h

    def log_prob(self, x, context=None):
        squared = torch.cdist(x, self.centers).square() / self.h**2
        each = -0.5 * (squared + x.shape[1] * math.log(2 * math.pi * self.h**2))
        return each.logsumexp(1) - math.log(len(self.centers))

    def sample(self, n, context=None, *, generator=None):
        rows = torch.randint(len(self.centers), (n,), generator=generator)
        return self.centers[rows] + self.h * torch.randn(n, 12, generator=generator)


@pytest.fixture(scope="module")
def truth():
    return LinearGaussian(EVENT)


@pytest.fixture(scope="module")
def data(truth):
    def make(n, seed, split):
        x = truth.sample(n, generator=torch.Generator().manual_seed(seed)).detach()
        return Dataset(name="toy", split=split, event=EVENT, x=x)

    return make(400, 0, "test"), make(600, 1, "train")


def test_dilution_costs_ln_100_nats_at_most_and_ruins_the_samples(truth, data):
    test, train = data
    diluted = Diluted(EVENT, truth)
    cost = exact_log_prob(truth, test.x) - exact_log_prob(diluted, test.x)
    assert cost.max() <= math.log(100) + 1e-4
    scores = evaluate_model(diluted, test, train, samples=400)
    told = scores["c2st_accuracy"]
    assert told.value > 0.5 + 10 * told.stderr
    assert scores["precision"].value < 0.1


def test_memorized_samples_look_perfect_and_have_a_bad_likelihood(truth, data):
    test, train = data
    kernels = Kernels(EVENT, train.x, 0.05)
    scores = evaluate_model(kernels, test, train, samples=400)
    honest = evaluate_model(truth, test, train, samples=400, particles=1)
    assert scores["nll"].value > honest["nll"].value + 100
    assert scores["frechet_distance"].value < 2 * scores["frechet_distance"].floor
    assert scores["precision"].value > 0.8
    assert scores["memorization_ratio"].value < 0.15  # the number that gives it away
    ratio = honest["memorization_ratio"]
    assert abs(ratio.value - 1) < 4 * ratio.stderr
