"""The convolution layer, which is a cross-correlation, in one and two dimensions.

After LeCun and others (1989).
"""

import math

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError
from phosphene.core.rng import generator
from phosphene.learning.backprop.layer import Layer
from phosphene.learning.backprop.windows import Geometry, Pair, divided, fold, windows

__all__ = [
    "Convolution1d",
    "Convolution2d",
    "correlate",
    "correlate_backward_input",
    "correlate_backward_weight",
]


def correlate(
    x: Tensor, weight: Tensor, geometry: Geometry, groups: int = 1, bias: Tensor | None = None
) -> Tensor:
    """y[o, i, j] = v[o] + sum over c, a, b of w[o, c, a, b] x[c, i s + a d - p, j s + b d - p].

    As one matrix product: each window is a row, each filter a column.

    Args:
        x: (n, c, h, w).
        weight: (filters, c / groups, kernel rows, kernel columns).
        geometry: How windows lie.
        groups: Parts of the channels that do not see each other.
        bias: v, (filters,).

    Returns:
        (n, filters, rows, columns); in memory, channels come last.

    Example:
        >>> x, w = torch.arange(9.0).view(1, 1, 3, 3), torch.tensor([[[[1.0, 0.0], [0.0, -1.0]]]])
        >>> correlate(x, w, Geometry((2, 2)))[0, 0]
        tensor([[-4., -4.],
                [-4., -4.]])
    """
    rows, places = _rows(windows(x, geometry), groups)
    return _product(rows, places, weight, groups, bias)


def correlate_backward_weight(x: Tensor, dy: Tensor, geometry: Geometry, groups: int = 1) -> Tensor:
    """dL/dw: windows of x, correlated with dy: dw[o, c, a, b] = sum of dy[n, o, i, j] x[...].

    With stride 1 and no padding it is the correlation of x with dy, as if dy were the kernel.

    Args:
        x: (n, c, h, w).
        dy: (n, filters, rows, columns).
        geometry: How windows lie.
        groups: As in :func:`correlate`.

    Returns:
        (filters, c / groups, kernel rows, kernel columns).
    """
    rows, _ = _rows(windows(x, geometry), groups)
    return _weight_gradient(rows, dy, geometry, groups)


