"""What may be said of pairs to the verbs."""

from dataclasses import dataclass
from typing import Annotated

from phosphene.core.ranges import Within
from phosphene.subjects.flags import metavar


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What is translated.

    Args:
        data: Pairs, pairs:shift.
    """

    data: Annotated[str | None, metavar("PAIRS")] = None


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """What is scored.

    Args:
        pair: One pair alone.
        data: Other pairs.
    """

    pair: Annotated[int | None, metavar("K", default=False), Within(0, 7)] = None
    data: Annotated[str | None, metavar("PAIRS", default=False)] = None


@dataclass(frozen=True, kw_only=True)
class SampleOptions:
    """What is drawn.

    Args:
        number: How many.
    """

    number: Annotated[int, metavar("N"), Within(1, 100)] = 3


CompareOptions = TrainOptions
