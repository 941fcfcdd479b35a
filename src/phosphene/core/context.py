"""What a model is conditioned on, declared beside the event, and the values of one batch."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from phosphene.core.config import tagged
from phosphene.core.errors import EventError
from phosphene.core.event import Event

__all__ = ["Context", "ContextSpec"]


@tagged
@dataclass(frozen=True, kw_only=True)
class ContextSpec:
    """Declares the condition: a number of classes, an image, tokens, or a vector of reals.

    Example:
        >>> ContextSpec(label=10).names
        ('label',)
        >>> bool(ContextSpec())
        False
    """

    label: int | None = None
    image: Event | None = None
    text: Event | None = None
    vector: Event | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The declared parts."""
        return tuple(f.name for f in fields(self) if getattr(self, f.name) is not None)

    def __bool__(self) -> bool:
        return bool(self.names)

    def check(self, context: "Context | None") -> "Context":
        """Return the context if it holds every declared part in its support."""
        context = context if context is not None else Context()
        for name in self.names:
            value = getattr(context, name)
            if value is None:
                raise EventError(f"the model is conditioned on {name!r}, and the context lacks it")
            spec = getattr(self, name)
            if isinstance(spec, Event):
                spec.check(value)
            elif value.numel() and (int(value.min()) < -1 or int(value.max()) >= spec):
                raise EventError(
                    f"labels must lie in 0..{spec - 1} (or be -1, unknown), "
                    f"got values from {int(value.min())} to {int(value.max())}"
                )
        return context


@dataclass(frozen=True, kw_only=True)
class Context:
    """The condition of each example in a batch; every part has the batch as first dimension.

    Args:
        label: Class numbers (n,), int64; -1 means that the label is unknown.
        image: Codes (n, c, h, w).
        text: Token codes (n, t).
        mask: Booleans of the event's shape; True where the value is given.
        camera: Camera parameters (n, ...), OpenCV convention.
        vector: Reals (n, d).
        dropped: Booleans (n,); True where the condition is withheld (classifier-free guidance).
    """

    label: Tensor | None = None
    image: Tensor | None = None
    text: Tensor | None = None
    mask: Tensor | None = None
    camera: Tensor | None = None
    vector: Tensor | None = None
    dropped: Tensor | None = None

    def parts(self) -> Iterator[tuple[str, Tensor]]:
        """The tensors that are present, by name."""
        for f in fields(self):
            value = getattr(self, f.name)
            if value is not None:
                yield f.name, value

    def __getitem__(self, rows: slice | Tensor) -> "Context":
        return Context(**{name: value[rows] for name, value in self.parts()})

    def to(self, device: torch.device | str) -> "Context":
        """The context on another device."""
        return Context(**{name: value.to(device) for name, value in self.parts()})

    def repeat(self, n: int) -> "Context":
        """Each row n times in a row, as ``repeat_interleave``."""
        return Context(**{k: v.repeat_interleave(n, dim=0) for k, v in self.parts()})

    def drop(self, p: float, uniform: Tensor) -> "Context":
        """Withhold the condition where ``uniform`` (n,) is below p (Ho and Salimans, 2022).

        The numbers come from the batch (``batch.uniform(())``), so that ranks agree.
        """
        dropped = uniform < p
        if self.dropped is not None:
            dropped = dropped | self.dropped
        return replace(self, dropped=dropped)
