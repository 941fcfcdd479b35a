"""Pooling: the largest or the mean value of each window.

After Boureau, Ponce and LeCun (2010).
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError
from phosphene.learning.backprop.layer import Layer
from phosphene.learning.backprop.windows import Geometry, Pair, fold, windows

__all__ = ["AveragePool2d", "MaxPool2d"]


def _images(x: Tensor) -> None:
    if x.ndim != 4:
        raise ConfigError(f"x must be (n, c, h, w), got {tuple(x.shape)}")


class MaxPool2d(Layer):
    """y = the largest value of each window; the gradient goes to where it stood, and nowhere else.

    Of equal values the first in reading order gets the gradient. ``indices`` (n, c, rows, columns)
    keeps where they stood, as h w + w' of x, for :class:`~.unpooling.MaxUnpool2d`.

    Args:
        kernel: Size of windows.
        stride: From window to window; the kernel's size where it is None.
        padding: Of minus infinity on either side, at most half the kernel.
        dilation: From tap to tap.

    Raises:
        ConfigError: A setting has a value that it cannot take.

    Example:
        >>> pool = MaxPool2d(2)
        >>> pool(torch.arange(16.0).reshape(1, 1, 4, 4))[0, 0]
        tensor([[ 5.,  7.],
                [13., 15.]])
        >>> pool.backward(torch.ones(1, 1, 2, 2)).sum()
        tensor(4.)
    """

    def __init__(
        self,
        kernel: int | Pair,
        *,
        stride: int | Pair | None = None,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
    ) -> None:
        super().__init__()
        self.geometry = Geometry.of(kernel, kernel if stride is None else stride, padding, dilation)
        if any(2 * p > k for p, k in zip(self.geometry.padding, self.geometry.kernel, strict=True)):
            raise ConfigError(
                f"padding must be at most half the kernel {kernel!r}, got {padding!r}"
            )

    def forward(self, x: Tensor) -> Tensor:
        """x (n, c, h, w) to y (n, c, rows, columns)."""
        _images(x)
        self._shape = x.shape
        self._seen = windows(x, self.geometry, fill=-torch.inf)
        first, *others = self._taps()
        self._best = first
        for value in others:
            self._best = torch.maximum(self._best, value)
        return self._best.permute(0, 3, 1, 2)

    def _taps(self) -> list[Tensor]:
        """Of all windows the first value, the second, ..."""
        kh, kw = self.geometry.kernel
        return [self._seen[:, :, :, i, j] for i in range(kh) for j in range(kw)]

    def _hits(self) -> Iterator[Tensor]:
        """Tap by tap, where it is the first that equals the largest value."""
        free = torch.ones(self._best.shape, dtype=torch.bool, device=self._best.device)
        for value in self._taps():
            hit = (value < self._best).logical_not_().logical_and_(free)  # also where it is NaN
            free = free.logical_and_(~hit)
            yield hit

    @property
    def input_shape(self) -> torch.Size:
        """The shape of the last x."""
        return self._shape

    @property
    def indices(self) -> Tensor:
        """Where the largest values stood: row times width, plus column, (n, c, rows, columns)."""
        g, (_, _, _, w) = self.geometry, self._shape
        tap = torch.zeros(self._best.shape, dtype=torch.int64)
        for k, hit in enumerate(self._hits()):
            tap.masked_fill_(hit, k)
        rows, columns = tap.shape[1:3]
        i = torch.arange(rows)[:, None, None] * g.stride[0] - g.padding[0]
        j = torch.arange(columns)[:, None] * g.stride[1] - g.padding[1]
        down = i + tap // g.kernel[1] * g.dilation[0]
        along = j + tap % g.kernel[1] * g.dilation[1]
        return (down * w + along).permute(0, 3, 1, 2)

    def backward(self, dy: Tensor) -> Tensor:
        """dy (n, c, rows, columns) to dx (n, c, h, w): each value goes to one place."""
        last, g = dy.permute(0, 2, 3, 1), self.geometry
        return fold((last * hit for hit in self._hits()), (self._shape[2], self._shape[3]), g)


class AveragePool2d(Layer):
    """y = the mean of each window; every value of it gets an equal share of the gradient.

    Zeros of the padding count.

    Args:
        kernel: Size of windows.
        stride: From window to window; the kernel's size where it is None.
        padding: Zeros on either side.

    Raises:
        ConfigError: A setting has a value that it cannot take.

    Example:
        >>> AveragePool2d(2)(torch.arange(4.0).reshape(1, 1, 2, 2))
        tensor([[[[1.5000]]]])
    """

    def __init__(
        self, kernel: int | Pair, *, stride: int | Pair | None = None, padding: int | Pair = 0
    ) -> None:
        super().__init__()
        self.geometry = Geometry.of(kernel, kernel if stride is None else stride, padding, 1)
        if any(2 * p > k for p, k in zip(self.geometry.padding, self.geometry.kernel, strict=True)):
            raise ConfigError(
                f"padding must be at most half the kernel {kernel!r}, got {padding!r}"
            )

    def forward(self, x: Tensor) -> Tensor:
        """x (n, c, h, w) to y (n, c, rows, columns)."""
        _images(x)
        self._shape = x.shape
        return windows(x, self.geometry).mean((3, 4)).permute(0, 3, 1, 2)

    def backward(self, dy: Tensor) -> Tensor:
        """dy (n, c, rows, columns) to dx (n, c, h, w)."""
        kh, kw = self.geometry.kernel
        share = dy.permute(0, 2, 3, 1) / (kh * kw)
        return fold([share] * (kh * kw), (self._shape[2], self._shape[3]), self.geometry)
