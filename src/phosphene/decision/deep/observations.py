"""Inputs of networks from observations: standardized numbers, one-hot states, pixels."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.environment import EnvSpec
from phosphene.core.event import Event

__all__ = ["Eyes", "RunningScale", "orthogonal"]

_MOST = 10.0  # standardized observations are clipped here: a rare reading must not swamp the rest


class RunningScale(nn.Module):
    r"""Mean and variance of all that was seen; :math:`(x - \mu) / \sqrt{v + \epsilon}`, clipped.

    Moments of a batch are merged by the formula of Chan, Golub and LeVeque (1983). They are
    buffers: a saved agent scales what it sees as it did in training.

    Args:
        shape: Of one value.
        center: Whether the mean is taken away; rewards are scaled only.

    Example:
        >>> scale = RunningScale((1,))
        >>> scale.update(torch.tensor([[1.0], [3.0]]))
        >>> scale(torch.tensor([[2.0], [3.0]])).flatten().tolist()
        [0.0, 1.0]
    """

    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, shape: tuple[int, ...], *, center: bool = True) -> None:
        super().__init__()
        self.center = center
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("variance", torch.ones(shape))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    @torch.no_grad()
    def update(self, x: Tensor) -> None:
        """Take in values (n, *shape)."""
        self.merge(len(x), x.mean(0), x.var(0, correction=0))

    @torch.no_grad()
    def merge(self, n: int, mean: Tensor, variance: Tensor) -> None:
        """Take in the moments of n values."""
        count = float(self.count)
        total = count + n
        delta = mean - self.mean
        between = delta.square() * (count * n / total)
        self.variance.copy_((self.variance * count + variance * n + between) / total)
        self.mean += delta * (n / total)
        self.count.fill_(total)

    def forward(self, x: Tensor) -> Tensor:
        """Scale values (..., *shape)."""
        inverse = (self.variance + 1e-8).rsqrt()
        shifted = x - self.mean if self.center else x
        return (shifted * inverse).clamp(-_MOST, _MOST)


class Eyes(nn.Module):
    """Maps observations to features (n, size).

    Real observations are standardized if asked for, numbers of states become one-hot vectors, and
    images go through convolutions: those of Mnih et al. (2015) from 36 pixels on, two 3x3 layers
    below.

    Args:
        spec: Of the environment.
        standardize: Whether real observations are put on a common scale.

    Example:
        >>> Eyes(EnvSpec("maze", Event.tokens(1, 16), actions=4))(torch.tensor([[3]])).shape
        torch.Size([1, 16])
    """

    def __init__(self, spec: EnvSpec, *, standardize: bool = False) -> None:
        super().__init__()
        self.event = spec.observation
        scaled = standardize and self.event.kind == "real"
        self.scale = RunningScale(self.event.shape) if scaled else None
        self.states = spec.states
        self.masked = (spec.actions or 0) if spec.masked else 0
        self.convolutions = _convolutions(self.event) if self.event.has_image_shape else None
        self.size = self.states or self.event.dimensions
        if self.convolutions is not None:
            with torch.no_grad():
                self.size = self.convolutions(torch.zeros(1, *self.event.shape)).shape[1]

    def forward(self, observation: Tensor) -> Tensor:
        """Map (n, *shape) to (n, size)."""
        if self.states is not None:
            return F.one_hot(observation.long().flatten(), self.states).float()
        if self.convolutions is not None:
            pixels = observation.float() / (max(self.event.levels or 2, 2) - 1)
            out: Tensor = self.convolutions(pixels)
            return out
        x = observation.float().flatten(1)
        if self.scale is None:
            return x
        scaled: Tensor = self.scale(x.view(-1, *self.event.shape)).flatten(1)
        if self.masked:  # a mask stays what it is
            scaled = torch.cat([scaled[:, : -self.masked], x[:, -self.masked :]], 1)
        return scaled

    def update(self, observations: Tensor) -> None:
        """Take observations (n, *shape) into the scale, if there is one."""
        if self.scale is not None:
            self.scale.update(observations)


def _convolutions(event: Event) -> nn.Sequential:
    channels, height, width = event.shape
    if min(height, width) >= 36:
        layers = [(channels, 32, 8, 4, 0), (32, 64, 4, 2, 0), (64, 64, 3, 1, 0)]
    else:
        layers = [(channels, 16, 3, 1, 1), (16, 32, 3, 2, 1)]
    parts: list[nn.Module] = []
    for inputs, outputs, size, stride, padding in layers:
        conv = nn.Conv2d(inputs, outputs, size, stride, padding)
        orthogonal(conv, math.sqrt(2))
        parts += [conv, nn.ReLU()]
    return nn.Sequential(*parts, nn.Flatten())


def orthogonal(layer: nn.Conv2d | nn.Linear, gain: float) -> None:
    """Orthogonal weights and zero biases, as is usual for policies."""
    nn.init.orthogonal_(layer.weight, gain)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
