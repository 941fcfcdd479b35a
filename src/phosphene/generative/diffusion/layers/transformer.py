"""A diffusion transformer: patches of an image as a sequence."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError
from phosphene.generative.diffusion.layers.attention import Attention
from phosphene.generative.diffusion.layers.blocks import fold, unfold, zeroed
from phosphene.generative.diffusion.layers.embedding import (
    ImagePlanes,
    TimeEmbedding,
    TokenEmbedding,
    modulated,
    waves,
)
from phosphene.nn.noise import Uniform, check_probability, dropout

__all__ = ["DiffusionTransformer", "places"]


def places(height: int, width: int, size: int) -> Tensor:
    """Sinusoidal encodings of rows and columns (height * width, size): a half for each.

    Example:
        >>> places(2, 3, 8).shape
        torch.Size([6, 8])
    """
    rows = waves(torch.arange(height, dtype=torch.float64), size // 2)
    columns = waves(torch.arange(width, dtype=torch.float64), size - size // 2)
    grid = (rows[:, None].expand(-1, width, -1), columns[None].expand(height, -1, -1))
    return torch.cat(grid, -1).flatten(0, 1)


class _Block(nn.Module):
    """h + g_1 attention(m_1(norm h)), then h + g_2 W_2 gelu(W_1 m_2(norm h)): adaLN-zero.

    The gates g and the scales and shifts of m are linear in silu(e), and 0 at the start.
    """

    def __init__(self, width: int, heads: int, embedding: int, p: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.attention = Attention(width, heads)
        self.first, self.second = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.modulation = zeroed(nn.Linear(embedding, 6 * width))
        self.p = p

    def forward(self, h: Tensor, e: Tensor, uniform: Uniform | None) -> Tensor:
        attend, gate_1, feed, gate_2 = self.modulation(e)[:, None].split(
            [2 * h.shape[-1], h.shape[-1], 2 * h.shape[-1], h.shape[-1]], -1
        )
        h = torch.addcmul(h, gate_1, self.attention(modulated(self.norm(h), attend)))
        g = F.gelu(self.first(modulated(self.norm(h), feed)), approximate="tanh")
        return torch.addcmul(h, gate_2, self.second(dropout(g, self.p, uniform)))


class DiffusionTransformer(nn.Module):
    """A transformer over the patches of an image (DiT; Peebles and Xie, 2023).

    Blocks are scaled, shifted and gated by the time, labels and vectors (adaLN-zero); an image of
    the context is further channels of the patches, tokens of a text are further members of the
    sequence. The output is 0 at the start.

    Args:
        shape: The image (channels, height, width); any size, filled up with zeros where patches do
            not divide it.
        context: What is declared; None for nothing.
        width: Size of a patch's vector; a multiple of 4 and of the heads.
        blocks: How many.
        heads: Heads of attention.
        patch: Side of a patch.
        dropout: Probability that a hidden unit is dropped where noise is given.
        embedding: Size of the embedded time; None for the width.

    Raises:
        ConfigError: There is no image, or a setting cannot be.

    Example:
        >>> net = DiffusionTransformer((3, 10, 7), width=16, blocks=1)
        >>> net(torch.ones(2, 3, 10, 7), torch.tensor([0.5])).shape
        torch.Size([2, 3, 10, 7])
    """

    places: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        context: ContextSpec | None = None,
        *,
        width: int = 192,
        blocks: int = 6,
        heads: int = 4,
        patch: int = 4,
        dropout: float = 0.0,
        embedding: int | None = None,
    ) -> None:
        super().__init__()
        spec = context or ContextSpec()
        _check(shape, width, patch)
        p = check_probability("dropout", dropout)
        embedded = width if embedding is None else embedding
        self.patch, self.size = patch, (shape[1], shape[2])
        self.grid = (-(-shape[1] // patch), -(-shape[2] // patch))
        outputs = inputs = shape[0] * patch**2
        self.embed = TimeEmbedding(spec, embedded)
        self.tokens = None if spec.text is None else TokenEmbedding(spec.text, width)
        self.image = None if spec.image is None else ImagePlanes(spec.image, self.size)
        if self.image is not None:
            inputs += self.image.channels * patch**2
        self.first = nn.Linear(inputs, width)
        encoded = places(*self.grid, width).to(self.first.weight.dtype)
        self.register_buffer("places", encoded, persistent=False)
        self.blocks = nn.ModuleList(_Block(width, heads, embedded, p) for _ in range(blocks))
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = zeroed(nn.Linear(embedded, 2 * width))
        self.last = zeroed(nn.Linear(width, outputs))

    def forward(
        self,
        x: Tensor,
        time: Tensor,
        context: Context | None = None,
        *,
        uniform: Uniform | None = None,
    ) -> Tensor:
        """Of x's shape (n, channels, height, width); arguments as the U-Net's."""
        e = F.silu(self.embed(time, context))
        if self.image is not None:
            x = torch.cat((x, self.image(context, x.dtype)), 1)
        h = self.first(fold(x, self.patch).flatten(2).mT) + self.places
        patches = h.shape[1]
        if self.tokens is not None:
            h = torch.cat((h, self.tokens(context).to(h.dtype)), 1)
        for block in self.blocks:
            h = block(h, e, uniform)
        h = modulated(self.norm(h[:, :patches]), self.modulation(e)[:, None])
        return unfold(self.last(h).mT.unflatten(2, self.grid), self.patch, self.size)


def _check(shape: tuple[int, ...], width: int, patch: int) -> None:
    if len(shape) != 3:
        raise ConfigError(
            f"a diffusion transformer needs an image (channels, height, width), got the shape "
            f"{tuple(shape)}; use network='mlp'"
        )
    if width < 4 or width % 4:
        raise ConfigError(f"the width of a diffusion transformer is a multiple of 4, got {width}")
    if not 1 <= patch <= min(shape[1:]):
        raise ConfigError(
            f"patch must be in 1..{min(shape[1:])} for images of {shape[1]}x{shape[2]}, got {patch}"
        )
