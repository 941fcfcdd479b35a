"""Sprites: every factor combination once, whole inside the image, and readable from it."""

import time

import numpy as np
import pytest

import phosphene as ph
from phosphene.data import sprites

SIZES = (32, 16)


@pytest.mark.parametrize("size", SIZES)
def test_images_are_distinct_and_never_cut(size: int) -> None:
    images, factors = sprites.grid(size)
    assert images.shape == (6144, size, size)
    assert len(np.unique(factors, axis=0)) == len(factors) == 6144
    assert len(np.unique(images.reshape(6144, -1), axis=0)) == 6144
    mass = images.reshape(96, 64, -1).astype(np.int64).sum(2)
    assert (mass == mass[:, :1]).all()  # moving a shape loses none of it


@pytest.mark.parametrize("size", SIZES)
def test_centroids_follow_the_positions(size: int) -> None:
    images, factors = sprites.grid(size)
    weight = images / images.sum((1, 2), keepdims=True, dtype=np.float64)
    column, row = weight.sum(1) @ np.arange(size), weight.sum(2) @ np.arange(size)
    step = size // 16
    for centroid, position in ((column, factors[:, 3]), (row, factors[:, 4])):
        middle = (size - 1) / 2 + (position - 3.5) * step
        assert np.abs(centroid - middle).max() < 0.06 * size  # a heart's centroid is off its middle


def test_scale_grows_and_orientation_keeps_the_area() -> None:
    images, _ = sprites.grid(32)
    area = images.reshape(3, 4, 8, -1).sum(3, dtype=np.int64) / 255 / 64
    assert (np.diff(area, axis=1) > 0).all()
    assert np.ptp(area, axis=2).max() < 0.7  # pixels
    ratio = area[:, 0].mean(1) / area[:, 3].mean(1)
    np.testing.assert_allclose(ratio, 0.55**2, rtol=0.02)


def test_edges_are_antialiased_and_there_is_no_other_grey() -> None:
    images, _ = sprites.grid(32)
    grey = ((images > 0) & (images < 255)).mean()
    assert 0.01 < grey < 0.08
    assert (images.max((1, 2)) == 255).all()


def test_loads_with_factors() -> None:
    data = ph.data.load("sprites16", "test")
    assert data.factor_names == ("shape", "scale", "orientation", "x", "y")
    assert data.factors is not None
    assert data.factors.max(0).values.tolist() == [2, 3, 7, 7, 7]
    assert data.y is not None
    assert (data.y == data.factors[:, 0]).all()
    images, factors = sprites.grid(16)
    index = np.ravel_multi_index(tuple(data.factors.numpy().T), tuple(sprites.FACTORS.values()))
    assert np.array_equal(images[index], data.x[:, 0].numpy())
    assert np.array_equal(factors[index], data.factors.numpy())


def test_drawing_is_quick() -> None:
    sprites.grid.cache_clear()
    start = time.process_time()
    sprites.grid(32)
    assert time.process_time() - start < 2
