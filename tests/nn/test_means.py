"""Means and shares: exact means, a bijection onto all of space, autograd's log-determinant."""

import pytest
import torch
import torch.nn.functional as F

from phosphene.core.rng import generator
from phosphene.generative.flow.layers.mean_pyramid import MeansAndShares


def logits(shape, scale=3.0, dtype=torch.float64):
    return scale * torch.randn(shape, generator=generator(1), dtype=dtype)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("scale", [0.1, 1.0, 2.0])
def test_both_directions_invert(dtype, tolerance, scale):
    layer = MeansAndShares()
    x = logits((50, 3, 4, 6), scale, dtype)
    z, log_det = layer(x)
    assert z.shape == (50, 12, 2, 3)
    assert float((layer.inverse(z) - x).abs().max() / x.abs().max()) <= tolerance
    y, back = layer.inverse_and_log_det(z)
    torch.testing.assert_close(back, -layer(y)[1])
    torch.testing.assert_close(back, -log_det, rtol=1e-4, atol=1e-4)
    # Any shares at all belong to an image.
    z = logits(z.shape, scale, dtype)
    error = (layer(layer.inverse(z))[0] - z).abs().max() / z.abs().max()
    assert float(error) <= 100 * tolerance


def test_the_first_channels_are_the_means():
    x = logits((5, 3, 8, 8))
    z, _ = MeansAndShares()(x)
    torch.testing.assert_close(z[:, :3].sigmoid(), F.avg_pool2d(x.sigmoid(), 2))
    again, _ = MeansAndShares()(z[:, :3])
    torch.testing.assert_close(again[:, :3].sigmoid(), F.avg_pool2d(x.sigmoid(), 4))


def test_the_log_determinant_is_autograds():
    layer = MeansAndShares()
    for x in logits((6, 1, 2, 4), 2.0):
        jacobian = torch.autograd.functional.jacobian(lambda v: layer(v[None])[0].flatten(), x)
        exact = torch.linalg.slogdet(jacobian.reshape(8, 8))[1]
        torch.testing.assert_close(layer(x[None])[1][0], exact)


def test_black_and_white_stay_exact_in_single_precision():
    layer = MeansAndShares()
    x = torch.tensor([-9.0, 9.0, 9.0, 8.5, -9.0, -8.0, 8.0, -9.0]).view(2, 1, 2, 2)
    z, log_det = layer(x)
    assert torch.isfinite(z).all()
    assert torch.isfinite(log_det).all()
    torch.testing.assert_close(layer.inverse(z), x, rtol=1e-5, atol=1e-4)


def test_gradients_are_finite_at_a_mean_of_one_half():
    x = torch.tensor([-2.0, 2.0, 2.0, -2.0]).view(1, 1, 2, 2).requires_grad_()
    z, log_det = MeansAndShares()(x)
    (z.sum() + log_det.sum()).backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
