"""A multi-scale flow; each level is conditioned on features of a context image at its size."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.context import Context
from phosphene.core.event import Event
from phosphene.generative.flow.layers.conditioner import resized
from phosphene.generative.flow.layers.squeeze import squeeze, unsqueeze
from phosphene.generative.flow.layers.transform import Transform

__all__ = ["ImageEncoder", "Pyramid", "PyramidLevel"]

Size = tuple[int, int]


class ImageEncoder(nn.Module):
    """A residual network of a small image, and its features at the size of every level.

    Convolutions run at the image's own size; from there levels follow each other, upsampled
    (nearest) or averaged by two, each through a convolution of its own. Everything that a flow
    knows of the image comes from one call.

    Args:
        image: The small image.
        features: Channels of the features.
        blocks: Residual blocks of two convolutions.
        sizes: Height and width of each level.
        bias: What is added to the first layer (labels, vectors), or nothing.

    Example:
        >>> encoder = ImageEncoder(Event.image(1, 4), 8, 1, [(8, 8), (4, 4), (2, 2)])
        >>> [tuple(f.shape) for f in encoder(Context(image=torch.zeros(3, 1, 4, 4)))]
        [(3, 8, 8, 8), (3, 8, 4, 4), (3, 8, 2, 2)]
    """

    def __init__(
        self,
        image: Event,
        features: int,
        blocks: int,
        sizes: Sequence[Size],
        bias: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.image, self.sizes, self.bias = image, tuple(sizes), bias
        self.first = nn.Conv2d(image.shape[0], features, 3, padding=1)
        pairs = (_Residual(features) for _ in range(blocks))
        self.blocks = nn.ModuleList(pairs)
        different = dict.fromkeys(self.sizes)
        self.levels = nn.ModuleDict(
            {_name(size): nn.Conv2d(features, features, 3, padding=1) for size in different}
        )

    def forward(self, context: Context | None) -> list[Tensor]:
        """Features (n, features, h, w) of each level."""
        assert context is not None
        assert context.image is not None
        image = context.image.to(self.first.weight.dtype)
        h = self.first(resized(image, self.image.levels, image))
        more = None if self.bias is None else self.bias(context)
        h = h if more is None else h + more[:, :, None, None]
        for block in self.blocks:
            h = block(h)
        found: dict[Size, Tensor] = {}
        own = (self.image.shape[1], self.image.shape[2])
        # Outwards from the image's own size, so that each level starts from its neighbor.
        for larger in (True, False):
            at = h
            for size in sorted(set(self.sizes), reverse=not larger):
                if (size >= own) == larger:
                    at = F.leaky_relu(self.levels[_name(size)](_to(at, size)), 0.1)
                    found[size] = at
        return [found[size] for size in self.sizes]


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        out: Tensor = h + self.second(F.leaky_relu(self.first(F.leaky_relu(h, 0.1)), 0.1))
        return out


def _name(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


def _to(h: Tensor, size: Size) -> Tensor:
    if tuple(h.shape[-2:]) == size:
        return h
    if h.shape[-1] > size[1]:
        return F.adaptive_avg_pool2d(h, size)
    return F.interpolate(h, size=size, mode="nearest")


class PyramidLevel(nn.Module):
    """One level: halve the image, move it, split it, and move what is split off.

    Args:
        enter: From (n, c, 2h, 2w) to (n, C, h, w), perhaps with steps; told the features.
        keep: How many of the C channels go on.
        off: Moves the others to latents, told features of the image and of what goes on.
        features: Channels of the features.
    """

    def __init__(self, enter: Transform, keep: int, off: Transform, features: int) -> None:
        super().__init__()
        self.enter, self.keep, self.off = enter, keep, off
        self.merge = nn.Conv2d(features + 2 * keep, features, 3, padding=1)
        self.refine = _Residual(features)

    def told(self, context: Context, features: Tensor, kept: Tensor) -> Context:
        """The context of what is split off, computed once for all of its steps."""
        # Both the value and, where it is a logit, the brightness; neither far from 1.
        seen = torch.cat((features, kept / 4, torch.tanh(kept / 2)), 1)
        return replace(context, image=F.leaky_relu(self.refine(self.merge(seen)), 0.1))


class Pyramid(Transform):
    """x to (z_1, ..., z_L, z_0): each level splits latents off, told an encoder's features.

    The encoder runs once a call, and every level gets its features at its own height and width in
    the place of the context's image: SRFlow's design (Lugmayr et al., 2020). Latents are packed
    into x's shape: those of a level lie beside the rest, unsqueezed together.

    Args:
        encoder: Context to features: one for each level and one for the rest.
        levels: From the finest.
        rest: Moves what remains after the last level, told the last features.
        anchor: Moves what remains before that, told the context itself.
    """

    def __init__(
        self,
        encoder: nn.Module,
        levels: Sequence[PyramidLevel],
        rest: Transform,
        anchor: Transform | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.levels = encoder, nn.ModuleList(levels)
        self.rest, self.anchor = rest, anchor

    def _each(self) -> list[PyramidLevel]:
        return [level for level in self.levels if isinstance(level, PyramidLevel)]

    def _down(
        self,
        x: Tensor,
        context: Context | None,
        apply: Callable[[Transform, Tensor, Context | None], Tensor],
    ) -> Tensor:
        features, context = self.encoder(context), context or Context()
        off: list[Tensor] = []
        for level, f in zip(self._each(), features[:-1], strict=True):
            x = apply(level.enter, x, replace(context, image=f))
            kept, moved = x.tensor_split((level.keep,), 1)
            off.append(apply(level.off, moved, level.told(context, f, kept)))
            x = kept
        if self.anchor is not None:
            x = apply(self.anchor, x, context)
        z = apply(self.rest, x, replace(context, image=features[-1]))
        for part in reversed(off):
            z = unsqueeze(torch.cat((z, part), 1))
        return z

    def forward_and_log_det(
        self, x: Tensor, context: Context | None = None
    ) -> tuple[Tensor, Tensor]:
        """From the finest level to the coarsest."""
        log_det = x.new_zeros(len(x))

        def apply(transform: Transform, h: Tensor, c: Context | None) -> Tensor:
            nonlocal log_det
            h, more = transform.forward_and_log_det(h, c)
            log_det = log_det + more
            return h

        return self._down(x, context, apply), log_det

    def prepare(self, x: Tensor, context: Context | None = None) -> Tensor:
        """Each layer in turn, on what those before it make of the batch."""
        return self._down(x, context, lambda transform, h, c: transform.prepare(h, c))

    def inverse(self, z: Tensor, context: Context | None = None) -> Tensor:
        """From the coarsest level to the finest: each is told what the coarser have made."""
        features, context = self.encoder(context), context or Context()
        off: list[Tensor] = []
        for level in self._each():
            z, part = squeeze(z).tensor_split((level.keep,), 1)
            off.append(part)
        x = self.rest.inverse(z, replace(context, image=features[-1]))
        if self.anchor is not None:
            x = self.anchor.inverse(x, context)
        for level, f, part in zip(reversed(self._each()), features[-2::-1], off[::-1], strict=True):
            moved = level.off.inverse(part, level.told(context, f, x))
            x = level.enter.inverse(torch.cat((x, moved), 1), replace(context, image=f))
        return x
