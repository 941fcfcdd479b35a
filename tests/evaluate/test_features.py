"""Offline features: the same for ever, for any image, with nothing fetched."""

import hashlib

import pytest
import torch

import phosphene.data
from phosphene.core.errors import ConfigError, DataError, UnknownNameError
from phosphene.core.event import Event
from phosphene.evaluate import features as module
from phosphene.evaluate.features import (
    ClassifierFeatures,
    PcaFeatures,
    RandomConvFeatures,
    classify,
    default_name,
    make_features,
    unit,
)
from tests.helpers.tiny import examples


def test_codes_are_scaled_by_their_levels_and_reals_are_not():
    assert unit(Event.binary(2), torch.tensor([[0, 1]], dtype=torch.uint8)).tolist() == [[0.0, 1.0]]
    codes = torch.tensor([[16]], dtype=torch.uint8)
    assert unit(Event("tokens", (1,), 17), codes).tolist() == [[1.0]]
    assert unit(Event.real(1), torch.tensor([[7.5]])).tolist() == [[7.5]]


def test_pca_is_the_leading_subspace_of_the_training_split():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(200, 3, generator=g) @ torch.randn(3, 10, generator=g)
    pca = PcaFeatures(Event.real(10), x)
    assert pca(x).shape == (200, 3)  # the rank of the data, not 64
    torch.testing.assert_close(torch.pdist(pca(x)), torch.pdist(x), rtol=1e-4, atol=1e-4)
    variances = PcaFeatures(Event.real(10), x, k=2)(x).var(0, unbiased=False)
    expected = torch.linalg.eigvalsh((x - x.mean(0)).T @ (x - x.mean(0)) / 200).flip(0)[:2]
    torch.testing.assert_close(variances, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "event",
    [
        Event.image(1, 4),
        Event.image(1, 8, levels=2),
        Event.image(3, (9, 31)),
        Event.image(2, 64, levels=17),
        Event.image(1, 1),
    ],
)
def test_random_convolutions_take_any_image(event):
    x = examples(event, 5)
    f = RandomConvFeatures(event)
    assert f(x).shape == (5, 128)
    assert torch.isfinite(f(x)).all()
    torch.testing.assert_close(f(x)[3:], RandomConvFeatures(event)(x[3:]))
    assert (f(x).abs() < 100).all()


def test_random_convolutions_are_the_same_for_ever():
    x = torch.arange(64).view(1, 1, 8, 8)
    torch.manual_seed(1)
    values = RandomConvFeatures(Event.image(1, 8))(x)
    assert values.double().sum().item() == pytest.approx(21.563072507735342, abs=1e-3)


def test_the_classifier_is_right_on_held_out_digits():
    for name, least in (("mnist", 0.975), ("mnist-binary", 0.96)):
        test = phosphene.data.load(name, "test")
        right = classify(test.event, test.x) == test.y
        assert right.double().mean() >= least, name


def test_the_classifier_gives_64_features_and_is_small():
    event = Event.image(1, 28)
    assert ClassifierFeatures(event)(examples(event, 3)).shape == (3, 64)
    asset = module.files("phosphene.evaluate") / "assets" / "classifier.safetensors"
    assert len(asset.read_bytes()) <= 300_000


def test_a_damaged_classifier_is_refused(monkeypatch):
    module._classifier.cache_clear()
    monkeypatch.setattr(module, "_CLASSIFIER_SHA256", hashlib.sha256(b"").hexdigest())
    with pytest.raises(DataError, match="damaged"):
        ClassifierFeatures(Event.image(1, 28))
    module._classifier.cache_clear()


def test_defaults_fit_the_data(digits, moons):
    assert default_name(digits) == "randconv"
    assert default_name(moons) == "raw"
    assert default_name(phosphene.data.load("mnist-binary", "test")) == "classifier"


def test_bad_input(digits, moons):
    with pytest.raises(UnknownNameError, match="unknown features 'inception'"):
        make_features("inception", digits)
    with pytest.raises(ConfigError, match="randconv features need images"):
        make_features("randconv", moons)
    with pytest.raises(ConfigError, match="classifier features need 1x28x28 images"):
        make_features("classifier", digits)
