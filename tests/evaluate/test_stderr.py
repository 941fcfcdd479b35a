"""Standard errors, against the spread of the scores over repetitions.

An error that is off by the root of the number of examples looks like any other number. It is right
if what it says is how far the score moves when all is drawn anew: within a factor, which leaves
room for the few repetitions, and for errors that are conservative.
"""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.event import Event
from phosphene.core.rng import seeded
from phosphene.decision.playing import Played
from phosphene.evaluate.distances import kernel_distance, sliced_wasserstein
from phosphene.evaluate.features import RawFeatures
from phosphene.evaluate.fidelity import compare_sets
from phosphene.evaluate.latents import aggregate_mmd, path_distance
from phosphene.evaluate.likelihood import likelihood
from phosphene.evaluate.neighbors import manifolds, memorization_ratio
from phosphene.evaluate.score import Score, standard_error
from phosphene.evaluate.scores.likelihoods import divergence
from phosphene.evaluate.scores.reconstructions import reconstruction
from phosphene.evaluate.scores.samples import as_asked
from phosphene.evaluate.super_resolution import _decibels
from phosphene.evaluate.two_sample import classifier_two_sample_test
from phosphene.generative.energy.boltzmann import BoltzmannMachine
from phosphene.generative.energy.rbm import RBM
from phosphene.subjects.environment.scores import score_episodes
from tests.evaluate.bad import drawn
from tests.evaluate.bad_samples import Eyes
from tests.evaluate.toys import Annealed, Bounded, Independent, LinearGaussian
from tests.helpers.tiny import tiny_digits

Estimate = Callable[[int], tuple[float, float | None]]
REPETITIONS = 60
SLACK = 1.6
"""Sixty repetitions tell a spread to a tenth; a forgotten root is a factor of seven or more."""
ESTIMATES: dict[str, tuple[Estimate, float]] = {}
"""Name -> a score of a seed, and how many times too large its error may be."""


def estimate(name: str, wide: float = SLACK) -> Callable[[Estimate], Estimate]:
    def register(make: Estimate) -> Estimate:
        ESTIMATES[name] = (make, wide)
        return make

    return register


def of(score: Score) -> tuple[float, float | None]:
    return score.value, score.stderr


def normal(n: int, d: int, *seed: int) -> Tensor:
    g = torch.Generator().manual_seed(sum(1000**k * s for k, s in enumerate(seed)))
    return torch.randn(n, d, generator=g, dtype=torch.float64)


# -- likelihoods ------------------------------------------------------------------------------

TRUTH = LinearGaussian(Event.real(3)).double()
BOUND = Bounded(Event.real(3)).double()


def points(seed: int, n: int = 60) -> Tensor:
    return TRUTH.m.detach() + normal(n, 3, seed) * torch.tensor([0.5, 1.0, 1.5])


@estimate("nll")
def _nll(seed: int) -> tuple[float, float | None]:
    return of(likelihood(TRUTH, points(seed), particles=1)["nll"])


@estimate("elbo")
def _elbo(seed: int) -> tuple[float, float | None]:
    return of(likelihood(BOUND, points(seed), particles=1, seed=seed)["elbo"])


@estimate("iwae_nll")
def _iwae(seed: int) -> tuple[float, float | None]:
    return of(likelihood(BOUND, points(seed), particles=5, seed=seed)["iwae_nll"])


@estimate("iwae_gap")
def _gap(seed: int) -> tuple[float, float | None]:
    return of(likelihood(BOUND, points(seed), particles=5, seed=seed)["iwae_gap"])


@estimate("bits_per_dim")
def _bits(seed: int) -> tuple[float, float | None]:
    event = Event.image(1, 3, levels=4)
    g = torch.Generator().manual_seed(seed)
    x = (4 * torch.rand(60, 1, 3, 3, generator=g) ** 3).long().to(torch.uint8)
    common = torch.tensor([0, 0, 0, 0, 1, 1, 2, 3]).to(torch.uint8)
    model = Independent(event).fit(common[:, None, None, None].expand(-1, 1, 3, 3))
    return of(likelihood(model, x)["bits_per_dim"])


@estimate("nll of an estimate")
def _estimated(seed: int) -> tuple[float, float | None]:
    class Shared(Annealed):
        """All examples share one error, a draw of it for each estimate."""

        def estimate_log_prob(self, x: Tensor, context: Context | None = None):  # type: ignore
            value, error = super().estimate_log_prob(x, context)
            return value + float(normal(1, 1, seed, 5)) * error, error

    return of(likelihood(Shared(Event.real(3)), 0.3 * normal(400, 3, seed))["nll"])


@estimate("kl")
def _kl(seed: int) -> tuple[float, float | None]:
    other = LinearGaussian(Event.real(3)).double()
    other.m.data += 1.0
    data = drawn(LinearGaussian(Event.real(3)), 60, seed, log_prob=lambda x: TRUTH.log_prob(x))
    return of(divergence(other, data)["kl"])


# -- annealed importance sampling -------------------------------------------------------------


def machine(cls: type, **settings: object):  # type: ignore[no-untyped-def]
    with seeded(1):
        model = cls(Event.binary(6), ais_chains=50, ais_temperatures=10, **settings).double()
        for p in model.parameters():
            torch.nn.init.normal_(p, std=0.5)
    return model


MACHINES = {"rbm": machine(RBM, hidden=4), "machine": machine(BoltzmannMachine)}


@estimate("log Z of an RBM")
def _log_z_rbm(seed: int) -> tuple[float, float | None]:
    return MACHINES["rbm"].estimate_log_z(seed=seed)[:2]


