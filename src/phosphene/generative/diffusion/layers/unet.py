"""The U-Net, in two halves: the first can be copied, and what it gives can be added to.

    encoder = copy.deepcopy(network.encoder)              # a second first half
    found = encoder(x, time, context, hint=hint)          # hint (n, *encoder.hint_shape)
    control = [zero(h) for zero, h in zip(convolutions, found.hidden)]
    network(x, time, context, control=control)

``encoder.shapes`` lists the sizes of what is given, one for each skip connection and last the
middle, so that convolutions can be made for them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, counted
from phosphene.generative.diffusion.layers.attention import check_heads
from phosphene.generative.diffusion.layers.blocks import (
    Down,
    PixelAttention,
    TimedBlock,
    Up,
    channels_last,
    fold,
    group_norm,
    unfold,
    zeroed,
)
from phosphene.generative.diffusion.layers.embedding import (
    ImagePlanes,
    TimeEmbedding,
    TokenEmbedding,
)
from phosphene.nn.conv import halvings
from phosphene.nn.mlp import check_widths
from phosphene.nn.noise import Uniform, check_probability

__all__ = ["Encoded", "Plan", "UNet", "UNetDecoder", "UNetEncoder"]


class Encoded(NamedTuple):
    """What the first half of a U-Net gives.

    Args:
        hidden: One tensor for each skip connection, from fine to coarse, and last the middle.
        e: silu(e(t, c)) (n or 1, embedding).
        tokens: The text (n, T, width), where there is one.
    """

    hidden: list[Tensor]
    e: Tensor
    tokens: Tensor | None


class Plan:
    """The sizes of a U-Net, checked.

    Args:
        shape: The image (channels, height, width).
        context: What is declared.
        widths: Channels of the levels, from fine to coarse; each level halves the image.
        blocks: Residual blocks of a level on the way down; one more on the way up.
        attention: Levels that attend, 0 the finest. Where any does, or there is a text, the middle
            does too.
        heads: Heads of attention.
        patch: Side of the squares of pixels that are folded into channels first.
        dropout: Probability that an activation is dropped where noise is given.
        embedding: Size of what the time and the condition are embedded in; None for four times the
            channels of the finest level.
        groups: At most so many groups are normalized, and no less than 4 channels in each.
        waves: Numbers of the sinusoidal encoding of the time; None for the channels of the finest
            level, but at least 64.

    Raises:
        ConfigError: A size cannot be.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        context: ContextSpec,
        *,
        widths: Sequence[int],
        blocks: int,
        attention: Sequence[int],
        heads: int,
        patch: int,
        dropout: float,
        embedding: int | None,
        groups: int,
        waves: int | None,
    ) -> None:
        check_widths(widths)
        _check(shape, widths, attention, patch)
        self.shape, self.context = tuple(shape), context
        self.widths, self.blocks, self.patch = tuple(widths), blocks, patch
        self.size = (shape[1], shape[2])
        self.channels = shape[0] * patch**2
        grid = (-(-shape[1] // patch), -(-shape[2] // patch))
        self.sizes = halvings(grid, len(widths) - 1)
        self.attention, self.heads = frozenset(attention), heads
        self.middle_attends = bool(attention) or context.text is not None
        for width in [widths[k] for k in attention] + [widths[-1]] * self.middle_attends:
            check_heads(width, heads)
        self.p, self.groups = check_probability("dropout", dropout), groups
        self.embedding = 4 * widths[0] if embedding is None else embedding
        self.waves = max(64, widths[0] + widths[0] % 2) if waves is None else waves

    @property
    def skips(self) -> list[tuple[int, int]]:
        """(channels, level) of each skip connection, in the order in which they are made."""
        found = [(self.widths[0], 0)]
        for level, width in enumerate(self.widths):
            found += [(width, level)] * self.blocks
            if level < len(self.widths) - 1:
                found.append((width, level + 1))
        return found

    def block(self, inputs: int, outputs: int) -> TimedBlock:
        """A residual block."""
        return TimedBlock(inputs, outputs, self.embedding, groups=self.groups, p=self.p)

    def attend(self, channels: int, wanted: bool) -> PixelAttention | None:
        """Attention, where it is wanted."""
        tokens = None if self.context.text is None else self.embedding
        if not wanted:
            return None
        return PixelAttention(channels, self.heads, groups=self.groups, tokens=tokens)


def _check(
    shape: tuple[int, ...], widths: Sequence[int], attention: Sequence[int], patch: int
) -> None:
    if len(shape) != 3:
        raise ConfigError(
            f"a U-Net needs an image (channels, height, width), got the shape {tuple(shape)}; "
            "use network='mlp'"
        )
    if not widths:
        raise ConfigError("a U-Net needs at least one level, got widths=()")
    if patch < 1:
        raise ConfigError(f"patch must be at least 1, got {patch}")
    side = min(shape[1:])
    if side < patch * 2 ** (len(widths) - 1):
        raise ConfigError(
            f"images of {shape[1]}x{shape[2]} are too small for {counted(len(widths), 'level')} of "
            f"a U-Net with patch={patch}, which divide them by {patch * 2 ** (len(widths) - 1)}: "
            + _fitting(side, patch)
        )
    for level in attention:
        if not 0 <= level < len(widths):
            raise ConfigError(
                f"attention must name levels in 0..{len(widths) - 1}, got {tuple(attention)}"
            )


def _fitting(side: int, patch: int) -> str:
    most = (side // patch).bit_length()
    if most == 0:
        return f"patch is at most {side}"
    return f"at most {counted(most, 'level')} ({counted(most, 'width')}) would fit"


class UNetEncoder(nn.Module):
    """The first half: from x, the time and the context to the skip connections and the middle.

    ``shapes`` are the sizes (channels, height, width) of what it gives; ``hint_shape`` is that of
    what can be added after the first convolution.

    Args:
        plan: All sizes.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.patch, self.size, context = plan.patch, plan.size, plan.context
        self.shapes = [(c, *plan.sizes[level]) for c, level in plan.skips]
        self.shapes.append((plan.widths[-1], *plan.sizes[-1]))
        self.hint_shape = self.shapes[0]
        self.embed = TimeEmbedding(context, plan.embedding, plan.waves)
        self.tokens = self.image = None
        channels = plan.channels
        if context.text is not None:
            self.tokens = TokenEmbedding(context.text, plan.embedding)
        if context.image is not None:
            self.image = ImagePlanes(context.image, plan.size)
            channels += self.image.channels * plan.patch**2
        self.first = nn.Conv2d(channels, plan.widths[0], 3, padding=1)
        self.blocks, self.attend, self.down = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        before = plan.widths[0]
        for level, width in enumerate(plan.widths):
            for _ in range(plan.blocks):
                self.blocks.append(plan.block(before, width))
                self.attend.append(plan.attend(width, level in plan.attention) or nn.Identity())
                before = width
            if level < len(plan.widths) - 1:
                self.down.append(Down(width))
        self.each = plan.blocks
        self.middle_1, self.middle_2 = (plan.block(before, before) for _ in range(2))
        self.middle_attend = plan.attend(before, plan.middle_attends)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(
        self,
        x: Tensor,
        time: Tensor,
        context: Context | None = None,
        *,
        uniform: Uniform | None = None,
        hint: Tensor | None = None,
    ) -> Encoded:
        """The skip connections and the middle.

        Args:
            x: (n, channels, height, width).
            time: (n,) or (1,), in [0, 1].
            context: Checked.
            uniform: Noise of dropout.
            hint: What is added after the first convolution (n or 1, *hint_shape).
        """
        e = F.silu(self.embed(time, context))
        tokens = None if self.tokens is None else self.tokens(context)
        if self.image is not None:
            x = torch.cat((x, self.image(context, x.dtype)), 1)
        h = self.first(channels_last(fold(x, self.patch)))
        if hint is not None:
            h = h + hint
        hidden = [h]
        for k, (block, attend) in enumerate(zip(self.blocks, self.attend, strict=True)):
            if k and k % self.each == 0:
                h = self.down[k // self.each - 1](h)
                hidden.append(h)
            h = _attended(attend, block(h, e, uniform), tokens)
            hidden.append(h)
        h = _attended(self.middle_attend, self.middle_1(h, e, uniform), tokens)
        return Encoded([*hidden, self.middle_2(h, e, uniform)], e, tokens)


def _attended(attend: nn.Module | None, h: Tensor, tokens: Tensor | None) -> Tensor:
    return attend(h, tokens) if isinstance(attend, PixelAttention) else h


class UNetDecoder(nn.Module):
    """The second half: from the skip connections and the middle to x's shape.

    Args:
        plan: All sizes.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.patch, self.size, self.sizes = plan.patch, plan.size, plan.sizes
        self.each = plan.blocks + 1
        skips = [channels for channels, _ in plan.skips]
        self.blocks, self.attend, self.up = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        before = plan.widths[-1]
        for level in reversed(range(len(plan.widths))):
            width = plan.widths[level]
            for _ in range(self.each):
                self.blocks.append(plan.block(before + skips.pop(), width))
                self.attend.append(plan.attend(width, level in plan.attention) or nn.Identity())
                before = width
            if level > 0:
                self.up.append(Up(width))
        self.norm = group_norm(before, plan.groups)
        self.last = zeroed(nn.Conv2d(before, plan.channels, 3, padding=1))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, encoded: Encoded, *, uniform: Uniform | None = None) -> Tensor:
        """(n, channels, height, width)."""
        *skips, h = encoded.hidden
        for k, (block, attend) in enumerate(zip(self.blocks, self.attend, strict=True)):
            if k and k % self.each == 0:
                h = self.up[k // self.each - 1](h, self.sizes[-1 - k // self.each])
            h = torch.cat((h, skips.pop()), 1)
            h = _attended(attend, block(h, encoded.e, uniform), encoded.tokens)
        out = self.last(F.silu(self.norm(h)))
        return unfold(out, self.patch, self.size)


class UNet(nn.Module):
    """A U-Net (Ronneberger et al., 2015) for images, as Ho et al. (2020) and those after them.

    Squares of ``patch`` pixels are folded into channels; then levels of residual blocks halve the
    image, the last of them has two blocks in the middle, and blocks that also see the skip
    connections double it again. Groups are normalized, and scaled and shifted by the time and the
    condition. An image of the context is concatenated to x; tokens of a text are attended to where
    pixels attend. The last convolution of each block and of the whole is 0 at the start. Sizes
    that the levels do not divide are rounded up, and cut again.

    Args:
        shape: The image (channels, height, width).
        context: What is declared; None for nothing.
        widths: Channels of the levels, from fine to coarse.
        blocks: Residual blocks of a level.
        attention: Levels that attend, 0 the finest; the middle does where any does.
        heads: Heads of attention.
        patch: Side of the squares; 2 takes a quarter of the time of 1.
        dropout: Probability that an activation is dropped where noise is given.
        embedding: Size of the embedded time; None for ``4 * widths[0]``.
        groups: At most so many groups are normalized.
        waves: Numbers of the sinusoidal encoding; None for ``max(64, widths[0])``.

    Raises:
        ConfigError: There is no image, or it is too small; or a setting cannot be.

    Example:
        >>> net = UNet((1, 28, 28), widths=(8, 16, 16))
        >>> net(torch.zeros(2, 1, 28, 28), torch.tensor([0.5])).shape
        torch.Size([2, 1, 28, 28])
        >>> net.encoder.shapes
        [(8, 14, 14), (8, 14, 14), (8, 7, 7), (16, 7, 7), (16, 4, 4), (16, 4, 4), (16, 4, 4)]
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        context: ContextSpec | None = None,
        *,
        widths: Sequence[int] = (32, 64, 64),
        blocks: int = 1,
        attention: Sequence[int] = (),
        heads: int = 4,
        patch: int = 2,
        dropout: float = 0.0,
        embedding: int | None = None,
        groups: int = 8,
        waves: int | None = None,
    ) -> None:
        super().__init__()
        plan = Plan(
            shape,
            context or ContextSpec(),
            widths=widths,
            blocks=blocks,
            attention=attention,
            heads=heads,
            patch=patch,
            dropout=dropout,
            embedding=embedding,
            groups=groups,
            waves=waves,
        )
        self.encoder, self.decoder = UNetEncoder(plan), UNetDecoder(plan)

    def forward(
        self,
        x: Tensor,
        time: Tensor,
        context: Context | None = None,
        *,
        uniform: Uniform | None = None,
        control: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """Of x's shape.

        Args:
            x: (n, channels, height, width).
            time: (n,) or (1,), in [0, 1].
            context: Checked.
            uniform: Noise of dropout; None for none.
            control: What is added to each skip connection and to the middle, of the sizes
                ``encoder.shapes``.
        """
        encoded = self.encoder(x, time, context, uniform=uniform)
        if control is not None:
            added = [h + more for h, more in zip(encoded.hidden, control, strict=True)]
            encoded = encoded._replace(hidden=added)
        out: Tensor = self.decoder(encoded, uniform=uniform)
        return out
