"""Causal convolutions of images: windows that end at, or before, the pixel they belong to."""

from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.errors import ConfigError

__all__ = ["MaskedConv2d", "Sees", "channel_blocks", "odd", "zero_output"]

Sees = Literal["above", "row", "A", "B"]
"""What a window sees of its pixel's own row: nothing, all of it, what lies left of the pixel (A),
or that and the pixel (B)."""


def channel_blocks(channels: int, groups: int) -> list[slice]:
    """Channels cut into runs as equal as can be, one for each group.

    Example:
        >>> channel_blocks(8, 3)
        [slice(0, 3, None), slice(3, 6, None), slice(6, 8, None)]
    """
    if channels < groups:
        raise ConfigError(
            f"a layer of {channels} channels cannot be cut into {groups} groups, one for each "
            f"channel of the image; it needs {groups} or more"
        )
    ends = [-(-channels * g // groups) for g in range(groups + 1)]
    return [slice(a, b) for a, b in pairwise(ends)]


class MaskedConv2d(nn.Module):
    """A convolution in raster order (van den Oord et al., 2016a), without the rows that it masks.

    The window of pixel (i, j) is rows i - above .. i and columns j - left .. j + right; of its own
    row it sees what ``sees`` says. Only the rows up to the pixel's are stored and computed, which
    halves the arithmetic of a masked square kernel.

    With ``groups`` the channels are cut into as many runs, one for each color. At the pixel itself
    run g of the outputs sees runs up to g of the inputs (type B), or those before g (type A): so
    red comes before green before blue. Elsewhere every run sees all.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        sees: ``above``, ``row``, ``A`` or ``B``.
        above: Rows above the pixel's.
        left: Columns to the left.
        right: Columns to the right (of the rows above, unless ``sees="row"``).
        groups: Runs of channels, for types A and B.
        parts: The outputs are that many equal parts, each cut into runs of its own (gates).
        bias: Whether to add a bias.

    Example:
        >>> conv = MaskedConv2d(1, 4, "A", above=1, left=1, right=1)
        >>> conv(torch.zeros(2, 1, 5, 6)).shape
        torch.Size([2, 4, 5, 6])
        >>> conv.mask.int()[0, 0].tolist()
        [[1, 1, 1], [1, 0, 0]]
    """

    mask: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        sees: Sees = "B",
        *,
        above: int = 0,
        left: int = 0,
        right: int = 0,
        groups: int = 1,
        parts: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.inputs, self.outputs, self.sees = inputs, outputs, sees
        self.groups, self.parts = groups, parts
        self.above, self.left, self.right = above, left, right
        rows = above + (sees != "above")
        assert rows >= 1, "a window that sees rows above must have some"
        shape = (outputs, inputs, rows, left + 1 + right)
        self.register_buffer("mask", self._mask(shape), persistent=False)
        seen = self.mask.sum((1, 2, 3)).clamp(min=1.0)
        # Uniform with variance 1 / (3 fan-in), the fan-in being what is seen.
        bound = seen.rsqrt()[:, None, None, None]
        self.weight = nn.Parameter((2 * torch.rand(shape) - 1) * bound)
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def _mask(self, shape: tuple[int, ...]) -> Tensor:
        mask = torch.ones(shape)
        if self.sees in ("above", "row"):
            return mask
        mask[:, :, -1, self.left :] = 0.0
        incoming = channel_blocks(shape[1], self.groups)
        part = mask.unflatten(0, (self.parts, -1))
        for g, out in enumerate(channel_blocks(part.shape[1], self.groups)):
            last = incoming[g].stop if self.sees == "B" else incoming[g].start
            part[:, out, :last, -1, self.left] = 1.0
        return mask

    @property
    def masked(self) -> Tensor:
        """The weights (outputs, inputs, rows, columns), zero where the window must not see."""
        if self.sees in ("above", "row"):
            return self.weight
        return self.weight * self.mask

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, h, w) to (n, outputs, h, w)."""
        height = x.shape[2]
        if self.left or self.right or self.above:
            x = F.pad(x, (self.left, self.right, self.above, 0))
        out = F.conv2d(x, self.masked, self.bias)
        return out[:, :, :height]  # windows that end above the last row have one row too many

    def extra_repr(self) -> str:
        """Shown by print."""
        window = f"above={self.above}, left={self.left}, right={self.right}"
        return f"{self.inputs}, {self.outputs}, sees={self.sees!r}, {window}, groups={self.groups}"


def zero_output(conv: MaskedConv2d) -> MaskedConv2d:
    """The convolution with weights and bias of zero, for the end of a residual branch."""
    nn.init.zeros_(conv.weight)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


def odd(name: str, size: int, least: int = 1) -> int:
    """Half of an odd kernel size, rounded down; anything else is refused."""
    if size < least or size % 2 == 0:
        near = max(least, size - 1)
        raise ConfigError(f"{name} must be odd and {least} or more, got {size}; try {near}")
    return size // 2
