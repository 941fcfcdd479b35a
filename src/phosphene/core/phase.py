"""A loss with its named terms, and a phase: one optimiser's turn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from torch import Tensor, nn

from phosphene.core.batch import Batch

if TYPE_CHECKING:
    from torch.optim import Optimizer

__all__ = ["Loss", "Phase", "Step"]


@dataclass
class Loss:
    """What is minimised, and what it is made of.

    Args:
        total: A scalar, the mean over the examples of the batch.
        terms: Named parts, each per example (n,) or a scalar; they are logged as means.
    """

    total: Tensor
    terms: dict[str, Tensor] = field(default_factory=dict)


class Step(Protocol):
    """What an update rule may ask of the engine."""

    number: int

    def all_reduce(self, value: Tensor) -> Tensor:
        """Mean of a tensor over ranks."""
        ...

    def replace_parameters(
        self, old: nn.Parameter, new: nn.Parameter, index: Tensor
    ) -> nn.Parameter:
        """Swap a parameter; optimiser moments and EMA follow rows ``index`` of the old one."""
        ...


@dataclass
class Phase:
    """One optimiser's turn within a step. A model yields its phases in order: the algorithm.

    Args:
        name: Shown in logs.
        parameters: What this phase changes.
        loss: The loss of a batch; ignored when ``update`` is given.
        optimizer: Makes an optimiser from the parameters; None means the trainer's.
        every: Take the turn only at steps divisible by this.
        repeat: Turns within one step, each on a new batch.
        update: Replaces gradient descent for what has none (a multiplier, Lloyd's step, chains);
            it may return named scalars to be logged.
    """

    name: str
    parameters: Sequence[nn.Parameter]
    loss: Callable[[Batch], Loss] | None = None
    optimizer: "Callable[[Sequence[nn.Parameter]], Optimizer] | None" = None
    every: int = 1
    repeat: int = 1
    update: Callable[[Batch, Step], dict[str, Tensor] | None] | None = None

    def __post_init__(self) -> None:
        assert (self.loss is None) != (self.update is None), "a phase has a loss or an update"
        assert self.every >= 1, "a phase is taken every 1 or more steps"
        assert self.repeat >= 1, "a phase is taken 1 or more times a step"
