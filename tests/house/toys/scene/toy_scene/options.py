"""What may be said of scenes to the verbs."""

from dataclasses import dataclass
from typing import Annotated

from phosphene.core.ranges import Within
from phosphene.subjects.flags import metavar


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Where a field learns.

    Args:
        data: A scene, scene:three.
    """

    data: Annotated[str | None, metavar("SCENE")] = None


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """What is scored.

    Args:
        view: The picture that is scored; all by default.
        data: Another scene.
    """

    view: Annotated[int | None, metavar("K", default=False), Within(0, 2)] = None
    data: Annotated[str | None, metavar("SCENE", default=False)] = None


@dataclass(frozen=True, kw_only=True)
class SampleOptions:
    """What is rendered.

    Args:
        render: The pose.
    """

    render: Annotated[int, metavar("K"), Within(0, 2)] = 0


CompareOptions = TrainOptions
