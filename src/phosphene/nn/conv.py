"""Convolutional encoder and decoder, plain or residual, for images of any size."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.errors import ConfigError
from phosphene.nn.activations import activation_named
from phosphene.nn.mlp import check_widths
from phosphene.nn.noise import Uniform, check_probability, dropout

__all__ = ["ConvDecoder", "ConvEncoder", "ResidualBlock", "halvings"]


def halvings(size: tuple[int, int], times: int) -> list[tuple[int, int]]:
    """The sizes of an image halved again and again, rounded up.

    Example:
        >>> halvings((28, 25), 2)
        [(28, 25), (14, 13), (7, 7)]
    """
    sizes = [size]
    for _ in range(times):
        h, w = sizes[-1]
        sizes.append(((h + 1) // 2, (w + 1) // 2))
    return sizes


def _norm(channels: int, norm: str) -> nn.Module:
    if norm == "none":
        return nn.Identity()
    if norm == "group":
        groups = next(g for g in (8, 4, 2, 1) if channels % g == 0)
        return nn.GroupNorm(groups, channels)
    raise ConfigError(f"norm must be 'none' or 'group', got {norm!r}")


class ResidualBlock(nn.Module):
    """x + C2(dropout(a(C1(a(x))))), 3x3 convolutions, the last one initialised at zero.

    Pre-activation residual block (He et al., 2016). With ``norm="group"`` each activation follows
    a group normalisation (Wu and He, 2018); batch normalisation is never used, since it ties the
    examples of a batch, and the ranks, together.

    Args:
        channels: Channels in and out.
        activation: Its name.
        dropout: Probability that a channel is dropped where noise is given.
        norm: ``none`` or ``group``.
    """

    def __init__(
        self, channels: int, *, activation: str = "silu", dropout: float = 0.0, norm: str = "none"
    ) -> None:
        super().__init__()
        self.norm1, self.norm2 = _norm(channels, norm), _norm(channels, norm)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)
        assert self.conv2.bias is not None
        nn.init.zeros_(self.conv2.bias)
        self.activation = activation_named(activation)
        self.dropout = check_probability("dropout", dropout)

    def forward(self, x: Tensor, uniform: Uniform | None = None) -> Tensor:
        """Map (n, c, h, w) to the same shape."""
        h = self.conv1(self.activation(self.norm1(x)))
        h = dropout(self.activation(self.norm2(h)), self.dropout, uniform, channels=True)
        out: Tensor = x + self.conv2(h)
        return out


class ConvEncoder(nn.Module):
    """Strided convolutions that halve the image at each stage, then a linear map.

    Args:
        shape: The image (channels, height, width); any sizes, rectangles too.
        hidden: Channels of the stages.
        outputs: Size of the output.
        blocks: Residual blocks after each halving; 0 for a plain convolutional network.
        activation: Its name.
        dropout: Probability that a channel is dropped where noise is given.
        norm: ``none`` or ``group``, in the residual blocks.
        condition: Size of the condition vector, which shifts the first stage's channels.
        patch: Side of the squares of pixels that are folded into channels before the first
            convolution, which spares the slow convolutions of few channels on a large grid.

    Example:
        >>> ConvEncoder((1, 28, 20), (8, 16), 5)(torch.zeros(3, 1, 28, 20)).shape
        torch.Size([3, 5])
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        hidden: Sequence[int],
        outputs: int,
        *,
        blocks: int = 0,
        activation: str = "relu",
        dropout: float = 0.0,
        norm: str = "none",
        condition: int = 0,
        patch: int = 1,
    ) -> None:
        super().__init__()
        _check(shape, hidden, patch)
        self.patch = patch
        grid = (-(-shape[1] // patch), -(-shape[2] // patch))
        channels = (shape[0] * patch**2, *hidden)
        pairs = list(pairwise(channels))
        self.down = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairs)
        self.stages = _stages(hidden, blocks, activation, dropout, norm)
        self.condition = nn.Linear(condition, hidden[0]) if condition else None
        h, w = halvings(grid, len(hidden))[-1]
        self.head = nn.Linear(hidden[-1] * h * w, outputs)
        self.activation = activation_named(activation)
        self.dropout = check_probability("dropout", dropout)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(
        self, x: Tensor, condition: Tensor | None = None, uniform: Uniform | None = None
    ) -> Tensor:
        """Map (n, c, h, w) to (n, outputs); dropout acts where ``uniform`` is given."""
        # Channels last is how the convolution kernels of CPUs (and tensor cores) want their data.
        h = _fold(x, self.patch) if self.patch > 1 else x
        h = h.contiguous(memory_format=torch.channels_last)
        for i, (down, stage) in enumerate(zip(self.down, self.stages, strict=True)):
            h = down(h)
            if i == 0 and self.condition is not None:
                h = h + self.condition(condition)[:, :, None, None]
            h = _residual(stage, h, uniform)
            h = dropout(self.activation(h), self.dropout, uniform, channels=True)
        out: Tensor = self.head(h.permute(0, 2, 3, 1).flatten(1))
        return out


class ConvDecoder(nn.Module):
    """The encoder's mirror: a linear map, then transposed convolutions that double the image.

    Each stage doubles and is cut to the size that the encoder had there, so that every height and
    width comes back. A bias for each output position is learned beside the convolutions: where in
    the image something usually is costs the latent nothing.

    Args:
        inputs: Size of the latent.
        hidden: Channels of the stages, from the smallest image to the largest.
        shape: The output (channels, height, width).
        parameters: Maps per output channel (the parameters of its distribution).
        blocks: Residual blocks before each doubling.
        activation: Its name.
        dropout: Probability that a channel is dropped where noise is given.
        norm: ``none`` or ``group``, in the residual blocks.
        condition: Size of the condition vector, concatenated to the latent.
        patch: Side of the squares of pixels that the last convolution gives as channels.

    Example:
        >>> ConvDecoder(5, (16, 8), (1, 28, 21))(torch.zeros(3, 5)).shape
        torch.Size([3, 1, 1, 28, 21])
    """

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        shape: tuple[int, ...],
        parameters: int = 1,
        *,
        blocks: int = 0,
        activation: str = "relu",
        dropout: float = 0.0,
        norm: str = "none",
        condition: int = 0,
        patch: int = 1,
    ) -> None:
        super().__init__()
        _check(shape, hidden, patch)
        self.patch = patch
        grid = (-(-shape[1] // patch), -(-shape[2] // patch))
        self.sizes = halvings(grid, len(hidden))[::-1]
        self.shape, self.parameters_per_dimension = tuple(shape), parameters
        h, w = self.sizes[0]
        self.small = (h, w, hidden[0])
        self.stem = nn.Linear(inputs + condition, hidden[0] * h * w)
        channels = (*hidden, parameters * shape[0] * patch**2)
        pairs = list(pairwise(channels))
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 4, stride=2, padding=1) for a, b in pairs)
        self.stages = _stages(hidden, blocks, activation, dropout, norm)
        self.bias = nn.Parameter(torch.zeros(parameters, *shape))
        self.activation = activation_named(activation)
        self.dropout = check_probability("dropout", dropout)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(
        self, z: Tensor, condition: Tensor | None = None, uniform: Uniform | None = None
    ) -> Tensor:
        """Map (n, inputs) to (n, parameters, *shape)."""
        h = z if condition is None else torch.cat((z, condition), dim=1)
        h = self.stem(h).unflatten(1, self.small).permute(0, 3, 1, 2)
        for up, stage, size in zip(self.up, self.stages, self.sizes[1:], strict=True):
            h = _residual(stage, h, uniform)
            h = dropout(self.activation(h), self.dropout, uniform, channels=True)
            h = up(h)[:, :, : size[0], : size[1]]
        if self.patch > 1:
            h = F.pixel_shuffle(h, self.patch)[:, :, : self.shape[1], : self.shape[2]]
        out: Tensor = h.unflatten(1, (self.parameters_per_dimension, self.shape[0])) + self.bias
        return out

    def start_at(self, parameters: Tensor) -> None:
        """Make the output begin at these parameters (parameters, *shape)."""
        self.bias.data.copy_(parameters)


