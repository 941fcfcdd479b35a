"""``--compile``: try torch.compile, and say so when it falls back."""

from collections.abc import Callable, Sequence
from typing import Any

from phosphene.core.batch import Batch
from phosphene.core.progress import Listener, Warned
from phosphene.train.phase_runner import LossFunction

__all__ = ["compiled"]


def compiled(listeners: Sequence[Listener]) -> Callable[[LossFunction], LossFunction]:
    """A transform that compiles a loss at its first call and runs it plainly if that fails."""
    import torch

    def transform(function: LossFunction) -> LossFunction:
        fast = torch.compile(function)
        chosen: list[LossFunction] = []

        def loss(batch: Batch) -> Any:
            if chosen:
                return chosen[0](batch)
            try:
                result = fast(batch)
                chosen.append(fast)
                return result
            except Exception as error:  # a compiler fails in ways of its own
                reason = (str(error).splitlines() or [type(error).__name__])[0]
                for tell in listeners:
                    tell(Warned(f"torch.compile failed, training goes on without it: {reason}"))
                chosen.append(function)
                batch.noise.draws = 0
                return function(batch)

        return loss

    return transform
