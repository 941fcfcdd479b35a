"""Layers that bring a context into a network: a label, a vector or an image."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from phosphene.core.context import Context, ContextSpec
from phosphene.core.event import Event
from phosphene.core.moments import Moments, standardize

__all__ = ["ConditionBias", "ConditionEmbedding", "FlatImage", "LabelEmbedding"]


class LabelEmbedding(nn.Module):
    """A learned vector for each class, and one more for "not told".

    The extra vector stands where the label is unknown (-1) or withheld (``context.dropped``,
    classifier-free guidance; Ho and Salimans, 2022).

    Args:
        classes: Number of classes.
        width: Size of the vectors.

    Example:
        >>> embed = LabelEmbedding(10, 4)
        >>> a = embed(torch.tensor([3, -1]))
        >>> b = embed(torch.tensor([3, 3]), torch.tensor([False, True]))
        >>> torch.equal(a, b)
        True
    """

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.classes = classes
        self.table = nn.Embedding(classes + 1, width)

    def forward(self, label: Tensor, dropped: Tensor | None = None) -> Tensor:
        """Vectors (n, width) of labels (n,) in -1..classes-1."""
        absent = label < 0
        if dropped is not None:
            absent = absent | dropped
        out: Tensor = self.table(label.masked_fill(absent, self.classes))
        return out


class ConditionEmbedding(nn.Module):
    """The parts of a context that are vectors for a network: label and vector, concatenated.

    Vectors are standardized, column by column, by the mean and standard deviation of the training
    data (:meth:`scale_vector`), so that their units do not matter; until these are told, they enter
    as they are.

    Args:
        spec: What is declared; labels and vectors are embedded, other parts are the model's own
            affair.
        width: Size of each part's embedding.
    """

    shift: Tensor
    scale: Tensor
    earlier: ClassVar[Mapping[str, float]] = {"shift": 0.0, "scale": 1.0}
    """What models that were saved before vectors were standardized go on with."""

    def __init__(self, spec: ContextSpec, width: int = 32) -> None:
        super().__init__()
        self.spec = spec
        self.label = LabelEmbedding(spec.label, width) if spec.label is not None else None
        self.vector = None
        if spec.vector is not None:
            d = spec.vector.dimensions
            self.vector = nn.Linear(d, width)
            self.register_buffer("shift", torch.zeros(d, dtype=torch.float64))
            self.register_buffer("scale", torch.ones(d))
        self.width = width * ((self.label is not None) + (self.vector is not None))

    @torch.no_grad()
    def scale_vector(self, moments: Moments) -> None:
        """Standardize vectors from now on by these moments; where none are declared, nothing."""
        if self.vector is not None:
            self.shift.copy_(moments.mean.flatten())
            self.scale.copy_(moments.units.flatten())

    def forward(self, context: Context) -> Tensor | None:
        """The condition (n, self.width), or None when nothing is declared."""
        parts = []
        if self.label is not None:
            assert context.label is not None
            parts.append(self.label(context.label, context.dropped))
        if self.vector is not None:
            assert context.vector is not None
            dtype = self.vector.weight.dtype
            vector = standardize(context.vector.flatten(1), self.shift, self.scale, dtype)
            vector = self.vector(vector)
            if context.dropped is not None:
                vector = vector.masked_fill(context.dropped[:, None], 0.0)
            parts.append(vector)
        return torch.cat(parts, dim=1) if parts else None


class FlatImage(nn.Module):
    """The image of a context as a vector: codes 0..levels-1 go to [-1, 1], reals stay.

    Args:
        image: What the image is.

    Example:
        >>> flat = FlatImage(Event.image(1, 1, levels=256))
        >>> flat(Context(image=torch.tensor([[[[255]]]])), torch.float32)
        tensor([[1.]])
    """

    middle: Tensor
    reach: Tensor
    earlier: ClassVar[Mapping[str, float]] = {"middle": 0.0, "reach": 1.0}
    """What models that were saved before codes were scaled go on with."""

    def __init__(self, image: Event) -> None:
        super().__init__()
        half = 0.0 if image.levels is None else (image.levels - 1) / 2
        self.width = image.dimensions
        self.register_buffer("middle", torch.tensor(half))
        self.register_buffer("reach", torch.tensor(half or 1.0))

    def forward(self, context: Context | None, dtype: torch.dtype) -> Tensor:
        """The vector (n, dimensions)."""
        assert context is not None
        assert context.image is not None
        return standardize(context.image.flatten(1), self.middle, self.reach, dtype)


class ConditionBias(nn.Module):
    """What a condition adds to a layer: a learned linear map of its embedding, or nothing.

    Args:
        spec: What is declared.
        outputs: Size of the layer.

    Example:
        >>> bias = ConditionBias(ContextSpec(label=3), 8)
        >>> bias(Context(label=torch.tensor([0, 2]))).shape
        torch.Size([2, 8])
        >>> ConditionBias(ContextSpec(), 8)(Context()) is None
        True
    """

    def __init__(self, spec: ContextSpec, outputs: int) -> None:
        super().__init__()
        self.embed = ConditionEmbedding(spec)
        self.map = nn.Linear(self.embed.width, outputs, bias=False) if self.embed.width else None

    def forward(self, context: Context | None) -> Tensor | None:
        """The addition (n, outputs), or None when nothing is declared."""
        if self.map is None:
            return None
        assert context is not None
        out: Tensor = self.map(self.embed(context))
        return out
