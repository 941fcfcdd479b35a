"""Convolutional encoder and decoder between an image and a smaller grid of vectors."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.errors import ConfigError
from phosphene.nn.activations import activation_named
from phosphene.nn.conv import ResidualBlock
from phosphene.nn.noise import Uniform

__all__ = ["GridDecoder", "GridEncoder", "grid_of"]


def grid_of(shape: tuple[int, ...], downsample: int) -> tuple[int, int]:
    """Height and width of the grid, rounded up.

    Example:
        >>> grid_of((1, 28, 25), 4)
        (7, 7)
    """
    return -(-shape[1] // downsample), -(-shape[2] // downsample)


def _steps(downsample: int) -> int:
    steps = downsample.bit_length() - 1
    if downsample < 2 or 2**steps != downsample:
        raise ConfigError(f"downsample must be a power of 2 from 2 up, got {downsample}")
    return steps


class GridEncoder(nn.Module):
    """Image (n, c, h, w) to vectors (n, h', w', d) on a grid ``downsample`` times coarser.

    The image is filled up to a multiple of ``downsample``, folded into 2x2 squares, and halved by
    strided convolutions between residual blocks.

    Args:
        shape: The image (channels, height, width).
        hidden: Channels of the blocks.
        dim: d.
        downsample: A power of 2.
        blocks: Residual blocks at each size.
        activation: Its name.
        dropout: Probability that a channel is dropped where noise is given.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        hidden: int,
        dim: int,
        *,
        downsample: int = 4,
        blocks: int = 1,
        activation: str = "silu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.downsample = downsample
        self.stem = nn.Conv2d(shape[0] * 4, hidden, 3, padding=1)
        self.halve = nn.ModuleList(
            nn.Conv2d(hidden, hidden, 4, stride=2, padding=1) for _ in range(_steps(downsample) - 1)
        )
        self.stages = _stages(hidden, blocks, _steps(downsample), activation, dropout)
        self.head = nn.Conv2d(hidden, dim, 1)
        self.activation = activation_named(activation)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor, uniform: Uniform | None = None) -> Tensor:
        """See the class."""
        height, width = x.shape[-2:]
        x = F.pad(x, (0, -width % self.downsample, 0, -height % self.downsample))
        h = self.stem(F.pixel_unshuffle(x, 2).contiguous(memory_format=torch.channels_last))
        h = _run(self.stages[0], h, uniform)
        for halve, stage in zip(self.halve, list(self.stages)[1:], strict=True):
            h = _run(stage, halve(h), uniform)
        out: Tensor = self.head(self.activation(h)).permute(0, 2, 3, 1)
        return out


class GridDecoder(nn.Module):
    """The encoder's mirror: vectors (n, h', w', d) to parameters (n, parameters, c, h, w).

    A bias for each output position is learned beside the convolutions.

    Args:
        shape: The image (channels, height, width).
        hidden: Channels of the blocks.
        dim: d.
        parameters: Numbers for each value of the image.
        downsample: A power of 2.
        blocks: Residual blocks at each size.
        activation: Its name.
        dropout: Probability that a channel is dropped where noise is given.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        hidden: int,
        dim: int,
        parameters: int,
        *,
        downsample: int = 4,
        blocks: int = 1,
        activation: str = "silu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.shape, self.parameters_per_dimension = tuple(shape), parameters
        self.stem = nn.Conv2d(dim, hidden, 3, padding=1)
        self.grow = nn.ModuleList(
            nn.ConvTranspose2d(hidden, hidden, 4, stride=2, padding=1)
            for _ in range(_steps(downsample) - 1)
        )
        self.stages = _stages(hidden, blocks, _steps(downsample), activation, dropout)
        self.head = nn.Conv2d(hidden, parameters * shape[0] * 4, 3, padding=1)
        self.bias = nn.Parameter(torch.zeros(parameters, *shape))
        self.activation = activation_named(activation)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, z: Tensor, uniform: Uniform | None = None) -> Tensor:
        """See the class."""
        h = _run(self.stages[0], self.stem(z.permute(0, 3, 1, 2)), uniform)
        for grow, stage in zip(self.grow, list(self.stages)[1:], strict=True):
            h = _run(stage, grow(h), uniform)
        h = F.pixel_shuffle(self.head(self.activation(h)), 2)
        h = h[:, :, : self.shape[1], : self.shape[2]]
        out: Tensor = h.unflatten(1, (self.parameters_per_dimension, self.shape[0])) + self.bias
        return out

    def start_at(self, parameters: Tensor) -> None:
        """Make the output begin at these parameters (parameters, *shape)."""
        self.bias.data.copy_(parameters)


def _stages(hidden: int, blocks: int, steps: int, activation: str, dropout: float) -> nn.ModuleList:
    return nn.ModuleList(
        nn.ModuleList(
            ResidualBlock(hidden, activation=activation, dropout=dropout) for _ in range(blocks)
        )
        for _ in range(steps)
    )


def _run(stage: nn.Module, h: Tensor, uniform: Uniform | None) -> Tensor:
    assert isinstance(stage, nn.ModuleList)
    for block in stage:
        h = block(h, uniform)
    return h
