"""What evaluation computes once from a module's parameters."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import torch
from torch import nn

__all__ = ["Kept"]

T = TypeVar("T")


class Kept(Generic[T]):
    """Values made of a module's parameters and buffers, computed once in evaluation.

    They are computed again when a tensor has changed, by its version counter, or has moved to
    another device or type. Fused optimizers write past those counters; as each of their steps
    follows a pass with gradients, such a pass forgets what was kept, and so must a change of mode.

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
        self.values: dict[str, tuple[list[tuple[int, int, torch.dtype]], T]] = {}

    def clear(self) -> None:
        """Forget all."""
        self.values.clear()

    def get(self, name: str, compute: Callable[[], T]) -> T:
        """The value of that name, from ``compute`` where it is not known."""
        if torch.compiler.is_compiling():
            return compute()
        if self.module.training or torch.is_grad_enabled():
            self.values.clear()
            return compute()
        tensors = [t for held in self.tensors for t in held.values() if t is not None]
        key = [(t._version, t.data_ptr(), t.dtype) for t in tensors]
        known = self.values.get(name)
        if known is None or known[0] != key:
            known = self.values[name] = (key, compute())
        return known[1]
