"""The whole evaluation of a model: the right scores for what it can do."""

import json
import math
from dataclasses import replace

import pytest
import torch

import phosphene as ph
from phosphene.core.context import ContextSpec
from phosphene.core.errors import ConfigError, DivergedError, EventError
from phosphene.core.event import Event
from phosphene.data.dataset import Dataset
from phosphene.evaluate.scores.reconstructions import reconstruction
from phosphene.evaluate.scores.samples import draw
from phosphene.evaluate.scoring import evaluate_model
from tests.evaluate.toys import Bounded, Implicit, Independent, LinearGaussian

FIDELITY = {
    "frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage",
    "c2st_accuracy", "sliced_wasserstein", "diversity", "memorization_ratio",
}  # fmt: skip


@pytest.fixture
def linear():
    return LinearGaussian(Event.real(3))


def _drawn(model, n, seed, split="test"):
    x = draw(model, n, seed=seed)
    factors = (x[:, :2] > 0).long()
    return Dataset(
        name="toy", split=split, event=model.event, x=x, log_prob=model.log_prob, factors=factors
    )


def test_a_model_that_can_do_everything(linear):
    test, train = _drawn(linear, 150, 1), _drawn(linear, 300, 2, "train")
    scores = evaluate_model(linear, test, train, samples=150, particles=20)
    assert set(scores) == FIDELITY | {
        "nll", "elbo", "iwae_nll", "iwae_gap", "kl", "mse", "active_units", "path_distance",
        "mig", "dci_disentanglement", "dci_completeness", "dci_informativeness", "sap",
    }  # fmt: skip
    assert scores["kl"].value == pytest.approx(0.0, abs=1e-5)
    assert scores["kl"].kind == "exact"
    assert scores["elbo"].value <= -scores["nll"].value
    assert abs(scores["c2st_accuracy"].value - 0.5) < 4 * scores["c2st_accuracy"].stderr
    json.dumps({name: score.to_json() for name, score in scores.items()}, allow_nan=False)


def test_the_divergence_is_positive_for_another_density(linear):
    test, train = _drawn(linear, 150, 1), _drawn(linear, 300, 2, "train")
    other = LinearGaussian(Event.real(3))
    other.m.data += 1.0
    scores = evaluate_model(other, test, train, samples=100, particles=2)
    assert scores["kl"].value > 4 * scores["kl"].stderr
    bound = Bounded(Event.real(3))
    kl = evaluate_model(bound, test, train, particles=200)["kl"]
    assert kl.kind == "importance-weighted"
    assert kl.value == pytest.approx(0.0, abs=0.05)


def test_an_implicit_model_gets_fidelity_alone(moons):
    scores = evaluate_model(Implicit(moons.event), moons, moons, samples=64)
    known = {"memorization_ratio"}  # means nothing where the held-out examples were trained on
    assert set(scores) == FIDELITY - known
    assert all(score.kind == "raw features" for score in scores.values())


def test_discrete_likelihood_and_labels_for_a_conditional_model(digits):
    model = Independent(digits.event, context=ContextSpec(label=4)).fit(digits.x, digits.y)
    plain = Independent(digits.event).fit(digits.x)
    with_labels = evaluate_model(model, digits, digits, samples=64)
    without = evaluate_model(plain, digits, digits, samples=64)
    assert with_labels["bits_per_dim"].value < without["bits_per_dim"].value
    gap = with_labels["frechet_distance"].value < without["frechet_distance"].value
    assert gap, "samples of the asked-for class are closer to the data"


def test_labels_that_are_all_unknown_give_no_accuracy(digits):
    settings = {"classifier_hidden": (8,), "latent_dim": 2}
    model = ph.build("semi-supervised-vae", digits.event, ContextSpec(label=4), **settings)
    unknown = replace(digits, y=torch.full_like(digits.y, -1))
    scores = evaluate_model(model, unknown, digits, samples=32, particles=2)
    assert not {"accuracy", "probe_accuracy"} & set(scores)
    scores = evaluate_model(model, digits, digits, samples=32, particles=2)
    assert {"accuracy", "probe_accuracy"} <= set(scores)


def test_reconstructions_are_scored_on_the_scale_of_one():
    class Off(Implicit):
        def reconstruct(self, x):
            return x.float() + 16.0 * 0.1

    event = Event.image(1, 4, levels=17)
    scores = reconstruction(Off(event), torch.zeros(5, 1, 4, 4, dtype=torch.uint8))
    assert scores["mse"].value == pytest.approx(0.01)
    assert scores["psnr"].value == pytest.approx(20.0)


class _Labeller(Implicit):
    """Encodes points as themselves plus a posterior, and guesses labels by a rule."""

    def encode(self, x, context=None):
        return x

    def posterior(self, x, context=None):
        return 3 * x, torch.zeros_like(x)

    def classify(self, x):
        upper = (x[:, 1] > 0.25).float()
        return torch.stack([upper, 1 - upper], 1)


def test_codes_and_classifiers_are_scored_where_labels_are_known(moons):
    model = _Labeller(moons.event)
    y = torch.where(torch.arange(len(moons)) % 4 == 0, -1, moons.y)
    scores = evaluate_model(model, replace(moons, y=y), moons, samples=64)
    known = y >= 0
    right = (model.classify(moons.x).argmax(1) == y)[known].double().mean()
    assert scores["accuracy"].value == pytest.approx(float(right))
    assert scores["accuracy"].value > 0.7
    assert scores["probe_accuracy"].value > 0.8
    assert scores["active_units"].value == 2
    assert scores["aggregate_mmd"].value > 3 * scores["aggregate_mmd"].stderr
    assert abs(scores["aggregate_mmd"].floor) < scores["aggregate_mmd"].value
    without = evaluate_model(model, replace(moons, y=None), moons, samples=64)
    assert not {"accuracy", "probe_accuracy"} & set(without)


def test_few_examples_still_get_a_likelihood(digits):
    few = digits.subset(torch.arange(8))
    model = Independent(digits.event).fit(digits.x)
    assert set(evaluate_model(model, few, digits)) == {"nll", "bits_per_dim"}


def test_samples_are_a_function_of_the_seed(linear):
    a = draw(linear, 600, seed=3)
    torch.manual_seed(9)
    assert torch.equal(a, draw(linear, 600, seed=3))
    assert not torch.equal(a, draw(linear, 600, seed=4))
    assert not torch.equal(a[:256], a[256:512])  # batches do not repeat each other


def test_the_same_seed_gives_the_same_scores(linear):
    test, train = _drawn(linear, 60, 1), _drawn(linear, 60, 2, "train")
    a, b = (evaluate_model(linear, test, train, samples=60, particles=3) for _ in range(2))
    assert a == b


def test_bad_input(linear, digits, moons):
    test = _drawn(linear, 60, 1)
    with pytest.raises(EventError, match="expected a batch of shape"):
        evaluate_model(linear, moons, moons)
    with pytest.raises(ConfigError, match="samples must be 20 or more, got 3"):
        evaluate_model(linear, test, test, samples=3, particles=1)
    with pytest.raises(ConfigError, match="particles"):
        evaluate_model(linear, test, test, particles=0)
    model = Independent(digits.event, context=ContextSpec(label=4))
    with pytest.raises(EventError, match="conditioned on 'label'"):
        evaluate_model(model, replace(digits, y=None), digits)
    linear.m.data.fill_(math.nan)
    with pytest.raises(DivergedError, match="not finite"):
        evaluate_model(linear, test, test, particles=1)
