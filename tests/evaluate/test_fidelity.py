"""Laws of fidelity metrics: what must hold whatever the data."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phosphene.core.errors import ConfigError, DataError, EventError, UnknownNameError
from phosphene.core.event import Event
from phosphene.data.dataset import Dataset
from phosphene.evaluate.distances import frechet_distance, kernel_distance, sliced_wasserstein
from phosphene.evaluate.fidelity import fidelity
from phosphene.evaluate.moments import Moments
from phosphene.evaluate.neighbors import (
    diversity,
    manifolds,
    memorization_ratio,
    nearest_distance,
)
from phosphene.evaluate.two_sample import classifier_two_sample_test


def normal(n, d, seed, scale=1.0):
    g = torch.Generator().manual_seed(seed)
    return scale * torch.randn(n, d, generator=g, dtype=torch.float64)


@given(cuts=st.lists(st.integers(0, 50), max_size=6), far=st.sampled_from([0.0, 1e6]))
def test_moments_do_not_depend_on_how_the_stream_was_cut(cuts, far):
    x = normal(50, 4, 0) + far
    parts = torch.tensor_split(x, sorted(cuts))
    streamed, merged = Moments(4), Moments(4)
    for part in parts:
        streamed.update(part)
        merged.merge(Moments(4).update(part))
    for moments in (streamed, merged):
        assert moments.n == 50
        torch.testing.assert_close(moments.mean, x.mean(0), rtol=1e-14, atol=1e-12)
        torch.testing.assert_close(moments.covariance, x.T.cov(), rtol=1e-9, atol=1e-9)


def test_moments_of_float32_are_accumulated_in_float64():
    x = torch.full((1000, 1), 0.1, dtype=torch.float32) + 1e4
    assert Moments.of(x).mean.item() == pytest.approx(float(x[0].double()), rel=1e-15)


def test_frechet_of_gaussians_with_known_moments():
    a, b = Moments(3), Moments(3)
    a.n = b.n = 2
    a.scatter, b.scatter = torch.diag(torch.tensor([1.0, 4.0, 9.0])).double(), torch.eye(3).double()
    b.mean = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    # commuting covariances: sum (sqrt a - sqrt b)^2 = 0 + 1 + 4, and the means are 1 apart
    assert frechet_distance(a, b) == pytest.approx(6.0, abs=1e-12)


def test_frechet_is_symmetric_and_zero_on_equal_sets_even_when_singular():
    x, y = normal(30, 6, 0), normal(40, 6, 1, scale=1.5)
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-9)
    assert frechet_distance(x, x) == pytest.approx(0.0, abs=1e-9)
    constant = torch.cat([x, torch.zeros(30, 3)], 1)
    assert frechet_distance(constant, constant) == pytest.approx(0.0, abs=1e-6)


def test_kernel_distance_is_unbiased():
    values = [
        kernel_distance(normal(60, 3, 2 * s), normal(60, 3, 2 * s + 1), groups=2)[0]
        for s in range(200)
    ]
    t = torch.tensor(values)
    assert abs(t.mean()) < 4 * t.std() / len(t) ** 0.5
    assert (t < 0).any()


def test_the_error_of_the_kernel_distance_covers():
    pairs = [kernel_distance(normal(200, 3, 2 * s), normal(200, 3, 2 * s + 1)) for s in range(60)]
    z = torch.tensor([value / error for value, error in pairs])
    assert 0.5 < z.std() < 1.1  # a jackknife errs on the large side
    assert kernel_distance(normal(200, 3, 0), normal(200, 3, 1) + 0.5)[0] > 0.1


def test_sliced_wasserstein_is_zero_on_equal_sets_and_symmetric():
    x, y = normal(50, 4, 0), normal(35, 4, 1)
    assert sliced_wasserstein(x, x) == (0.0, 0.0)
    assert sliced_wasserstein(x, y)[0] == pytest.approx(sliced_wasserstein(y, x)[0])


def test_manifolds_tell_dropped_modes_from_bad_samples():
    modes = torch.tensor([[-20.0, 0.0], [20.0, 0.0]], dtype=torch.float64)
    real = normal(200, 2, 0) + modes[torch.arange(200) % 2]
    one_mode = normal(200, 2, 1) + modes[0]
    m = manifolds(real, one_mode)
    assert m.precision.mean() > 0.9
    assert m.recall.mean() < 0.6
    assert 0.4 < m.coverage.mean() < 0.6
    wild = normal(200, 2, 2, scale=100.0)
    m = manifolds(real, wild)
    assert m.precision.mean() < 0.1
    assert m.density.mean() < 0.1


def test_density_and_coverage_of_equal_distributions():
    # E density = 1, E coverage = 1 - prod_{i<k} (n - i) / (2n - i), about 1 - 2^-k
    values = [manifolds(normal(300, 4, 2 * s), normal(300, 4, 2 * s + 1)) for s in range(10)]
    density = torch.stack([v.density.mean() for v in values])
    coverage = torch.stack([v.coverage.mean() for v in values])
    assert abs(density.mean() - 1) < 4 * density.std() / 10**0.5
    assert abs(coverage.mean() - (1 - 2.0**-5)) < 0.01


def test_two_sample_accuracy_is_half_for_equal_and_one_for_far_distributions():
    same = [
        classifier_two_sample_test(normal(200, 5, 2 * s), normal(200, 5, 2 * s + 1), seed=s)
        for s in range(20)
    ]
    for name in ("logistic", "neighbors"):
        t = torch.tensor([getattr(v, name) for v in same])
        assert abs(t.mean() - 0.5) < 4 * t.std() / 20**0.5
    far = classifier_two_sample_test(normal(200, 5, 0), normal(150, 5, 1) + 6)
    assert far.logistic == far.neighbors == far.accuracy == 1.0


def test_neighbors_see_what_a_line_cannot():
    ring = torch.nn.functional.normalize(normal(400, 2, 0), dim=1) * 3
    test = classifier_two_sample_test(ring, normal(400, 2, 1, scale=0.3))
    assert test.logistic < 0.7
    assert test.accuracy == test.neighbors > 0.95


def test_memorization_is_one_for_new_data_and_zero_for_copies():
    train, held_out = normal(500, 3, 0), normal(300, 3, 1)
    value, error = memorization_ratio(normal(300, 3, 2), held_out, train)
    assert abs(value - 1) < 4 * error
    assert memorization_ratio(train[:100], held_out, train)[0] < 1e-6


def test_nearest_distance_by_hand():
    near = nearest_distance(torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([[0.0, 0.0]]))
    torch.testing.assert_close(near, torch.tensor([0.0, 5.0], dtype=torch.float64))


def test_diversity_falls_for_collapsed_samples():
    assert diversity(normal(100, 3, 0, scale=0.5), 2 * normal(100, 3, 0, scale=0.5)) == 0.25


def _digits(digits: Dataset, n: int, seed: int) -> Dataset:
    g = torch.Generator().manual_seed(seed)
    flips = torch.rand((n, *digits.event.shape), generator=g) < 0.1
    rows = torch.randint(len(digits), (n,), generator=g)
    x = torch.where(flips, 1 - digits.x[rows], digits.x[rows])
    return replace(digits, x=x, y=digits.y[rows])


@pytest.mark.parametrize("features", ["raw", "pca", "randconv", None])
def test_fidelity_of_real_data_is_its_floor_and_noise_is_far(digits, features):
    train, test, real = (_digits(digits, n, s) for s, n in enumerate((300, 120, 120)))
    scores = fidelity(real.x, test, train, features=features)
    noise = torch.randint(0, 2, real.x.shape, dtype=torch.uint8)
    far = fidelity(noise, test, train, features=features)
    expected = {
        "frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage",
        "c2st_accuracy", "sliced_wasserstein", "diversity", "memorization_ratio",
    }  # fmt: skip
    assert set(scores) == expected
    name = features or "randconv"
    for score in scores.values():
        assert score.kind == f"{name} features"
        assert score.features == name
        assert score.floor is not None
    assert scores["frechet_distance"].value < 2 * scores["frechet_distance"].floor
    assert far["frechet_distance"].value > 3 * far["frechet_distance"].floor
    sliced, wide = scores["sliced_wasserstein"], far["sliced_wasserstein"]
    assert sliced.value < 2 * sliced.floor
    assert wide.value > wide.floor + 5 * wide.stderr
    assert far["kernel_distance"].value > 10 * abs(far["kernel_distance"].floor)
    assert far["c2st_accuracy"].value > 0.8
    assert abs(scores["memorization_ratio"].value - 1) < 0.2


def test_the_floor_does_not_depend_on_the_samples(digits):
    train, test, real = (_digits(digits, n, s) for s, n in enumerate((300, 120, 120)))
    a = fidelity(real.x, test, train, features="raw")
    b = fidelity(1 - real.x, test, train, features="raw")
    assert {k: v.floor for k, v in a.items()} == {k: v.floor for k, v in b.items()}


def test_the_same_seed_gives_the_same_scores(digits):
    train, test, real = (_digits(digits, n, s) for s, n in enumerate((300, 120, 120)))
    torch.manual_seed(5)
    a = fidelity(real.x, test, train, seed=1)
    torch.manual_seed(6)
    assert a == fidelity(real.x, test, train, seed=1)
    assert a != fidelity(real.x, test, train, seed=2)


def test_progress_rises_to_one(digits):
    train, test, real = (_digits(digits, n, s) for s, n in enumerate((100, 60, 60)))
    seen = []
    fidelity(real.x, test, train, progress=lambda name, done: seen.append(done))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_bad_input(digits):
    with pytest.raises(DataError, match="fidelity needs 20 samples, got 3"):
        fidelity(digits.x[:3], digits, digits)
    with pytest.raises(EventError, match=r"codes must lie in 0\.\.1"):
        fidelity(digits.x + 2, digits, digits)
    with pytest.raises(UnknownNameError, match="did you mean 'randconv'"):
        fidelity(digits.x, digits, digits, features="randcnv")
    with pytest.raises(ConfigError, match="classifier features need 1x28x28"):
        fidelity(digits.x, digits, digits, features="classifier")
    with pytest.raises(ConfigError, match="got 10 groups of 12 examples"):
        kernel_distance(normal(12, 2, 0), normal(30, 2, 1))
    with pytest.raises(ConfigError, match="k must be odd"):
        classifier_two_sample_test(normal(50, 2, 0), normal(50, 2, 1), k=4)
    with pytest.raises(ConfigError, match="more than 5 examples"):
        manifolds(normal(5, 2, 0), normal(50, 2, 1))


def test_raw_features_of_points_in_the_plane(moons):
    scores = fidelity(moons.x, moons, moons)
    assert scores["precision"].features == "raw"
    assert moons.event == Event.real(2)


def test_repeated_examples_have_no_neighborhoods() -> None:
    from phosphene.data import load

    test, train = load("bars3", "test"), load("bars3", "train")
    scores = fidelity(test.x[:100], test, train)
    assert "precision" not in scores
    assert "memorization_ratio" not in scores
    assert all(math.isfinite(s.value) for s in scores.values())
