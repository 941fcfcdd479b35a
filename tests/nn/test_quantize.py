"""Quantizers: nearest codes, gradients straight through, k-means, dead codes, the finite grid."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from phosphene.core.errors import ConfigError
from phosphene.core.rng import generator
from phosphene.generative.autoencoder.layers.quantize import Codebook, FiniteScalars, perplexity


def points(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=generator(seed), dtype=torch.float64)


def test_the_nearest_code_is_the_nearest() -> None:
    book, z = Codebook(13, 3).double(), points(200, 3)
    brute = torch.stack([(z - e).square().sum(1) for e in book.vectors], 1).argmin(1)
    assert torch.equal(book(z).codes, brute)
    assert torch.equal(book(z).z, book.vectors[brute])


@pytest.mark.parametrize("quantizer", [Codebook(5, 3), FiniteScalars((3, 4, 5))])
def test_the_gradient_passes_straight_through(quantizer: Codebook | FiniteScalars) -> None:
    quantizer = quantizer.double()
    z = (0.3 * points(20, 3)).requires_grad_()
    out = quantizer(z).z
    at = out.detach().requires_grad_()
    weights = points(20, 3, seed=1)
    (wanted,) = torch.autograd.grad((at.sin() * weights).sum(), at)
    (given,) = torch.autograd.grad((out.sin() * weights).sum(), z)
    if isinstance(quantizer, FiniteScalars):  # through the bound, whose slope is the tangent's
        slope = 2 / (quantizer.levels - 1) * ((quantizer.levels - 1) / 2 + 0.5 - 1e-3)
        wanted = wanted * slope * (1 - torch.tanh(z.detach()) ** 2)
    assert torch.allclose(given, wanted, atol=1e-12)


def test_gradient_codebook_and_commitment() -> None:
    book, z = Codebook(4, 2, ema=None).double(), points(30, 2).requires_grad_()
    q = book(z)
    (to_book,) = torch.autograd.grad(q.codebook.sum(), book.vectors, retain_graph=True)
    chosen = torch.nn.functional.one_hot(q.codes, 4).double()
    wanted = 2 * (chosen.sum(0)[:, None] * book.vectors - chosen.T @ z)
    assert torch.allclose(to_book, wanted, atol=1e-12)
    (to_z,) = torch.autograd.grad(q.commitment.sum(), z)
    assert torch.allclose(to_z, 2 * (z - book.vectors[q.codes]), atol=1e-12)


def test_no_memory_is_one_step_of_k_means() -> None:
    z = points(300, 2)
    book = Codebook(6, 2, ema=0.0).double()
    book.vectors.copy_(z[:6])
    means = KMeans(6, init=z[:6].numpy(), n_init=1, max_iter=1, algorithm="lloyd", tol=0)
    with np.errstate(all="ignore"):
        means.fit(z.numpy())
    # KMeans assigns once more after its step; the means are of the assignment before it.
    book.follow(*book.statistics(z))
    assert np.abs(book.vectors.numpy() - means.cluster_centers_).max() < 1e-12


def test_moving_averages_converge_to_the_means() -> None:
    z = torch.cat([points(50, 2) * 0.01 + 3, points(50, 2, 1) * 0.01 - 3])
    book = Codebook(2, 2, ema=0.9).double()
    book.vectors.copy_(torch.tensor([[1.0, 1.0], [-1.0, -1.0]]))
    for _ in range(200):
        book.follow(*book.statistics(z))
    assert torch.allclose(book.vectors[0], z[:50].mean(0), atol=1e-6)
    assert torch.allclose(book.counts, torch.tensor([50.0, 50.0]).double(), atol=1e-5)


def test_dead_codes_are_moved_to_candidates() -> None:
    book = Codebook(3, 1, ema=0.9)
    book.counts.copy_(torch.tensor([10.0, 0.01, 5.0]))
    candidates = torch.tensor([[7.0], [8.0], [9.0]])
    before = book.vectors.clone()
    assert int(book.restart(candidates, least=0.05)) == 1
    assert torch.equal(book.vectors[[0, 2]], before[[0, 2]])
    assert float(book.vectors[1]) == 8.0
    assert torch.allclose(book.sums[1] / book.counts[1], candidates[1])


def test_the_finite_grid_has_all_its_points() -> None:
    grid = FiniteScalars((3, 2, 4))
    index = torch.arange(grid.size)
    z = grid.lookup(index)
    assert len(torch.unique(z, dim=0)) == 24
    assert float(z.abs().max()) == 1.0
    # Points of the grid, undone to unbounded numbers, are their own codes.
    levels = grid.levels
    digits = (z + 1) / 2 * (levels - 1)
    unbounded = torch.atanh((digits - (levels - 1) / 2) / ((levels - 1) / 2 + 0.5 - 1e-3))
    assert torch.equal(grid.nearest(unbounded), index)
    assert torch.allclose(grid(unbounded).z, z, atol=1e-6)


def test_perplexity_counts_codes_in_use() -> None:
    assert float(perplexity(torch.zeros(9, dtype=torch.long), 4)) == pytest.approx(1.0)
    assert float(perplexity(torch.arange(12) % 4, 4)) == pytest.approx(4.0)


@pytest.mark.parametrize(
    "bad",
    [
        lambda: Codebook(1, 2),
        lambda: Codebook(4, 0),
        lambda: Codebook(4, 2, ema=1.0),
        lambda: FiniteScalars(()),
        lambda: FiniteScalars((3, 1)),
    ],
)
def test_bad_settings_are_refused(bad: object) -> None:
    with pytest.raises(ConfigError):
        bad()  # type: ignore[operator]
