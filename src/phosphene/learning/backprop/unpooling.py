"""Unpooling: three ways to make images larger without weights."""

from torch import Tensor

from phosphene.core.errors import ConfigError
from phosphene.learning.backprop.layer import Layer
from phosphene.learning.backprop.pooling import MaxPool2d
from phosphene.learning.backprop.windows import Pair, pair

__all__ = ["BedOfNails2d", "MaxUnpool2d", "NearestUnpool2d"]


class NearestUnpool2d(Layer):
    """Each value fills a block; the gradient of a value is the sum over its block.

    Args:
        scale: Height and width of blocks.

    Example:
        >>> import torch
        >>> NearestUnpool2d(2)(torch.tensor([[[[1.0, 2.0]]]]))
        tensor([[[[1., 1., 2., 2.],
                  [1., 1., 2., 2.]]]])
    """

    def __init__(self, scale: int | Pair) -> None:
        super().__init__()
        self.scale = pair(scale, "scale", 1)

    def forward(self, x: Tensor) -> Tensor:
        """x (n, c, h, w) to y (n, c, h scale, w scale)."""
        return x.repeat_interleave(self.scale[0], 2).repeat_interleave(self.scale[1], 3)

    def backward(self, dy: Tensor) -> Tensor:
        """The sum over each block."""
        (a, b), (n, c, h, w) = self.scale, dy.shape
        return dy.reshape(n, c, h // a, a, w // b, b).sum((3, 5))


class BedOfNails2d(Layer):
    """Each value stands in the upper left corner of a block of zeros.

    Args:
        scale: Height and width of blocks.

    Example:
        >>> import torch
        >>> BedOfNails2d(2)(torch.tensor([[[[1.0, 2.0]]]]))
        tensor([[[[1., 0., 2., 0.],
                  [0., 0., 0., 0.]]]])
    """

    def __init__(self, scale: int | Pair) -> None:
        super().__init__()
        self.scale = pair(scale, "scale", 1)

    def forward(self, x: Tensor) -> Tensor:
        """x (n, c, h, w) to y (n, c, h scale, w scale)."""
        (a, b), (n, c, h, w) = self.scale, x.shape
        y = x.new_zeros(n, c, h * a, w * b)
        y[:, :, ::a, ::b] = x
        return y

    def backward(self, dy: Tensor) -> Tensor:
        """The gradient at the corners."""
        return dy[:, :, :: self.scale[0], :: self.scale[1]]


class MaxUnpool2d(Layer):
    """Each value goes back to where the largest of its window stood (Zeiler and Fergus, 2014).

    Everywhere else is 0. Pooling what was unpooled gives the same values back, where they are above
    0 and windows do not overlap.

    Args:
        pool: The pooling whose last forward says where.

    Raises:
        ConfigError: x is not of the shape that the pooling gave.

    Example:
        >>> import torch
        >>> pool = MaxPool2d(2)
        >>> y = pool(torch.tensor([[[[1.0, 4.0], [3.0, 2.0]]]]))
        >>> MaxUnpool2d(pool)(y)
        tensor([[[[0., 4.],
                  [0., 0.]]]])
    """

    def __init__(self, pool: MaxPool2d) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        """x (n, c, rows, columns) to y (n, c, h, w)."""
        where = self.pool.indices
        if x.shape != where.shape:
            raise ConfigError(
                f"x must be {tuple(where.shape)}, as the pooling gave, got {tuple(x.shape)}"
            )
        self._where = where.flatten(2)
        size = self.pool.input_shape
        y = x.new_zeros(*x.shape[:2], size[2] * size[3])
        return y.scatter_(2, self._where, x.flatten(2)).reshape(size)

    def backward(self, dy: Tensor) -> Tensor:
        """The gradient at those places."""
        shape = (*dy.shape[:2], *self.pool.indices.shape[2:])
        return dy.flatten(2).gather(2, self._where).reshape(shape)
