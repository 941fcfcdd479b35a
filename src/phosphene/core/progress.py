"""Events of a training and their listeners: a console, a JSONL file, a page, a test.

A listener is called with each event, in the process that tells (rank 0). It ends the training after
the step in hand by raising :class:`StopTraining`; what was learned is judged and saved as at the
end of the budget. Where an event has a ``model``, it is the one that learns, to be looked at.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "Evaluated",
    "Finished",
    "Listener",
    "Resumed",
    "Saved",
    "Started",
    "StepEnd",
    "StopTraining",
    "TrainingEvent",
    "Warned",
]


class StopTraining(Exception):
    """Raised by a listener that has seen enough.

    Example:
        >>> def listener(event):
        ...     if isinstance(event, Evaluated) and event.scores.get("return", 0) >= 475:
        ...         raise StopTraining
    """


@dataclass(frozen=True)
class Started:
    """Training begins: what, where, how long; and which terms say most of it, and which little."""

    system: str
    data: str
    folder: str
    parameters: int
    examples: int
    budget: str
    threads: int
    device: str
    clock_name: str = "steps"
    headline: str = "loss"
    aside: tuple[str, ...] = ()
    model: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Resumed:
    """Training goes on from a checkpoint."""

    step: int
    seconds: float


@dataclass(frozen=True)
class StepEnd:
    """A logged step: means of the terms since the last one."""

    step: int
    seconds: float
    progress: float
    remaining: float | None
    terms: dict[str, float] = field(default_factory=dict)
    model: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Evaluated:
    """Validation scores at a step, and whether they are the best so far."""

    step: int
    seconds: float
    scores: dict[str, float]
    best: bool
    model: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Saved:
    """A checkpoint was written."""

    step: int
    path: str


@dataclass(frozen=True)
class Warned:
    """Something the user should know that does not stop the training."""

    message: str


@dataclass(frozen=True)
class Finished:
    """Training ended by ``budget``, ``patience``, ``stopped`` or ``interrupted``.

    Args:
        step: Cycles of the trainer: gradient steps of a model, turns of acting and learning of an
            agent.
        seconds: Of training and validation.
        reason: Why it ended.
        examples: Seen by each rank.
        clock: Steps of the source's own clock, taken in training; None where it has none.
        clock_name: What that clock counts: ``environment_steps`` of an agent.
        validation_clock: Those taken in validation.
        validation_name: What these are called: ``validation_steps`` of an agent.
        validation_seconds: Of all seconds, those in validation.
        model: The one that learned.
    """

    step: int
    seconds: float
    reason: str
    examples: tuple[int, ...] = ()
    clock: int | None = None
    clock_name: str = "steps"
    validation_clock: int | None = None
    validation_name: str = "validation_steps"
    validation_seconds: float = 0.0
    model: Any = field(default=None, repr=False, compare=False)

    @property
    def environment_steps(self) -> int | None:
        """The source's clock: of an agent, steps taken in training."""
        return self.clock

    @property
    def validation_steps(self) -> int | None:
        """Those taken in validation."""
        return self.validation_clock


TrainingEvent = Started | Resumed | StepEnd | Evaluated | Saved | Warned | Finished
Listener = Callable[[TrainingEvent], None]
