"""Convolution against scipy, its matrices against torch, and shifts."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from phosphene.core.errors import ConfigError
from phosphene.learning.backprop.convolution import (
    correlate_backward_input,
    correlate_backward_weight,
)
from phosphene.learning.backprop.pooling import MaxPool2d
from phosphene.learning.backprop.torch_bridge import AsModule
from phosphene.learning.backprop.transposed import transposed_convolution
from phosphene.learning.backprop.windows import Geometry, output_size, transposed_output_size
from phosphene.learning.convolution.correlation import convolve, turned
from phosphene.learning.convolution.equivariance import (
    circular_convolution,
    equivariance_error,
    kernel_of,
)
from phosphene.learning.convolution.matrices import circulant, im2col, matrix_of, toeplitz


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("sizes", [((7, 6), (3, 3)), ((5, 5), (2, 4)), ((1, 9), (1, 3))])
def test_convolution_is_scipys(sizes):
    signal = pytest.importorskip("scipy.signal")
    image, kernel = draw(*sizes[0]), draw(*sizes[1], seed=1)
    for full, mode in ((True, "full"), (False, "valid")):
        expected = signal.convolve2d(image.numpy(), kernel.numpy(), mode)
        assert np.abs(convolve(image, kernel, full=full).numpy() - expected).max() < 1e-12


def test_toeplitz_and_circulant_are_scipys():
    linalg = pytest.importorskip("scipy.linalg")
    kernel = draw(5)
    assert np.array_equal(circulant(kernel).numpy(), linalg.circulant(kernel.numpy()))
    row = np.concatenate([kernel.numpy(), np.zeros(3)])
    column = np.concatenate([kernel.numpy()[:1], np.zeros(3)])
    assert np.array_equal(toeplitz(kernel, 8).numpy(), linalg.toeplitz(column, row))


def test_im2col_is_torchs_unfold():
    x, g = draw(2, 3, 7, 6), Geometry((3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2))
    assert torch.equal(im2col(x, g), F.unfold(x, (3, 2), (1, 2), (1, 0), (2, 1)))


def test_the_transpose_of_the_matrix_is_the_transposed_convolution():
    w, g = draw(4, 3, 3, 3), Geometry((3, 3), stride=(2, 2), padding=(1, 1))
    matrix = matrix_of(lambda u: F.conv2d(u, w, stride=2, padding=1), (3, 7, 5))
    y = draw(1, 4, 4, 3, seed=2)
    found = transposed_convolution(y, w, g).flatten()
    assert (matrix.T @ y.flatten() - found).abs().max() < 1e-12
    assert torch.equal(found, correlate_backward_input(w, y, (7, 5), g).flatten())


def test_every_linear_map_that_commutes_with_shifts_is_a_convolution():
    hidden = draw(3, 2)
    found = kernel_of(lambda u: circular_convolution(u, hidden), (5, 4))
    assert torch.equal(found[:3, :2], hidden)
    assert found[3:].abs().max() == 0
    fourier = torch.fft.ifft2(torch.fft.fft2(found) * torch.fft.fft2(draw(5, 4, seed=3))).real
    assert (fourier - circular_convolution(draw(5, 4, seed=3), hidden)).abs().max() < 1e-12
    assert equivariance_error(lambda u: u * torch.arange(4.0), draw(5, 4), (0, 1)) > 0.1


def test_gradients_of_a_convolution_that_turns_its_kernel():
    """The notes' layer: y = k * x; dk is then turned too, and dx is a correlation with k."""
    x, k = draw(6, 6).requires_grad_(), draw(3, 3, seed=1).requires_grad_()
    y = F.conv2d(x[None, None], turned(k)[None, None])[0, 0]
    dy = draw(4, 4, seed=2)
    dx, dk = torch.autograd.grad(y, (x, k), dy)
    g = Geometry((3, 3))
    own = correlate_backward_weight(x.detach()[None, None], dy[None, None], g)[0, 0]
    assert (turned(own) - dk).abs().max() < 1e-12
    by_input = correlate_backward_input(turned(k.detach())[None, None], dy[None, None], (6, 6), g)
    assert (by_input[0, 0] - dx).abs().max() < 1e-12


def test_sizes_that_do_not_fit_are_refused():
    assert (
        output_size(7, 3, 2, 1, 2)
        == F.conv1d(
            torch.zeros(1, 1, 7), torch.zeros(1, 1, 3), stride=2, padding=1, dilation=2
        ).shape[2]
    )
    with pytest.raises(ConfigError, match="reaches over 5 does not fit into 3 with padding 0"):
        output_size(3, 3, dilation=2)
    with pytest.raises(ConfigError, match="would have size -2"):
        transposed_output_size(1, 2, padding=2, stride=3, extra=0)


def test_a_layer_inside_torch_gives_its_own_gradients():
    from phosphene.learning.backprop.convolution import Convolution2d
    from phosphene.learning.backprop.layer import Flatten, Network
    from phosphene.learning.backprop.linear import Linear

    network = Network(
        [Convolution2d(1, 2, 3, seed=1), MaxPool2d(2), Flatten(), Linear(8, 3, seed=2)]
    )
    module = AsModule(network)
    x = draw(4, 1, 6, 6).float().requires_grad_()
    module(x).square().sum().backward()
    weight, bias, w, b = (p.detach().clone().requires_grad_() for p in module.parameters())
    free = x.detach().clone().requires_grad_()
    y = F.linear(F.max_pool2d(F.conv2d(free, weight, bias), 2).flatten(1), w, b)
    y.square().sum().backward()
    for own, other in zip([x, *module.parameters()], [free, weight, bias, w, b], strict=True):
        assert (own.grad - other.grad).abs().max() < 1e-4
