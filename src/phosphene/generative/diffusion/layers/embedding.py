"""What a denoising network is told beside x: the time, labels, vectors, an image, tokens."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.context import Context, ContextSpec
from phosphene.core.event import Event
from phosphene.nn.context_embedding import ConditionEmbedding, FlatImage

__all__ = ["ImagePlanes", "TimeEmbedding", "TokenEmbedding", "modulated", "waves"]

_STEPS = 1000.0
"""The time 1 in units of the sinusoids, as if it were the last of 1000 steps."""


def waves(position: Tensor, width: int) -> Tensor:
    """(cos p w_0, ..., cos p w_k, sin p w_0, ..., sin p w_k), w_i = 10000^(-i/k), k = width / 2.

    Vaswani et al. (2017), as Ho et al. (2020) order it.

    Args:
        position: Real numbers (n,).
        width: Size of an encoding; even.

    Returns:
        Encodings (n, width), at least in single precision.

    Example:
        >>> waves(torch.tensor([0.0, 1.0]), 2)
        tensor([[1.0000, 0.0000],
                [0.5403, 0.8415]])
    """
    half = width // 2
    dtype = torch.promote_types(position.dtype, torch.float32)
    exponent = torch.arange(half, dtype=dtype, device=position.device) * (-math.log(1e4) / half)
    angle = position.to(dtype)[:, None] * exponent.exp()
    return torch.cat((angle.cos(), angle.sin()), 1)


class TimeEmbedding(nn.Module):
    """e(t, c) = W_2 silu(W_1 waves(1000 t) + b_1) + b_2 + V c + b, c of labels and vectors.

    Where the condition is withheld, c is that of "not told" (labels) and 0 (vectors).

    Args:
        spec: What is declared; labels and vectors are embedded.
        width: Size E of e.
        size: Numbers of the sinusoidal encoding; even.

    Example:
        >>> embed = TimeEmbedding(ContextSpec(label=10), 16)
        >>> context = Context(label=torch.tensor([3, 4]))
        >>> embed(torch.tensor([0.5]), context).shape
        torch.Size([2, 16])
        >>> TimeEmbedding(ContextSpec(), 16)(torch.tensor([0.5]), None).shape
        torch.Size([1, 16])
    """

    def __init__(self, spec: ContextSpec, width: int, size: int = 64) -> None:
        super().__init__()
        self.size, self.width = size, width
        self.first, self.second = nn.Linear(size, width), nn.Linear(width, width)
        self.condition = ConditionEmbedding(spec, width)
        inputs = self.condition.width
        self.bring = nn.Linear(inputs, width) if inputs else None

    def forward(self, time: Tensor, context: Context | None) -> Tensor:
        """(n, E); one row where the time has one and nothing is declared.

        Args:
            time: (n,) or (1,), which is embedded once and stands for all.
            context: Checked; may be None where nothing is declared.
        """
        h = F.silu(self.first(waves(_STEPS * time, self.size).to(self.first.weight.dtype)))
        e: Tensor = self.second(h)
        if self.bring is not None:
            assert context is not None
            e = e + self.bring(self.condition(context))
        return e


def modulated(h: Tensor, scale_shift: Tensor) -> Tensor:
    """h (1 + s) + b, with (s, b) the halves of the last axis of ``scale_shift``.

    Example:
        >>> modulated(torch.ones(1, 2), torch.tensor([[0.0, 1.0, 5.0, 6.0]]))
        tensor([[6., 8.]])
    """
    scale, shift = scale_shift.chunk(2, -1)
    return torch.addcmul(shift, h, scale + 1.0)


class ImagePlanes(nn.Module):
    """The image of a context as further channels: codes go to [-1, 1], reals stay.

    It is resized to the size of x, and 0 where the condition is withheld.

    Args:
        image: What the image is.
        size: Height and width of x.

    Example:
        >>> planes = ImagePlanes(Event.image(1, 2, levels=2), (4, 4))
        >>> planes(Context(image=torch.ones(3, 1, 2, 2)), torch.float32).shape
        torch.Size([3, 1, 4, 4])
    """

    def __init__(self, image: Event, size: tuple[int, int]) -> None:
        super().__init__()
        self.shape, self.size, self.channels = image.shape, size, image.shape[0]
        self.flat = FlatImage(image)

    def forward(self, context: Context | None, dtype: torch.dtype) -> Tensor:
        """(n, channels, height, width)."""
        assert context is not None
        planes: Tensor = self.flat(context, dtype).unflatten(1, self.shape)
        if context.dropped is not None:
            planes = planes.masked_fill(context.dropped[:, None, None, None], 0.0)
        if self.shape[1:] != self.size:
            # Averages where it shrinks; pixels in between are left out otherwise.
            planes = F.interpolate(planes, self.size, mode="bilinear", antialias=True)
        return planes


class TokenEmbedding(nn.Module):
    """The text of a context as vectors: one for each token, plus one for its place.

    Where the condition is withheld all of them are one learned vector, "nothing".

    Args:
        text: What the tokens are.
        width: Size of a vector.

    Example:
        >>> embed = TokenEmbedding(Event.tokens(5, 20), 8)
        >>> embed(Context(text=torch.zeros(3, 5))).shape
        torch.Size([3, 5, 8])
    """

    def __init__(self, text: Event, width: int) -> None:
        super().__init__()
        assert text.levels is not None
        self.width = width
        self.table = nn.Embedding(text.levels, width)
        self.places = nn.Parameter(0.02 * torch.randn(text.dimensions, width))
        self.nothing = nn.Parameter(0.02 * torch.randn(width))

    def forward(self, context: Context | None) -> Tensor:
        """(n, tokens, width)."""
        assert context is not None
        assert context.text is not None
        told: Tensor = self.table(context.text.flatten(1).long()) + self.places
        if context.dropped is None:
            return told
        return torch.where(context.dropped[:, None, None], self.nothing.to(told.dtype), told)
