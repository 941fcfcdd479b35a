"""Fidelity metrics equal independent implementations."""

import warnings

import numpy as np
import prdc
import pytest
import scipy.linalg
import scipy.stats
import torch
from sklearn.linear_model import Lasso, LogisticRegression
from sklearn.metrics import mutual_info_score
from sklearn.neighbors import KNeighborsClassifier
from torch import nn
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from phosphene.evaluate.disentanglement import lasso, mutual_information, mutual_information_gap
from phosphene.evaluate.distances import (
    frechet_distance,
    kernel_distance,
    sliced_wasserstein,
    wasserstein_1d,
)
from phosphene.evaluate.image_similarity import psnr, ssim
from phosphene.evaluate.neighbors import manifolds
from phosphene.evaluate.two_sample import _nearest_vote, logistic_regression


@pytest.fixture
def sets():
    g = torch.Generator().manual_seed(0)
    mix = torch.randn(12, 12, generator=g, dtype=torch.float64)
    x = torch.randn(240, 12, generator=g, dtype=torch.float64) @ mix
    y = torch.randn(200, 12, generator=g, dtype=torch.float64) @ mix * 1.1 + 0.2
    return x, y


class _Flat(nn.Module):
    """Features of an image: three channels' 2x2 means, as float32."""

    num_features = 12

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.adaptive_avg_pool2d(x.float(), 2).flatten(1)


@pytest.fixture
def images():
    g = torch.Generator().manual_seed(1)
    real = torch.randint(0, 256, (80, 3, 8, 8), generator=g, dtype=torch.uint8)
    fake = torch.randint(0, 200, (80, 3, 8, 8), generator=g, dtype=torch.uint8)
    return real, fake


def _frechet_scipy(x: torch.Tensor, y: torch.Tensor) -> float:
    a, b = (np.cov(v.numpy(), rowvar=False) for v in (x, y))
    root = scipy.linalg.sqrtm(a @ b)
    gap = (x.mean(0) - y.mean(0)).numpy()
    return float(gap @ gap + np.trace(a + b - 2 * root.real))


def test_frechet_equals_scipy_sqrtm(sets):
    x, y = sets
    assert frechet_distance(x, y) == pytest.approx(_frechet_scipy(x, y), rel=1e-9)


def test_frechet_equals_scipy_when_covariances_are_singular(sets):
    x, y = sets[0][:8], sets[1][:9]  # fewer examples than dimensions
    assert frechet_distance(x, y) == pytest.approx(_frechet_scipy(x, y), rel=1e-5)


def _torchmetrics(metric, real, fake) -> None:
    metric.update(real, real=True)
    metric.update(fake, real=False)


def test_frechet_equals_torchmetrics(images):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metric = FrechetInceptionDistance(feature=_Flat(), input_img_size=(3, 8, 8))
        metric.set_dtype(torch.float64)
        _torchmetrics(metric, *images)
        theirs = float(metric.compute())
    features = _Flat()
    assert frechet_distance(*map(features, images)) == pytest.approx(theirs, rel=1e-4)


def test_kernel_distance_equals_torchmetrics(images):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metric = KernelInceptionDistance(feature=_Flat(), subsets=1, subset_size=80)
        _torchmetrics(metric, *images)
        theirs = float(metric.compute()[0])
    features = _Flat()
    ours, _ = kernel_distance(features(images[0]), features(images[1]))
    assert ours == pytest.approx(theirs, rel=1e-4)


@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_precision_recall_density_coverage_equal_prdc(sets, k, dtype):
    real, fake = (v.to(dtype) for v in sets)
    theirs = prdc.compute_prdc(real.numpy(), fake.numpy(), nearest_k=k)
    ours = manifolds(real, fake, k=k)
    for name in ("precision", "recall", "density", "coverage"):
        assert float(getattr(ours, name).mean()) == pytest.approx(theirs[name], abs=1e-12), name


def test_blocks_do_not_change_the_answer(sets, monkeypatch):
    from phosphene.evaluate import neighbors

    whole = manifolds(*sets)
    monkeypatch.setattr(neighbors, "_BLOCK", 240)
    parts = manifolds(*sets)
    for name in ("precision", "recall", "density", "coverage"):
        assert torch.equal(getattr(whole, name), getattr(parts, name))


