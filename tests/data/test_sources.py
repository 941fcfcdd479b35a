"""Sources: their likelihood is that of their samples, and its rate is the formula's."""

import itertools
import math

import numpy as np
import pytest
import torch

import phosphene as ph
from phosphene.core.errors import UnknownNameError
from phosphene.core.event import Event
from phosphene.data.sources import AR2, MarkovChain, source

PROCESSES = [AR2(0.5, 0.0, 2.0), AR2(-0.3, 0.4, 1.0), AR2(1.2, -0.8, 0.1)]


@pytest.mark.parametrize("process", PROCESSES)
def test_ar2_is_the_gaussian_of_its_autocovariance(process):
    """The oracle: a joint normal whose covariance follows from the recursion of correlations."""
    lags = 8
    r = [1.0, process.correlation]
    while len(r) < lags:
        r.append(process.a * r[-1] + process.b * r[-2])
    covariance = torch.tensor(
        [[process.variance * r[abs(i - j)] for j in range(lags)] for i in range(lags)],
        dtype=torch.float64,
    )
    x = torch.randn(5, lags, dtype=torch.float64)
    normal = torch.distributions.MultivariateNormal(torch.zeros(lags).double(), covariance)
    torch.testing.assert_close(process.log_prob(x), normal.log_prob(x), rtol=1e-9, atol=1e-9)
    drawn = torch.from_numpy(process.sample(40_000, lags, np.random.RandomState(0)))
    found = torch.cov(drawn.T)
    assert float((found - covariance).abs().max()) < 0.05 * process.variance
    assert float(drawn.mean(0).abs().max()) < 0.03 * math.sqrt(process.variance)


def test_a_process_that_is_not_stationary_is_none():
    for a, b in ((1.0, 0.0), (0.0, 1.0), (0.6, 0.5)):
        with pytest.raises(AssertionError):
            AR2(a, b, 1.0)


def small_chain() -> MarkovChain:
    table = np.random.RandomState(1).random_sample((2, 2, 2, 2)) + 0.1
    return MarkovChain(table / table.sum(-1, keepdims=True))


def test_markov_chain_is_normalized_and_stationary():
    chain = small_chain()
    states = torch.tensor(list(itertools.product(range(2), repeat=7)))
    p = chain.log_prob(states).exp()
    assert float(p.sum()) == pytest.approx(1, abs=1e-12)
    for start in range(5):  # every triple of neighbors has the same distribution
        triple = states[:, start : start + 3] @ torch.tensor([4, 2, 1])
        mass = torch.zeros(8, dtype=torch.float64).index_add(0, triple, p)
        assert mass.numpy() == pytest.approx(chain.stationary.reshape(-1), abs=1e-12)
    # The rate is the difference of the entropies of neighboring lengths.
    longer = torch.tensor(list(itertools.product(range(2), repeat=8)))
    q = chain.log_prob(longer).exp()
    rate = float((p * p.log()).sum() - (q * q.log()).sum())
    assert chain.entropy_rate == pytest.approx(rate, abs=1e-12)


def test_markov_samples_follow_the_probabilities():
    chain = small_chain()
    x = torch.from_numpy(chain.sample(20_000, 5, np.random.RandomState(2)).astype(np.int64))
    states = torch.tensor(list(itertools.product(range(2), repeat=5)))
    expected = 20_000 * chain.log_prob(states).exp()
    number = x @ torch.tensor([16, 8, 4, 2, 1])
    seen = torch.bincount(number, minlength=32)
    chi2 = float(((seen - expected) ** 2 / expected).sum())
    assert chi2 < 31 + 4 * math.sqrt(62)


@pytest.mark.parametrize("name", ["ar2", "markov3"])
def test_mean_likelihood_is_the_entropy_rate(name):
    data, law = ph.data.load(name, "test"), source(name)
    assert data.log_prob is not None
    nll = -data.log_prob(data.x).double()
    length = data.event.dimensions
    error = float(nll.std()) / math.sqrt(len(nll)) / length
    # The first values have less past than the rest, and so a little more entropy.
    start = (math.log(law.variance) if name == "ar2" else math.log(5) * 3) / length
    assert law.entropy_rate - 4 * error < float(nll.mean()) / length
    assert float(nll.mean()) / length < law.entropy_rate + start + 4 * error
    assert any(f"{law.entropy_rate:.4f}" in note for note in data.notes)


def test_splits_are_fixed_and_differ():
    for name, event in (("ar2", Event.real(256)), ("markov3", Event.tokens(256, 5))):
        train, again = ph.data.load(name, "validation"), ph.data.load(name, "validation")
        other = ph.data.load(name, "test")
        assert train.event == event
        assert torch.equal(train.x, again.x)
        assert not torch.equal(train.x[:10], other.x[:10])


def test_the_tables_do_not_change():
    """A seed is a promise: these figures are in the documentation."""
    assert source("markov3").entropy_rate == pytest.approx(0.959277, abs=1e-6)
    assert source("ar2").variance == pytest.approx(5.752259, abs=1e-6)
    assert ph.data.load("markov3", "test").x[0, :12].tolist() == [
        1,
        4,
        3,
        1,
        3,
        0,
        2,
        1,
        4,
        2,
        4,
        4,
    ]
    first = ph.data.load("ar2", "test").x[0, :3].tolist()
    assert first == pytest.approx([-0.999546, -0.798829, -2.343307], abs=1e-5)


def test_an_unknown_source_offers_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'ar2'"):
        source("ar3")
