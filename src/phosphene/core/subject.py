"""Interfaces of what is learned from: the subject, its source of batches, its judge."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.trainable import Trainable

__all__ = ["Alone", "Judge", "Ranks", "Source", "Within"]


class Ranks(Protocol):
    """This process among those that train together."""

    rank: int
    world: int

    def join(self, value: Tensor, dim: int = 0) -> Tensor:
        """The ranks' parts of a tensor put together along a dimension, on every rank."""
        ...


class Alone:
    """One process by itself.

    Example:
        >>> Alone().join(torch.ones(2)).shape
        torch.Size([2])
    """

    rank, world = 0, 1

    def join(self, value: Tensor, dim: int = 0) -> Tensor:
        """The tensor itself."""
        return value


class Source:
    """Gives batches; keeps state only where a batch is not a function of its number.

    A cycle of the engine asks for batches k, k + 1, ...; asking for the same number again gives the
    same batch.
    """

    batch_size: int
    """Rows of a global batch, over all ranks."""
    clock_name = "steps"
    """What :meth:`clock` counts, as it is logged."""
    headline = "loss"
    """The term, or score of validation, that says most of a training."""
    aside: tuple[str, ...] = ()
    """Terms that are counted or logged, and not shown while it trains."""

    @property
    def epoch(self) -> int | None:
        """Examples of an epoch; None where there are no epochs."""
        return None

    def next(self, k: int, model: Any, *, stream: int = 0) -> Batch:
        """This rank's share of global batch k; ``stream`` tells apart phases that share it."""
        raise NotImplementedError

    def prepare(self, model: Any) -> None:
        """Let a trainable initialize itself from data, the same on every rank, once."""
        if type(model).prepare is not Trainable.prepare:
            model.prepare(self.next(0, model))

    def clock(self) -> int | None:
        """What a budget in steps counts, over all ranks; None for the engine's own steps."""
        return None

    @property
    def validation_name(self) -> str:
        """What validation takes of the clock, as it is logged: ``validation_steps``."""
        return f"validation_{self.clock_name.rpartition('_')[2]}"

    def statistics(self) -> dict[str, float]:
        """What to log of what was met since the last call."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """What must be saved for an exact resume: nothing, of functions of a batch's number."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what was saved."""


Within = Callable[[int], bool]
"""Told how many environment steps a judgement would have taken; says whether it may take them."""


class Judge(Protocol):
    """Scores a trainable, in evaluation mode; the lower ``loss``, the better."""

    steps: int
    """What the last judgement took of the source's clock; 0 where it has none."""
    n: int | None
    """Examples of a judgement, which may be lowered; None where it takes none."""

    def expected(self, length: float | None) -> float:
        """What a judgement is expected to take of the source's clock.

        Args:
            length: Of the episodes that training meets; None where that is not known.
        """
        ...

    def fit(self, model: Any, runtime: Any, seconds: float) -> float:
        """Lower ``n`` to what one judgement may have seconds for; the seconds it will take."""
        ...

    def __call__(
        self, model: Any, runtime: Any, within: Within | None = None
    ) -> Mapping[str, float] | None:
        """Scores by name, among them ``loss``; None where ``within`` has broken it off.

        Every rank gets the same.
        """
        ...
