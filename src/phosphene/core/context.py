"""The context of a model: its declaration beside the event, and its values for one batch."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from phosphene.core.config import tagged
from phosphene.core.derivatives import batched
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

    def check(
        self,
        context: "Context | None",
        n: int,
        device: torch.device | None = None,
        *,
        unknown_label: bool = False,
    ) -> "Context":
        """The declared parts for n examples: a row for each, or one row, which then stands for all.

        What is not declared is left out, for a trainer hands over all that the data hold.

        Args:
            context: What is given.
            n: The number of examples.
            device: Where the model lies; None for anywhere.
            unknown_label: A label that is not given is unknown, -1, and not missing.

        Returns:
            The declared parts, each of n rows, labels in int64; and ``dropped``.

        Raises:
            EventError: A declared part is missing, lies outside its support or on another device,
                or has another number of rows.

        Example:
            >>> one = Context(label=torch.tensor([3]))
            >>> ContextSpec(label=10).check(one, 4).label
            tensor([3, 3, 3, 3])
        """
        context = context if context is not None else Context()
        if unknown_label and self.label is not None and context.label is None:
            context = replace(context, label=torch.full((n,), -1, device=device))
        parts: dict[str, Tensor] = {}
        for name in self.names:
            value = getattr(context, name)
            if value is None:
                raise EventError(f"the model is conditioned on {name!r}, and the context lacks it")
            if not isinstance(value, Tensor):
                raise EventError(
                    f"the context's {name} is a tensor with a row for each example, got "
                    f"{type(value).__name__}"
                )
            value = self._label(value) if name == "label" else getattr(self, name).check(value)
            parts[name] = _rows(name, value, n, device)
        if context.dropped is not None:
            parts["dropped"] = _rows("dropped", context.dropped, n, device)
        return Context(**parts)

    def _label(self, label: Tensor) -> Tensor:
        """Class numbers as int64, if they are class numbers."""
        if label.is_floating_point() or label.is_complex() or label.dtype == torch.bool:
            raise EventError(f"labels are whole numbers, got a tensor of {label.dtype}")
        if label.ndim != 1:
            raise EventError(f"labels have the shape (n,), got {tuple(label.shape)}")
        classes = self.label
        assert classes is not None
        if label.numel() == 0 or batched(label):
            return label.long()
        if int(label.min()) < -1 or int(label.max()) >= classes:
            raise EventError(
                f"labels must lie in 0..{classes - 1} (or be -1, unknown), "
                f"got values from {int(label.min())} to {int(label.max())}"
            )
        return label.long()


def _rows(name: str, value: Tensor, n: int, device: torch.device | None) -> Tensor:
    """The part with one row for each of n examples."""
    if device is not None and value.device != device:
        raise EventError(
            f"the context's {name} lies on {value.device} and the model on {device}: "
            f"context.to({str(device)!r}) moves it"
        )
    if value.ndim == 0 or len(value) not in (1, n):
        rows = len(value) if value.ndim else "no"
        raise EventError(
            f"the context's {name} has {rows} rows for {n} examples: it takes one for each, "
            "or one for all"
        )
    # A copy and not a view of stride 0: compiled kernels read it as they read any other.
    return value if len(value) == n else value.expand(n, *value.shape[1:]).contiguous()


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
