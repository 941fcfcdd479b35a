"""Values computed once from tensors, and again when the tensors have changed."""

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from phosphene.core.derivatives import transformed

__all__ = ["Kept", "Snapshot"]

T = TypeVar("T")


class Snapshot:
    """Copies of tensors, by which a change of their contents is seen, however it was made.

    Version counters do not see it all: writing through ``p.data``, under ``inference_mode``, and by
    fused optimizers goes past them. To compare the numbers costs less than what is made of them.

    Args:
        tensors: What to remember.

    Example:
        >>> p = torch.zeros(2)
        >>> before = Snapshot([p])
        >>> before.shows([p])
        True
        >>> p.data.copy_(torch.ones(2)), before.shows([p])
        (tensor([1., 1.]), False)
    """

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        self.copies = [t.detach().clone() for t in tensors]

    def shows(self, tensors: Sequence[Tensor]) -> bool:
        """Whether these are of the same type and device, and hold the same numbers.

        A compiled function, which cannot look, takes the numbers to be those it was compiled with.
        """
        if torch.compiler.is_compiling():
            return True
        return len(tensors) == len(self.copies) and all(
            a.dtype == b.dtype and a.device == b.device and torch.equal(a, b)
            for a, b in zip(self.copies, tensors, strict=True)
        )


class Kept(Generic[T]):
    """Values made of a module's parameters and buffers, computed once in evaluation.

    They are computed again when a number of these has changed, or they have moved to another device
    or type; see :class:`Snapshot`. While gradients are recorded, in training and under the
    transforms of ``torch.func`` nothing is kept.

    Args:
        module: Whose mode counts.
        parts: The modules that the values are made of, all that is in ``module`` by default.
    """

    def __init__(self, module: nn.Module, parts: Sequence[nn.Module] | None = None) -> None:
        self.module = module
        # The dictionaries that hold the tensors, not the tensors, which loading may exchange;
        # walking over the modules at each call would cost more than what is spared.
        made_of = module.modules() if parts is None else parts
        self.tensors = [held for m in made_of for held in (m._parameters, m._buffers) if held]
        self.values: dict[str, tuple[Snapshot, T]] = {}

    def get(self, name: str, compute: Callable[[], T]) -> T:
        """The value of that name, from ``compute`` where it is not known."""
        if torch.compiler.is_compiling() or transformed():
            return compute()
        if self.module.training or torch.is_grad_enabled():
            self.values.clear()
            return compute()
        tensors = [t for held in self.tensors for t in held.values() if t is not None]
        known = self.values.get(name)
        if known is None or not known[0].shows(tensors):
            known = self.values[name] = (Snapshot(tensors), compute())
        return known[1]