@estimate("log Z of a Boltzmann machine")
def _log_z_machine(seed: int) -> tuple[float, float | None]:
    return MACHINES["machine"].estimate_log_z(seed=seed)[:2]


@pytest.mark.parametrize("name", MACHINES)
def test_the_error_of_an_estimated_likelihood_is_that_of_log_z(name: str) -> None:
    model = MACHINES[name]
    model.exact, model.likelihood = False, "estimate"
    try:
        x = torch.zeros(3, 6)
        _, error = model.eval().estimate_log_prob(x)
        assert error.tolist() == [pytest.approx(model.estimate_log_z().stderr)] * 3
    finally:
        model.exact, model.likelihood = True, "exact"


# -- sets of samples --------------------------------------------------------------------------


def neighborhoods(name: str) -> Estimate:
    """Over the examples that are counted, with the set whose balls they lie in given."""
    of_fake = name in ("precision", "density")

    def score(seed: int) -> tuple[float, float | None]:
        fake, real = normal(100, 3, seed if of_fake else 1), normal(100, 3, 2 if of_fake else seed)
        values = getattr(manifolds(real, fake + 0.7), name)
        return float(values.mean()), standard_error(values)

    return score


for _name in ("precision", "recall", "density", "coverage"):
    ESTIMATES[_name] = (neighborhoods(_name), SLACK)


@estimate("c2st_accuracy", wide=2.0)  # the better of two classifiers varies less than one
def _told_apart(seed: int) -> tuple[float, float | None]:
    test = classifier_two_sample_test(normal(100, 3, seed, 1) + 0.5, normal(100, 3, seed, 2))
    return test.accuracy, test.stderr


@pytest.mark.parametrize("name", ["precision", "recall", "density", "coverage"])
def test_the_errors_of_sets_are_those_of_their_examples(name: str) -> None:
    fake, real = normal(60, 3, 1) + 0.7, normal(80, 3, 2)
    values = getattr(manifolds(real, fake), name)
    assert compare_sets(fake, real)[name][:2] == (float(values.mean()), standard_error(values))


@estimate("kernel_distance", wide=2.5)  # a jackknife of groups errs on the large side
def _kernel(seed: int) -> tuple[float, float | None]:
    return kernel_distance(normal(120, 3, seed, 1) + 0.5, normal(120, 3, seed, 2), seed=seed)


@estimate("sliced_wasserstein")
def _sliced(seed: int) -> tuple[float, float | None]:
    """Over directions, of sets that are given."""
    x, y = normal(50, 6, 0), 2 * normal(50, 6, 1) * torch.tensor([3.0, 1, 1, 1, 1, 1])
    return sliced_wasserstein(x, y, projections=64, seed=seed)


@estimate("memorization_ratio")
def _memorized(seed: int) -> tuple[float, float | None]:
    train = normal(300, 3, 0)
    return memorization_ratio(normal(60, 3, seed, 1), normal(400, 3, seed, 2), train)


@estimate("memorization_ratio of few held-out examples")
def _hardly_held_out(seed: int) -> tuple[float, float | None]:
    train = normal(300, 3, 0)
    return memorization_ratio(normal(400, 3, seed, 1), normal(60, 3, seed, 2), train)


@estimate("aggregate_mmd")
def _aggregate(seed: int) -> tuple[float, float | None]:
    return aggregate_mmd(0.5 * normal(200, 2, seed) + 0.5, seed=seed)


@estimate("path_distance")
def _path(seed: int) -> tuple[float, float | None]:
    class Points(LinearGaussian):
        def encode(self, x: Tensor, context: Context | None = None) -> Tensor:
            return x

        def decode(self, z: Tensor, context: Context | None = None) -> Tensor:
            return z

    event = Event.real(3)
    x = torch.cat([normal(200, 3, 1) - 3, normal(200, 3, 2) + 3])
    reference = x + 0.3 * normal(400, 3, 3)
    return path_distance(Points(event), x, reference, RawFeatures(event), pairs=60, seed=seed)


@estimate("conditional_accuracy")
def _conditional(seed: int) -> tuple[float, float | None]:
    g = torch.Generator().manual_seed(seed)
    digits = tiny_digits(64)
    label = torch.where(torch.rand(64, generator=g) < 0.3, 0, digits.y)
    return of(as_asked(digits.x, label, digits, Eyes()))  # type: ignore[arg-type]


# -- images and episodes ----------------------------------------------------------------------


@estimate("mse")
def _mse(seed: int) -> tuple[float, float | None]:
    return of(reconstruction(TRUTH, points(seed))["mse"])


@estimate("lr_consistency")
def _consistency(seed: int) -> tuple[float, float | None]:
    return of(_decibels(normal(60, 4, seed).square().mean(1) + 0.1, ""))


@estimate("return_mean")
def _returns(seed: int) -> tuple[float, float | None]:
    n = 40
    played = Played(normal(n, 1, seed)[:, 0] * 7, torch.ones(n), torch.ones(n).bool())
    return of(score_episodes(played, "greedy episodes")["return_mean"])


@pytest.mark.parametrize("name", ESTIMATES)
def test_an_error_is_the_spread_over_repetitions(name: str) -> None:
    score, wide = ESTIMATES[name]
    found = [score(seed) for seed in range(1, REPETITIONS + 1)]
    values = torch.tensor([value for value, _ in found]).double()
    errors = torch.tensor([error for _, error in found]).double()
    ratio = float(errors.square().mean().sqrt() / values.std())
    assert 1 / SLACK < ratio < wide, f"errors of {name} are {ratio:.2f} times the spread"
    assert math.isfinite(ratio)