@pytest.mark.parametrize("sizes", [(50, 50), (50, 33), (7, 40)])
def test_wasserstein_equals_scipy(sizes):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=sizes[0]), rng.normal(1.0, 2.0, size=sizes[1])
    ours = wasserstein_1d(torch.from_numpy(x)[:, None], torch.from_numpy(y)[:, None], p=1)
    assert float(ours) == pytest.approx(scipy.stats.wasserstein_distance(x, y), rel=1e-12)


def test_sliced_wasserstein_of_a_shift_is_its_length_over_root_d():
    x = torch.randn(50, 16, generator=torch.Generator().manual_seed(0))
    value, error = sliced_wasserstein(x, x + 2.0, projections=4000)
    assert abs(value - 2.0) < 4 * error  # |shift| = 2 sqrt(16), and E cos^2 = 1 / 16


def test_logistic_regression_equals_scikit_learn(sets):
    x = torch.cat(sets) / 5
    y = torch.cat([torch.zeros(240), torch.ones(200)])
    theirs = LogisticRegression(C=1.0, tol=1e-12, max_iter=10_000).fit(x.numpy(), y.numpy())
    w = logistic_regression(x, y)
    np.testing.assert_allclose(w[:-1].numpy(), theirs.coef_[0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(w[-1].item(), theirs.intercept_[0], rtol=1e-4)


def test_neighbors_vote_as_scikit_learn(sets):
    x, y = sets
    train, test = torch.cat([x[:100], y[:100]]), torch.cat([x[100:], y[100:]])
    labels = torch.cat([torch.zeros(100), torch.ones(100)]).double()
    theirs = KNeighborsClassifier(5).fit(train.numpy(), labels.numpy()).predict(test.numpy())
    assert np.array_equal(_nearest_vote(train, labels, test, 5).numpy(), theirs > 0.5)


@pytest.mark.parametrize("shape", [(4, 1, 28, 28), (2, 3, 11, 17)])
def test_ssim_and_psnr_equal_torchmetrics(shape):
    g = torch.Generator().manual_seed(0)
    x = torch.rand(shape, generator=g)
    y = (x + 0.2 * torch.randn(shape, generator=g)).clamp(0, 1)
    for i in range(len(x)):
        a, b = x[i : i + 1].double(), y[i : i + 1].double()
        # theirs pads by reflection; ours keeps to windows that lie inside the image
        _, full = structural_similarity_index_measure(a, b, data_range=1.0, return_full_image=True)
        inside = float(full[..., 5:-5, 5:-5].mean())
        assert float(ssim(a, b)) == pytest.approx(inside, rel=1e-6)
        theirs = peak_signal_noise_ratio(a, b, data_range=1.0)
        ours = psnr((a - b).square().flatten(1).mean(1))
        assert float(ours) == pytest.approx(float(theirs), rel=1e-6)


def test_mutual_information_equals_scikit_learn():
    g = torch.Generator().manual_seed(0)
    a = torch.randint(7, (500,), generator=g)
    b = (a + torch.randint(3, (500,), generator=g)) % 5
    assert mutual_information(a, b) == pytest.approx(mutual_info_score(a, b), abs=1e-12)


def test_mutual_information_gap_equals_the_formula_on_scikit_learn():
    g = torch.Generator().manual_seed(0)
    factors = torch.randint(4, (400, 2), generator=g)
    codes = factors.double() @ torch.tensor([[1.0, 0.3, 0.0], [0.2, 1.0, 0.1]]).double()
    codes = codes + 0.3 * torch.randn(400, 3, generator=g, dtype=torch.float64)
    binned = []
    for z in codes.numpy().T:
        edges = np.histogram_bin_edges(z, 20)
        binned.append(np.digitize(z, edges[1:-1]))
    gaps = []
    for v in factors.numpy().T:
        nats = sorted(mutual_info_score(z, v) for z in binned)
        gaps.append((nats[-1] - nats[-2]) / mutual_info_score(v, v))
    assert mutual_information_gap(codes, factors) == pytest.approx(np.mean(gaps), abs=1e-6)


def test_lasso_equals_scikit_learn(sets):
    x = sets[0] - sets[0].mean(0)
    y = x[:, 0] - 0.5 * x[:, 3] + x[:, 5].sin()
    y = y - y.mean()
    theirs = Lasso(alpha=0.2, fit_intercept=False, tol=1e-12, max_iter=100_000)
    theirs.fit(x.numpy(), y.numpy())
    ours = lasso(x, y, 0.2, sweeps=20_000)
    np.testing.assert_allclose(ours.numpy(), theirs.coef_, atol=1e-6)
