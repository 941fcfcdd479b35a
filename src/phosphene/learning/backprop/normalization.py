"""Normalization: values are moved and scaled to mean 0 and variance 1 over some of their axes."""

import torch
from torch import Tensor

from phosphene.core.errors import ConfigError
from phosphene.learning.backprop.layer import Layer, whole

__all__ = ["BatchNorm", "GroupNorm", "LayerNorm", "normalize", "normalize_backward"]

Axes = tuple[int, ...]


def normalize(x: Tensor, axes: Axes, epsilon: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """z = (x - m) / s with s^2 = v + epsilon, and 1 / s, m, v, over some axes.

    v is the mean of the squares about m: it divides by the number of values, not by one less.

    Args:
        x: Any shape.
        axes: Those over which m and v are taken.
        epsilon: Added to the variance.

    Example:
        >>> normalize(torch.tensor([[1.0, 3.0]]), (1,), 0.0)[0]
        tensor([[-1.,  1.]])
    """
    mean = x.mean(axes, keepdim=True)
    gap = x - mean
    variance = gap.square().mean(axes, keepdim=True)
    scale = (variance + epsilon).rsqrt()
    return gap.mul_(scale), scale, mean, variance


def normalize_backward(dz: Tensor, z: Tensor, scale: Tensor, axes: Axes) -> Tensor:
    """dx = (dz - mean(dz) - z mean(dz z)) / s: m and v depend on x too.

    Args:
        dz: dL/dz.
        z: What :func:`normalize` gave.
        scale: 1 / s.
        axes: As there.
    """
    common = dz.mean(axes, keepdim=True)
    along = (dz * z).mean(axes, keepdim=True)
    return (dz - common - z * along) * scale


class _Normalization(Layer):
    """Normalized over axes, then scaled and moved by what is learned for each channel."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        whole(width=width)
        if not epsilon >= 0:
            raise ConfigError(f"epsilon must be at least 0, got {epsilon}")
        self.width, self.epsilon = width, epsilon
        self.parameters["weight"] = torch.ones(width)
        self.parameters["bias"] = torch.zeros(width)

    def _finish(self, z: Tensor, channel: int) -> Tensor:
        self._z, self._channel = z, channel
        return torch.addcmul(self._shaped("bias", z), z, self._shaped("weight", z))

    def _gradients(self, dy: Tensor) -> None:
        """Of weight and bias."""
        others = tuple(a for a in range(dy.ndim) if a != self._channel % dy.ndim)
        self.grads = {"weight": (dy * self._z).sum(others), "bias": dy.sum(others)}

    def _begin(self, dy: Tensor) -> Tensor:
        """The gradients of weight and bias; dL/dz."""
        self._gradients(dy)
        return dy * self._shaped("weight", dy)

    def _shaped(self, name: str, like: Tensor) -> Tensor:
        shape = [1] * like.ndim
        shape[self._channel] = self.width
        return self.parameters[name].view(shape)


class BatchNorm(_Normalization):
    """Over the batch and all places, each channel apart (Ioffe and Szegedy, 2015).

    After training, running means and variances stand in for those of the batch.

    Args:
        channels: Size of axis 1 of x.
        epsilon: Added to the variance.
        momentum: Share of the newest batch in the running values.

    Raises:
        ConfigError: x has other channels, or one value a channel in training.

    Example:
        >>> BatchNorm(3)(torch.randn(8, 3, 4, 4)).mean().abs() < 1e-6
        tensor(True)
    """

    def __init__(self, channels: int, *, epsilon: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__(channels, epsilon)
        if not 0 <= momentum <= 1:
            raise ConfigError(f"momentum must be from 0 to 1, got {momentum}")
        self.momentum = momentum
        self.buffers["mean"], self.buffers["variance"] = torch.zeros(channels), torch.ones(channels)

    def forward(self, x: Tensor) -> Tensor:
        """x (n, channels, ...) to y of the same shape."""
        if x.ndim < 2 or x.shape[1] != self.width:
            raise ConfigError(f"x must be (n, {self.width}, ...), got {tuple(x.shape)}")
        self._axes = (0, *range(2, x.ndim))
        n = x.numel() // self.width
        self._trained = self.training
        if not self.training:
            shape = (1, -1, *[1] * (x.ndim - 2))
            self._scale = (self.buffers["variance"].view(shape) + self.epsilon).rsqrt()
            return self._finish((x - self.buffers["mean"].view(shape)) * self._scale, 1)
        if n < 2:
            raise ConfigError("batch normalization needs two values a channel in training, got one")
        z, self._scale, mean, variance = normalize(x, self._axes, self.epsilon)
        for name, value in (("mean", mean), ("variance", variance * (n / (n - 1)))):
            kept = self.buffers[name]
            self.buffers[name] = kept + self.momentum * (value.flatten() - kept)
        return self._finish(z, 1)

    def backward(self, dy: Tensor) -> Tensor:
        """dy to dx, both of x's shape.

        The two means of :func:`normalize_backward` are those of the gradients of bias and weight,
        which are sums over the same axes: dx = w / s (dy - db / n - z dw / n).
        """
        self._gradients(dy)
        scale = self._scale * self._shaped("weight", dy)
        if not self._trained:
            return dy * scale
        n, shape = dy.numel() // self.width, self._scale.shape
        db, dw = (self.grads[name].view(shape) / n for name in ("bias", "weight"))
        return torch.addcmul(-scale * db, dy, scale).addcmul_(self._z, -scale * dw)


class LayerNorm(_Normalization):
    """Over the last axis, each row apart (Ba, Kiros and Hinton, 2016).

    Args:
        width: Size of the last axis.
        epsilon: Added to the variance.

    Raises:
        ConfigError: x has another width.

    Example:
        >>> LayerNorm(4)(torch.randn(2, 3, 4)).shape
        torch.Size([2, 3, 4])
    """

    def __init__(self, width: int, *, epsilon: float = 1e-5) -> None:
        super().__init__(width, epsilon)

    def forward(self, x: Tensor) -> Tensor:
        """x (..., width) to y of the same shape."""
        if x.ndim < 1 or x.shape[-1] != self.width:
            raise ConfigError(f"x must be (..., {self.width}), got {tuple(x.shape)}")
        z, self._scale, _, _ = normalize(x, (-1,), self.epsilon)
        return self._finish(z, -1)

    def backward(self, dy: Tensor) -> Tensor:
        """dy to dx, both of x's shape."""
        return normalize_backward(self._begin(dy), self._z, self._scale, (-1,))


class GroupNorm(_Normalization):
    """Over groups of channels and all places, each row apart (Wu and He, 2018).

    With one group a channel it is instance normalization (Ulyanov, Vedaldi and Lempitsky, 2016).

    Args:
        groups: Number of groups.
        channels: Size of axis 1 of x.
        epsilon: Added to the variance.

    Raises:
        ConfigError: Groups do not divide the channels, or x has other channels.

    Example:
        >>> GroupNorm(2, 4)(torch.randn(3, 4, 5)).shape
        torch.Size([3, 4, 5])
    """

    def __init__(self, groups: int, channels: int, *, epsilon: float = 1e-5) -> None:
        super().__init__(channels, epsilon)
        whole(groups=groups)
        if channels % groups:
            raise ConfigError(f"{channels} channels do not divide into {groups} groups")
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """x (n, channels, ...) to y of the same shape."""
        if x.ndim < 2 or x.shape[1] != self.width:
            raise ConfigError(f"x must be (n, {self.width}, ...), got {tuple(x.shape)}")
        rows = x.reshape(len(x), self.groups, -1)
        z, self._scale, _, _ = normalize(rows, (2,), self.epsilon)
        self._rows = z
        return self._finish(z.reshape(x.shape), 1)

    def backward(self, dy: Tensor) -> Tensor:
        """dy to dx, both of x's shape."""
        dz = self._begin(dy).reshape(self._rows.shape)
        return normalize_backward(dz, self._rows, self._scale, (2,)).reshape(dy.shape)