def correlate_backward_input(
    weight: Tensor, dy: Tensor, size: Pair, geometry: Geometry, groups: int = 1
) -> Tensor:
    """dL/dx: dx = sum over windows of dy times the kernel, laid where the window lay.

    With stride 1 it is the full convolution of dy with w: the correlation of dy, padded with
    d (k - 1) - p zeros, with w turned by 180 degrees. It is the transpose of :func:`correlate` as a
    matrix, that is the transposed convolution.

    Args:
        weight: (filters, c / groups, kernel rows, kernel columns).
        dy: (n, filters, rows, columns).
        size: Height and width of x.
        geometry: How windows lie.
        groups: As in :func:`correlate`.

    Returns:
        (n, c, h, w).

    Example:
        >>> w, dy = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), torch.ones(1, 1, 2, 2)
        >>> correlate_backward_input(w, dy, (3, 3), Geometry((2, 2)))[0, 0]
        tensor([[ 1.,  3.,  2.],
                [ 4., 10.,  6.],
                [ 3.,  7.,  4.]])
    """
    n, filters, rows, columns = dy.shape
    kh, kw = geometry.kernel
    gradients = _by_group(dy, groups)  # (groups, places, filters of a group)
    # One product a tap, so that what is added lies together: (taps, groups, filters of a group, c).
    kernels = weight.view(groups, filters // groups, -1, kh * kw).permute(3, 0, 1, 2)
    products = (gradients @ kernel for kernel in kernels.contiguous())
    taps = (p.transpose(0, 1).reshape(n, rows, columns, -1) for p in products)
    return fold(taps, size, geometry)


def _rows(seen: Tensor, groups: int) -> tuple[Tensor, tuple[int, int, int]]:
    """Windows as rows, (groups, places, taps * channels of a group), and n, rows, columns."""
    n, rows, columns, kh, kw, c = seen.shape
    if groups == 1:
        return seen.reshape(1, n * rows * columns, kh * kw * c), (n, rows, columns)
    split = seen.unflatten(5, (groups, c // groups)).permute(5, 0, 1, 2, 3, 4, 6)
    return split.reshape(groups, n * rows * columns, -1), (n, rows, columns)


def _product(
    rows: Tensor, places: tuple[int, int, int], weight: Tensor, groups: int, bias: Tensor | None
) -> Tensor:
    """Each window times each filter, as images (n, filters, rows, columns)."""
    kernels = _matrices(weight, groups)
    if groups == 1:
        product = rows[0] @ kernels[0] if bias is None else torch.addmm(bias, rows[0], kernels[0])
    else:
        product = torch.bmm(rows, kernels).permute(1, 0, 2).reshape(-1, len(weight))
        product = product if bias is None else product + bias
    return product.view(*places, len(weight)).permute(0, 3, 1, 2)


def _matrices(weight: Tensor, groups: int) -> Tensor:
    """Filters as columns: (groups, taps * channels of a group, filters of a group)."""
    filters, c, kh, kw = weight.shape
    split = weight.view(groups, filters // groups, c, kh, kw).permute(0, 3, 4, 2, 1)
    return split.reshape(groups, kh * kw * c, filters // groups)


def _by_group(dy: Tensor, groups: int) -> Tensor:
    """(n, filters, rows, columns) to (groups, places, filters of a group)."""
    last = dy.permute(0, 2, 3, 1).reshape(-1, groups, dy.shape[1] // groups)
    return last.permute(1, 0, 2)


def _weight_gradient(rows: Tensor, dy: Tensor, geometry: Geometry, groups: int) -> Tensor:
    product = torch.bmm(rows.mT, _by_group(dy, groups))  # (groups, taps * c, filters of a group)
    kh, kw = geometry.kernel
    split = product.view(groups, kh, kw, -1, product.shape[2]).permute(0, 4, 3, 1, 2)
    return split.reshape(dy.shape[1], -1, kh, kw).contiguous()


class Convolution2d(Layer):
    """y = w correlated with x, plus b: what every library calls a convolution.

    A convolution in the strict sense turns the kernel by 180 degrees; since the kernel is learned,
    it makes no difference here.

    Args:
        channels: Of x.
        filters: Channels of y.
        kernel: Taps along both axes, or along each.
        stride: From window to window.
        padding: Zeros on either side.
        dilation: From tap to tap.
        groups: Parts of the channels that do not see each other.
        bias: Whether there is a b.
        seed: Of the weights, normal with variance 2 / inputs of a filter (He and others, 2015).
        input_gradient: Whether ``backward`` gives dL/dx; the first layer of a network needs none.

    Raises:
        ConfigError: A setting has a value that it cannot take, or x does not fit.

    Example:
        >>> layer = Convolution2d(3, 8, 3, padding=1, seed=0)
        >>> layer(torch.ones(2, 3, 5, 5)).shape, layer.backward(torch.ones(2, 8, 5, 5)).shape
        (torch.Size([2, 8, 5, 5]), torch.Size([2, 3, 5, 5]))
    """

    def __init__(
        self,
        channels: int,
        filters: int,
        kernel: int | Pair,
        *,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
        seed: int = 0,
        input_gradient: bool = True,
    ) -> None:
        super().__init__()
        self.geometry = Geometry.of(kernel, stride, padding, dilation)
        divided(channels, filters, groups)
        self.groups, self.channels, self.input_gradient = groups, channels, input_gradient
        shape = (filters, channels // groups, *self.geometry.kernel)
        fan = math.prod(shape[1:])
        weight = torch.randn(shape, generator=generator(seed, channels, filters))
        self.parameters["weight"] = weight * math.sqrt(2 / fan)
        if bias:
            self.parameters["bias"] = torch.zeros(filters)

    def forward(self, x: Tensor) -> Tensor:
        """x (n, channels, h, w) to y (n, filters, rows, columns)."""
        if x.ndim != 4 or x.shape[1] != self.channels:
            raise ConfigError(f"x must be (n, {self.channels}, h, w), got {tuple(x.shape)}")
        self._size = (x.shape[2], x.shape[3])
        self._rows, places = _rows(windows(x, self.geometry), self.groups)
        return _product(
            self._rows, places, self._kernels(), self.groups, self.parameters.get("bias")
        )

    def backward(self, dy: Tensor) -> Tensor:
        """dy (n, filters, rows, columns) to dx (n, channels, h, w)."""
        weight = _weight_gradient(self._rows, dy, self.geometry, self.groups)
        self.grads = {"weight": weight.view_as(self.parameters["weight"])}
        if "bias" in self.parameters:
            self.grads["bias"] = dy.sum((0, 2, 3))
        if not self.input_gradient:
            return torch.empty(0)
        kernels = self._kernels()
        return correlate_backward_input(kernels, dy, self._size, self.geometry, self.groups)

    def _kernels(self) -> Tensor:
        """The weights as (filters, channels / groups, kernel rows, kernel columns)."""
        weight = self.parameters["weight"]
        return weight.view(*weight.shape[:2], *self.geometry.kernel)


class Convolution1d(Convolution2d):
    """The same along one axis: x (n, channels, length) to y (n, filters, places).

    Args:
        channels: Of x.
        filters: Channels of y.
        kernel: Taps.
        stride: From window to window.
        padding: Zeros on either side.
        dilation: From tap to tap.
        groups: Parts of the channels that do not see each other.
        bias: Whether there is a b.
        seed: Of the weights.
        input_gradient: Whether ``backward`` gives dL/dx.

    Example:
        >>> Convolution1d(2, 4, 3, stride=2)(torch.ones(5, 2, 9)).shape
        torch.Size([5, 4, 4])
    """

    def __init__(
        self,
        channels: int,
        filters: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
        seed: int = 0,
        input_gradient: bool = True,
    ) -> None:
        super().__init__(
            channels, filters, (1, kernel), stride=(1, stride), padding=(0, padding),
            dilation=(1, dilation), groups=groups, bias=bias, seed=seed,
            input_gradient=input_gradient,
        )  # fmt: skip
        self.parameters["weight"] = self.parameters["weight"][:, :, 0]

    def forward(self, x: Tensor) -> Tensor:
        """x (n, channels, length) to y (n, filters, places)."""
        if x.ndim != 3 or x.shape[1] != self.channels:
            raise ConfigError(f"x must be (n, {self.channels}, length), got {tuple(x.shape)}")
        return super().forward(x[:, :, None])[:, :, 0]

    def backward(self, dy: Tensor) -> Tensor:
        """dy (n, filters, places) to dx (n, channels, length)."""
        dx = super().backward(dy[:, :, None])
        return dx[:, :, 0] if self.input_gradient else dx
