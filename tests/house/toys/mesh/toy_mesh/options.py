"""What may be said of meshes to the verbs."""

from dataclasses import dataclass
from typing import Annotated

from phosphene.core.ranges import Within
from phosphene.subjects.flags import metavar


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What is fitted.

    Args:
        data: A mesh, mesh:box.
    """

    data: Annotated[str | None, metavar("MESH")] = None


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """What is scored.

    Args:
        side: One axis alone.
        data: Another mesh.
    """

    side: Annotated[int | None, metavar("K", default=False), Within(0, 1)] = None
    data: Annotated[str | None, metavar("MESH", default=False)] = None


@dataclass(frozen=True, kw_only=True)
class SampleOptions:
    """What is drawn.

    Args:
        points: How many points.
    """

    points: Annotated[int, metavar("N"), Within(1, 100)] = 3


CompareOptions = TrainOptions
