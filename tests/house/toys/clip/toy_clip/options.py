"""What may be said of clips to the verbs."""

from dataclasses import dataclass
from typing import Annotated

from phosphene.core.ranges import Within
from phosphene.subjects.flags import metavar


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What is followed.

    Args:
        data: A clip, clip:swing.
    """

    data: Annotated[str | None, metavar("CLIP")] = None


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """What is scored.

    Args:
        frame: One frame alone.
        data: Another clip.
    """

    frame: Annotated[int | None, metavar("K", default=False), Within(0, 15)] = None
    data: Annotated[str | None, metavar("CLIP", default=False)] = None


@dataclass(frozen=True, kw_only=True)
class SampleOptions:
    """What is drawn.

    Args:
        frames: How many frames.
    """

    frames: Annotated[int, metavar("N"), Within(1, 100)] = 3


CompareOptions = TrainOptions
