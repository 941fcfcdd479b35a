"""Bricks of the U-Net: residual blocks that know the time, attention, halving and doubling."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.derivatives import transformed
from phosphene.generative.diffusion.layers.attention import Attention
from phosphene.nn.noise import Uniform, dropout

__all__ = [
    "Down",
    "GroupNorm",
    "PixelAttention",
    "TimedBlock",
    "Up",
    "channels_last",
    "fold",
    "group_norm",
    "unfold",
    "zeroed",
]


class GroupNorm(nn.GroupNorm):
    """Group normalization (Wu and He, 2018): (x - mean) / sqrt(var + eps) in each group, g x + b.

    Transforms of functions take the formula, for torch's derivative forwards of its kernel does
    not know channels that come last.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to the same shape."""
        if not transformed():
            return super().forward(x)
        grouped = x.unflatten(1, (self.num_groups, -1))
        variance, mean = torch.var_mean(grouped, (2, 3, 4), correction=0, keepdim=True)
        y = ((grouped - mean) * torch.rsqrt(variance + self.eps)).flatten(1, 2)
        out: Tensor = y * self.weight[:, None, None] + self.bias[:, None, None]
        return out


def group_norm(channels: int, groups: int) -> GroupNorm:
    """Normalization of at most so many groups, of four channels or more.

    Groups of fewer channels would leave nothing of a coarse level of one pixel.

    Example:
        >>> group_norm(96, 32).num_groups, group_norm(8, 32).num_groups
        (24, 2)
    """
    return GroupNorm(math.gcd(channels, min(groups, max(1, channels // 4))), channels)


def zeroed(layer: nn.Conv2d | nn.Linear) -> nn.Module:
    """The layer with weights and biases 0.

    Example:
        >>> zeroed(nn.Linear(2, 3))(torch.ones(1, 2)).abs().max().item()
        0.0
    """
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def channels_last(x: Tensor) -> Tensor:
    """Images in the layout that convolutions are fastest in; as they are where a transform runs."""
    return x if transformed() else x.contiguous(memory_format=torch.channels_last)


def fold(x: Tensor, patch: int) -> Tensor:
    """Squares of pixels as channels; an image that they do not fill is filled up with zeros.

    Example:
        >>> fold(torch.zeros(1, 3, 28, 27), 2).shape
        torch.Size([1, 12, 14, 14])
    """
    if patch == 1:
        return x
    height, width = x.shape[-2:]
    return F.pixel_unshuffle(F.pad(x, (0, -width % patch, 0, -height % patch)), patch)


def unfold(x: Tensor, patch: int, size: tuple[int, int]) -> Tensor:
    """The inverse of :func:`fold`, cut to a size.

    Example:
        >>> unfold(torch.zeros(1, 12, 14, 14), 2, (28, 27)).shape
        torch.Size([1, 3, 28, 27])
    """
    if patch > 1:
        x = F.pixel_shuffle(x, patch)
    return x[:, :, : size[0], : size[1]]


class TimedBlock(nn.Module):
    """S x + C_2 dropout(silu(norm(C_1 silu(norm(x))) (1 + s) + b)), (s, b) = W silu(e) + w.

    Ho et al. (2020), with the scale and shift of Dhariwal and Nichol (2021). C_2 is 0 at the start;
    S is 1, or a convolution 1x1 where the number of channels changes.

    Args:
        inputs: Channels of x.
        outputs: Channels of the result.
        embedding: Size of e.
        groups: At most so many groups are normalized.
        p: Probability that an activation is dropped where noise is given.
    """

    def __init__(
        self, inputs: int, outputs: int, embedding: int, *, groups: int, p: float = 0.0
    ) -> None:
        super().__init__()
        self.norm_1 = group_norm(inputs, groups)
        self.conv_1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.modulation = nn.Linear(embedding, 2 * outputs)
        self.norm_2 = group_norm(outputs, groups)
        self.conv_2 = zeroed(nn.Conv2d(outputs, outputs, 3, padding=1))
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None
        self.p = p

    def forward(self, x: Tensor, e: Tensor, uniform: Uniform | None = None) -> Tensor:
        """(n, inputs, h, w) and silu(e) (n or 1, embedding) to (n, outputs, h, w)."""
        h = self.conv_1(F.silu(self.norm_1(x)))
        scale, shift = self.modulation(e)[:, :, None, None].chunk(2, 1)
        h = F.silu(torch.addcmul(shift, self.norm_2(h), scale + 1.0))
        h = self.conv_2(dropout(h, self.p, uniform))
        out: Tensor = h + (x if self.skip is None else self.skip(x))
        return out


class PixelAttention(nn.Module):
    """x + attention(norm(x)) over all pixels; then the same to the tokens of a text.

    Args:
        channels: Channels in and out.
        heads: Heads of attention; divides the channels.
        groups: At most so many groups are normalized.
        tokens: Size of the tokens' vectors; None without a text.
    """

    def __init__(
        self, channels: int, heads: int, *, groups: int, tokens: int | None = None
    ) -> None:
        super().__init__()
        self.norm = group_norm(channels, groups)
        self.attention = Attention(channels, heads)
        zeroed(self.attention.out)
        self.cross = None
        if tokens is not None:
            self.cross_norm = group_norm(channels, groups)
            self.cross = Attention(channels, heads, tokens)
            zeroed(self.cross.out)

    def forward(self, x: Tensor, tokens: Tensor | None = None) -> Tensor:
        """(n, channels, h, w) to the same shape; ``tokens`` is (n, T, tokens)."""
        h = self.attention(_sequence(self.norm(x)))
        x = x + _image(h, x)
        if self.cross is not None:
            h = self.cross(_sequence(self.cross_norm(x)), tokens)
            x = x + _image(h, x)
        return x


def _sequence(x: Tensor) -> Tensor:
    """(n, c, h, w) to (n, h w, c), without a copy where channels are last."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def _image(h: Tensor, like: Tensor) -> Tensor:
    image: Tensor = h.unflatten(1, like.shape[-2:]).permute(0, 3, 1, 2)
    return image


class Down(nn.Module):
    """A convolution 3x3 of stride 2: sizes are halved and rounded up.

    Args:
        channels: Channels in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, c, ceil(h / 2), ceil(w / 2))."""
        out: Tensor = self.conv(x)
        return out


class Up(nn.Module):
    """Each pixel four times, then a convolution 3x3.

    Args:
        channels: Channels in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """(n, c, h, w) to (n, c, *size), sizes of 2h and 2w or one less."""
        x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        out: Tensor = self.conv(x[:, :, : size[0], : size[1]])
        return out