def _check(shape: tuple[int, ...], hidden: Sequence[int], patch: int) -> None:
    if len(shape) != 3:
        raise ConfigError(
            f"a convolutional network needs an image (channels, height, width), got shape "
            f"{tuple(shape)}; use network='mlp'"
        )
    check_widths(hidden)
    if not hidden:
        raise ConfigError("a convolutional network needs at least one stage, got hidden=()")
    if patch < 1:
        raise ConfigError(f"patch must be at least 1, got {patch}")


def _fold(x: Tensor, patch: int) -> Tensor:
    """Squares of pixels as channels; an image that they do not fill is filled with zeros."""
    height, width = x.shape[-2:]
    return F.pixel_unshuffle(F.pad(x, (0, -width % patch, 0, -height % patch)), patch)


def _stages(
    hidden: Sequence[int], blocks: int, activation: str, dropout: float, norm: str
) -> nn.ModuleList:
    def stage(channels: int) -> nn.ModuleList:
        return nn.ModuleList(
            ResidualBlock(channels, activation=activation, dropout=dropout, norm=norm)
            for _ in range(blocks)
        )

    return nn.ModuleList(stage(channels) for channels in hidden)


def _residual(stage: nn.Module, h: Tensor, uniform: Uniform | None) -> Tensor:
    assert isinstance(stage, nn.ModuleList)
    for block in stage:
        h = block(h, uniform)
    return h
