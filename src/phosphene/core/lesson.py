"""What a lesson shows: a few sentences, numbers, and panels that are drawn beside one another.

A lesson is a row of kind ``lesson`` in a family's ``systems.py`` and a function
``demonstrate(*, seed=0, ...) -> Lesson``. Its other keyword arguments, which have defaults, become
options of ``phosphene learn``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

__all__ = ["Bars", "Curves", "Heat", "Images", "Lesson", "Panel", "Plane", "Points"]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One picture of a lesson.

    Args:
        title: Above it.
    """

    title: str


@dataclass(frozen=True, kw_only=True)
class Curves(Panel):
    """Lines over a common axis.

    Args:
        x: Label of the horizontal axis.
        y: Label of the vertical axis.
        lines: Name to the values of x and of y.
        log: Axes with logarithmic scales: ``""``, ``"x"``, ``"y"`` or ``"xy"``.
        dashed: Names of lines that are bounds or predictions.
    """

    x: str
    y: str
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]]
    log: str = ""
    dashed: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Points(Panel):
    """Points in the plane, and perhaps lines.

    Args:
        x: Label of the horizontal axis.
        y: Label of the vertical axis.
        sets: Name to points (n, 2).
        lines: Name to points (n, 2) that are joined.
        equal: One unit is as long on both axes, so that a circle is round.
    """

    x: str = ""
    y: str = ""
    sets: Mapping[str, Tensor] = field(default_factory=dict)
    lines: Mapping[str, Tensor] = field(default_factory=dict)
    equal: bool = False


@dataclass(frozen=True, kw_only=True)
class Plane(Panel):
    """A square of the plane: a density, and on it arrows, paths and points.

    Args:
        size: The square is [-size, size]^2.
        density: Values (n, n) at 0 or above, from the lowest row up; more is darker.
        arrows: (k, 4): where they begin, and how far they reach.
        paths: (k, steps, 2), each with a ring where it begins and a dot where it ends.
        sets: Name to points (k, 2).
    """

    size: float
    density: Tensor | None = None
    arrows: Tensor | None = None
    paths: Tensor | None = None
    sets: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Images(Panel):
    """Pictures beside one another.

    Args:
        images: (n, height, width) or (n, height, width, 3), each scaled to its own range if gray;
            one of a single value is drawn mid-gray, with the value in it.
        names: Below each.
        columns: Pictures in a row; 0 for all.
    """

    images: Tensor
    names: Sequence[str] = ()
    columns: int = 0


@dataclass(frozen=True, kw_only=True)
class Heat(Panel):
    """A matrix as colors, with its values where it is small.

    Args:
        values: (rows, columns).
        x: Label of the horizontal axis.
        y: Label of the vertical axis.
        rows: Names of the rows; their numbers by default.
        columns: Names of the columns; their numbers by default.
    """

    values: Tensor
    x: str = ""
    y: str = ""
    rows: Sequence[str] = ()
    columns: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Bars(Panel):
    """Values by name.

    Args:
        values: Name to value.
        x: Label of the axis of values.
    """

    values: Mapping[str, float]
    x: str = ""


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What a demonstration found.

    Args:
        title: A few words.
        text: What was done and what is seen, in a few sentences.
        numbers: By name, with units in the name: what ``numbers.json`` says.
        panels: What is drawn, in order.

    Example:
        >>> lesson = Lesson(title="Sum", text="1 + 1 = 2.", numbers={"sum": 2.0})
        >>> lesson.numbers["sum"]
        2.0
    """

    title: str
    text: str
    numbers: Mapping[str, Any]
    panels: Sequence[Panel] = ()
