"""Planes, tori, affine maps and determinants."""

import math

import numpy as np
import pytest
import torch

from phosphene.core.errors import ConfigError, DataError
from phosphene.learning.mathematics.affine import apply_affine, compose, homogeneous
from phosphene.learning.mathematics.determinant_lemma import determinant_after_update
from phosphene.learning.mathematics.plane import plane_distance, plane_through
from phosphene.learning.mathematics.torus import enclosed_volume, torus_distance, torus_volume


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_plane_meets_its_points(scale):
    g = torch.Generator().manual_seed(0)
    for points in scale * torch.randn(50, 3, 3, generator=g, dtype=torch.float64):
        n, k = plane_through(*points)
        assert plane_distance(points, n, k).abs().max() < 1e-12 * scale
        assert float(torch.linalg.vector_norm(n)) == pytest.approx(1)
        away = points[0] + 3 * scale * n
        assert float(plane_distance(away, n, k)) == pytest.approx(3 * scale)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_points_on_one_line_are_refused(scale, dtype):
    g = torch.Generator().manual_seed(1)
    for a, along in (scale * torch.randn(20, 2, 3, generator=g)).to(dtype):
        with pytest.raises(DataError, match="on one line"):
            plane_through(a, a + along, a + 2 * along)
        with pytest.raises(DataError, match="on one line"):
            plane_through(a, a, a + along)


def test_torus_volume_of_a_mesh_and_of_a_grid():
    measure = pytest.importorskip("skimage.measure")
    line = np.linspace(-1.6, 1.6, 97)
    grid = torch.from_numpy(np.stack(np.meshgrid(line, line, line, indexing="ij"), -1))
    field = torus_distance(grid, 1.0, 0.4).numpy()
    vertices, faces, _, _ = measure.marching_cubes(field, 0.0, spacing=(line[1] - line[0],) * 3)
    a, b, c = (vertices[faces[:, k]] - 1.6 for k in range(3))
    volume = abs(np.einsum("ij,ij->i", a, np.cross(b, c)).sum()) / 6
    assert volume == pytest.approx(2 * math.pi**2 * 0.4**2, rel=5e-3)
    assert torus_volume(1.0, 0.4) == pytest.approx(2 * math.pi**2 * 0.4**2)
    assert enclosed_volume(1.0, 0.4) == pytest.approx(torus_volume(1.0, 0.4), rel=1e-3)


def test_torus_distance_has_slope_one():
    points = torch.randn(500, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    at = points.requires_grad_()
    slope = torch.autograd.grad(torus_distance(at, 1.0, 0.3).sum(), at)[0]
    assert (torch.linalg.vector_norm(slope, dim=1) - 1).abs().max() < 1e-10


def test_affine_maps_compose_as_matrices():
    g = torch.Generator().manual_seed(0)
    a1, a2 = torch.randn(2, 3, 3, generator=g, dtype=torch.float64)
    t1, t2 = torch.randn(2, 3, generator=g, dtype=torch.float64)
    x = torch.randn(10, 3, generator=g, dtype=torch.float64)
    both = homogeneous(a2, t2) @ homogeneous(a1, t1)
    assert both.shape == (4, 4)
    assert (homogeneous(*compose((a2, t2), (a1, t1))) - both).abs().max() < 1e-12
    assert (apply_affine(both, x) - ((x @ a1.T + t1) @ a2.T + t2)).abs().max() < 1e-12
    one = torch.cat((x, torch.ones(10, 1).double()), 1)
    assert (apply_affine(both, x) - (one @ both.T)[:, :3]).abs().max() < 1e-12
    many = homogeneous(a1.expand(5, 3, 3), t1.expand(5, 3))
    assert many.shape == (5, 4, 4)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_determinant_after_update(k):
    g = torch.Generator().manual_seed(k)
    a = torch.randn(20, 5, 5, generator=g, dtype=torch.float64)
    u, v = torch.randn(2, 20, 5, k, generator=g, dtype=torch.float64)
    exact = torch.linalg.det(a + u @ v.mT)
    assert ((determinant_after_update(a, u, v) - exact) / exact.abs()).abs().max() < 1e-9
    if k == 1:
        assert torch.equal(
            determinant_after_update(a, u[..., 0], v[..., 0]), determinant_after_update(a, u, v)
        )


@pytest.mark.parametrize(
    ("do", "error", "said"),
    [
        (lambda: torus_distance(torch.zeros(1, 3), 1.0, 1.5), ConfigError, "the major one, 1, got"),
        (lambda: torus_volume(1.0, 0.0), ConfigError, "must be above 0"),
        (lambda: homogeneous(torch.eye(3), torch.zeros(2)), DataError, r"got \(3, 3\) and \(2,\)"),
        (
            lambda: determinant_after_update(torch.eye(3), torch.ones(2), torch.ones(2)),
            DataError,
            r"shape \(..., 3, k\)",
        ),
    ],
)
def test_bad_input_is_one_sentence(do, error, said):
    with pytest.raises(error, match=said) as found:
        do()
    assert "\n" not in str(found.value)
