"""RNADE: densities integrate to one, and come within 0.05 nat of a known entropy."""

import math

import pytest
import torch
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.errors import ConfigError, EventError, UnknownNameError
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.autoregressive.rnade import RNADE


def _fit(
    model: RNADE, x: Tensor, steps: int, *, lr: float = 1e-2, n: int = 256, decay: float = 0.0
) -> None:
    """Adam with a cosine schedule on batches drawn by a fixed seed."""
    model.prepare(Batch.of(x[:2048]))
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=decay, fused=True)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = lr * 0.5 * (1 + math.cos(math.pi * step / steps))
        rows = torch.randint(len(x), (min(n, len(x)),), generator=generator(7, step))
        optimizer.zero_grad()
        model.loss(Batch.of(x[rows], seed=step)).total.backward()
        optimizer.step()
    model.eval()


def _three_blobs(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draws of a mixture of three Gaussians with full covariances, and their log-densities."""
    g = generator(seed)
    means = torch.tensor([[-2.0, 0.0], [2.0, 1.0], [0.5, -2.0]])
    factors = torch.tensor(
        [[[0.6, 0.0], [0.4, 0.3]], [[0.3, 0.0], [-0.5, 0.5]], [[1.0, 0.0], [0.0, 0.2]]]
    )
    k = torch.multinomial(torch.tensor([0.5, 0.3, 0.2]), n, replacement=True, generator=g)
    x = means[k] + torch.einsum("nij,nj->ni", factors[k], torch.randn((n, 2), generator=g))
    parts = torch.distributions.MultivariateNormal(means, scale_tril=factors)
    log_weight = torch.tensor([0.5, 0.3, 0.2]).log()
    return x, torch.logsumexp(parts.log_prob(x[:, None]) + log_weight, 1)


@pytest.mark.parametrize("mixture", ["gaussian", "logistic"])
def test_known_mixture_within_a_twentieth_of_a_nat(mixture: str) -> None:
    x, _ = _three_blobs(8192, 0)
    held_out, log_p = _three_blobs(8192, 1)
    with seeded(0):
        model = RNADE(Event.real(2), hidden=32, components=6, mixture=mixture)  # type: ignore[arg-type]
    _fit(model, x, 500)
    with torch.no_grad():
        gap = float((log_p - model.log_prob(held_out)).mean())
    assert -0.01 < gap < 0.05, f"{gap:.3f} nats above the entropy"


def test_density_of_the_plane_integrates_to_one() -> None:
    x, _ = _three_blobs(1024, 0)
    with seeded(0):
        model = RNADE(Event.real(2), hidden=16, components=3)
    _fit(model, 5.0 + 100.0 * x, 60)
    side = torch.linspace(-1200, 1200, 401, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side)
    with torch.no_grad():
        total = model.double().log_prob(grid).exp().sum() * float(side[1] - side[0]) ** 2
    assert abs(float(total) - 1) < 1e-3


def test_means_learn_by_their_sigma_in_training_alone() -> None:
    """Both settings have the same loss; only the gradient of the means' weights differs."""
    x, _ = _three_blobs(64, 0)
    grads = []
    for scaled in (True, False):
        with seeded(0):
            model = RNADE(Event.real(2), hidden=8, components=2, scale_mean_gradient=scaled)
        with torch.no_grad():
            for chain in model.chains:
                chain.c[:, 4:] = math.log(0.5)  # type: ignore[index]
                chain.V[:, 4:] = 0.0  # type: ignore[index]
        loss = model.loss(Batch.of(x)).total
        loss.backward()
        grads.append((loss.detach(), model.chains[0].c.grad))
    assert torch.equal(grads[0][0], grads[1][0])
    torch.testing.assert_close(grads[0][1][:, 2:4], 0.5 * grads[1][1][:, 2:4])
    torch.testing.assert_close(grads[0][1][:, :2], grads[1][1][:, :2])
    torch.testing.assert_close(grads[0][1][:, 4:], grads[1][1][:, 4:])


def _gaussian(train: Tensor, test: Tensor) -> float:
    """Mean log-density of a full-covariance Gaussian fitted by maximum likelihood."""
    normal = torch.distributions.MultivariateNormal(train.mean(0), train.T.cov(correction=0))
    return float(normal.log_prob(test).mean())


def test_beats_a_full_gaussian_on_patches() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    image = torch.from_numpy(datasets.load_sample_image("china.jpg").copy()).float().mean(2)
    patches = image.unfold(0, 4, 4).unfold(1, 4, 4).reshape(-1, 16)
    patches = patches[torch.randperm(len(patches), generator=generator(0))] / 255
    patches = patches + torch.rand(patches.shape, generator=generator(1)) / 255
    train, test = patches[:12_000], patches[12_000:]
    with seeded(0):
        model = RNADE(Event.real(16), hidden=32, components=3)
    _fit(model, train, 100, n=128)
    with torch.no_grad():
        ours = float(model.log_prob(test).mean())
    theirs = _gaussian(train, test)
    assert ours > theirs + 1.0, f"RNADE {ours:.2f}, Gaussian {theirs:.2f}"


def test_beats_a_full_gaussian_on_wine() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    x = torch.from_numpy(datasets.load_wine().data).float()
    x = x[torch.randperm(len(x), generator=generator(0))]
    x = (x - x.mean(0)) / x.std(0)
    ours, theirs = [], []
    for fold in range(3):
        held = torch.arange(len(x)) % 3 == fold
        with seeded(fold):
            model = RNADE(Event.real(13), hidden=50, components=1, dropout=0.5, input_dropout=0.1)
        _fit(model, x[~held], 150, decay=1.0)
        with torch.no_grad():
            ours.append(float(model.log_prob(x[held]).mean()))
        theirs.append(_gaussian(x[~held], x[held]))
    mean, other = sum(ours) / 3, sum(theirs) / 3
    assert mean > other, f"RNADE {mean:.2f}, Gaussian {other:.2f}"


@pytest.mark.parametrize(
    ("settings", "error", "word"),
    [
        ({"hidden": 0}, ConfigError, "hidden"),
        ({"components": 0}, ConfigError, "components"),
        ({"mixture": "gausian"}, UnknownNameError, "gaussian"),
        ({"activation": "gelu"}, UnknownNameError, "relu"),
    ],
)
def test_bad_settings(settings: dict[str, object], error: type[Exception], word: str) -> None:
    with pytest.raises(error, match=word):
        RNADE(Event.real(2), **settings)  # type: ignore[arg-type]


def test_codes_are_refused() -> None:
    with pytest.raises(EventError, match="code"):
        RNADE(Event.binary(4))
