"""Transposed convolution: each value lays down a weighted copy of the kernel, and copies add up."""

import math

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError
from phosphene.core.rng import generator
from phosphene.learning.backprop.convolution import (
    correlate,
    correlate_backward_input,
    correlate_backward_weight,
)
from phosphene.learning.backprop.layer import Layer
from phosphene.learning.backprop.windows import (
    Geometry,
    Pair,
    divided,
    pair,
    transposed_output_size,
)

__all__ = ["TransposedConvolution2d", "transposed_convolution"]


def transposed_convolution(
    x: Tensor, weight: Tensor, geometry: Geometry, extra: Pair = (0, 0), groups: int = 1
) -> Tensor:
    """y = A^T x, where A is the correlation with w as a matrix: <A u, x> = <u, A^T x> for all u.

    Args:
        x: (n, channels, rows, columns).
        weight: (channels, filters / groups, kernel rows, kernel columns).
        geometry: How the windows of A lie.
        extra: Rows and columns that strides of A would pass over.
        groups: Parts of the channels that do not see each other.

    Returns:
        (n, filters, h, w).

    Example:
        >>> x, w = torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[[1.0, 10.0]]]])
        >>> transposed_convolution(x, w, Geometry((1, 2), stride=(1, 2)))
        tensor([[[[ 1., 10.,  2., 20.]]]])
    """
    size = _size(x, geometry, extra)
    return correlate_backward_input(weight, x, size, geometry, groups)


def _size(x: Tensor, g: Geometry, extra: Pair) -> Pair:
    found = [
        transposed_output_size(
            x.shape[2 + a], g.kernel[a], g.stride[a], g.padding[a], g.dilation[a], extra[a]
        )
        for a in (0, 1)
    ]
    return found[0], found[1]


class TransposedConvolution2d(Layer):
    """The transpose of a strided correlation, which makes images larger, plus b.

    Where the kernel is no multiple of the stride, places get unequally many copies: the
    checkerboard of Odena, Dumoulin and Olah (2016).

    Args:
        channels: Of x.
        filters: Channels of y.
        kernel: Taps along both axes, or along each.
        stride: From copy to copy.
        padding: Rows and columns cut off on either side.
        extra: More rows and columns at the end, below the stride.
        dilation: From tap to tap.
        groups: Parts of the channels that do not see each other.
        bias: Whether there is a b.
        seed: Of the weights.

    Raises:
        ConfigError: A setting has a value that it cannot take, or x does not fit.

    Example:
        >>> layer = TransposedConvolution2d(8, 3, 4, stride=2, padding=1)
        >>> layer(torch.ones(2, 8, 5, 5)).shape, layer.backward(torch.ones(2, 3, 10, 10)).shape
        (torch.Size([2, 3, 10, 10]), torch.Size([2, 8, 5, 5]))
    """

    def __init__(
        self,
        channels: int,
        filters: int,
        kernel: int | Pair,
        *,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        extra: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.geometry = Geometry.of(kernel, stride, padding, dilation)
        self.extra = pair(extra, "extra", 0)
        if any(e >= s for e, s in zip(self.extra, self.geometry.stride, strict=True)):
            raise ConfigError(f"extra must be below the stride {stride!r}, got {extra!r}")
        divided(channels, filters, groups)
        self.groups, self.channels = groups, channels
        shape = (channels, filters // groups, *self.geometry.kernel)
        weight = torch.randn(shape, generator=generator(seed, channels, filters))
        self.parameters["weight"] = weight * math.sqrt(
            2 / (channels // groups * math.prod(shape[2:]))
        )
        if bias:
            self.parameters["bias"] = torch.zeros(filters)

    def forward(self, x: Tensor) -> Tensor:
        """x (n, channels, rows, columns) to y (n, filters, h, w)."""
        if x.ndim != 4 or x.shape[1] != self.channels:
            raise ConfigError(f"x must be (n, {self.channels}, h, w), got {tuple(x.shape)}")
        self._x = x
        weight, bias = self.parameters["weight"], self.parameters.get("bias")
        y = transposed_convolution(x, weight, self.geometry, self.extra, self.groups)
        return y if bias is None else y + bias[:, None, None]

    def backward(self, dy: Tensor) -> Tensor:
        """dy (n, filters, h, w) to dx: what is transposed twice is the correlation itself."""
        weight = self.parameters["weight"]
        self.grads = {"weight": correlate_backward_weight(dy, self._x, self.geometry, self.groups)}
        if "bias" in self.parameters:
            self.grads["bias"] = dy.sum((0, 2, 3))
        return correlate(dy, weight, self.geometry, self.groups)
