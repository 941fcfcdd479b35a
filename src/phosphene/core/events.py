"""What a training tells whoever listens: a console, a JSONL file, a page, a test."""

from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = [
    "Evaluated",
    "Finished",
    "Listener",
    "Resumed",
    "Saved",
    "Started",
    "StepEnd",
    "TrainingEvent",
    "Warned",
]


@dataclass(frozen=True)
class Started:
    """Training begins: what, where, how long."""

    system: str
    data: str
    folder: str
    parameters: int
    examples: int
    budget: str
    threads: int
    device: str


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


@dataclass(frozen=True)
class Evaluated:
    """Validation scores at a step, and whether they are the best so far."""

    step: int
    seconds: float
    scores: dict[str, float]
    best: bool


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
    """Training ended by ``budget``, ``patience`` or ``interrupted``; examples seen by each rank."""

    step: int
    seconds: float
    reason: str
    examples: tuple[int, ...] = ()


TrainingEvent = Started | Resumed | StepEnd | Evaluated | Saved | Warned | Finished
Listener = Callable[[TrainingEvent], None]
