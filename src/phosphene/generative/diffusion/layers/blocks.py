"""Bricks of the U-Net: residual blocks that know the time, attention, halving and doubling."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.derivatives import transformed
from phosphene.generative.diffusion.layers.attention import Attention
from phosphene.generative.diffusion.layers.norm import GroupNorm
from phosphene.nn.noise import Uniform, dropout

__all__ = [
    "Down",
    "PixelAttention",
    "TimedBlock",
    "Up",
    "channels_last",
    "fold",
    "unfold",
    "zeroed",
]


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
        self.norm_1 = GroupNorm(inputs, groups)
        self.conv_1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.modulation = nn.Linear(embedding, 2 * outputs)
        self.norm_2 = GroupNorm(outputs, groups)
        self.conv_2 = zeroed(nn.Conv2d(outputs, outputs, 3, padding=1))
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None
        self.p = p

    def forward(self, x: Tensor, e: Tensor, uniform: Uniform | None = None) -> Tensor:
        """(n, inputs, h, w) and silu(e) (n or 1, embedding) to (n, outputs, h, w)."""
        h = self.norm_2(self.conv_1(self.norm_1(x)), self.modulation(e))
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
        self.norm = GroupNorm(channels, groups, activate=False)
        self.attention = Attention(channels, heads)
        zeroed(self.attention.out)
        self.cross = None
        if tokens is not None:
            self.cross_norm = GroupNorm(channels, groups, activate=False)
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

    sums: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        sums = [[0.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
        self.register_buffer("sums", torch.tensor(sums), persistent=False)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """(n, c, h, w) to (n, c, *size), sizes of 2h and 2w or one less."""
        doubled = size == (2 * x.shape[2], 2 * x.shape[3])
        if doubled and x.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
            # The same as a transposed convolution, with 16 products for a pixel instead of 36. In
            # half precision its backward on CPUs is slower.
            weight = torch.einsum("oiyx,ay,bx->ioab", self.conv.weight, self.sums, self.sums)
            small: Tensor = F.conv_transpose2d(
                x, channels_last(weight), self.conv.bias, stride=2, padding=1
            )
            return small
        x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        large: Tensor = self.conv(x[:, :, : size[0], : size[1]])
        return large
