"""A small canvas with smooth edges: drawn three times as large by Pillow, then scaled down."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

__all__ = ["Canvas", "Color", "Colors", "rotated"]

Color = tuple[int, int, int]
Point = tuple[float, float]
_SCALE = 3


class Colors:
    """The palette of all pictures."""

    paper: Color = (247, 247, 244)
    faint: Color = (226, 226, 220)
    line: Color = (176, 178, 180)
    ink: Color = (44, 50, 60)
    soft: Color = (92, 102, 118)
    blue: Color = (58, 110, 165)
    sky: Color = (190, 212, 232)
    orange: Color = (222, 120, 46)
    red: Color = (196, 64, 56)
    green: Color = (78, 146, 88)
    yellow: Color = (218, 178, 60)
    sand: Color = (214, 196, 164)
    night: Color = (26, 30, 38)


def rotated(points: Iterable[Point], angle: float, center: Point) -> list[Point]:
    """Points turned counterclockwise on the screen by an angle in radians, then moved.

    Example:
        >>> [(round(x), round(y)) for x, y in rotated([(1, 0)], math.pi / 2, (10, 10))]
        [(10, 9)]
    """
    c, s = math.cos(angle), math.sin(angle)
    return [(center[0] + c * x + s * y, center[1] - s * x + c * y) for x, y in points]


class Canvas:
    """A picture to draw on; coordinates are pixels from the upper left corner, in floats.

    Args:
        width: Of the picture.
        height: Of the picture.
        paper: The color of the ground.

    Example:
        >>> canvas = Canvas(40, 30)
        >>> canvas.disc((20, 15), 5, Colors.red)
        >>> canvas.picture().shape
        (30, 40, 3)
    """

    def __init__(self, width: int = 400, height: int = 300, paper: Color = Colors.paper) -> None:
        self.width, self.height = width, height
        self._image = Image.new("RGB", (width * _SCALE, height * _SCALE), paper)
        self._draw = ImageDraw.Draw(self._image)

    def polygon(self, points: Sequence[Point], fill: Color) -> None:
        """A filled polygon."""
        self._draw.polygon([(x * _SCALE, y * _SCALE) for x, y in points], fill=fill)

    def box(self, x: float, y: float, width: float, height: float, fill: Color) -> None:
        """A filled rectangle with its upper left corner at (x, y)."""
        corners = (x * _SCALE, y * _SCALE, (x + width) * _SCALE - 1, (y + height) * _SCALE - 1)
        self._draw.rectangle(corners, fill=fill)

    def rounded(
        self, x: float, y: float, width: float, height: float, radius: float, fill: Color
    ) -> None:
        """A filled rectangle with round corners."""
        corners = (x * _SCALE, y * _SCALE, (x + width) * _SCALE - 1, (y + height) * _SCALE - 1)
        self._draw.rounded_rectangle(corners, radius * _SCALE, fill=fill)

    def disc(self, center: Point, radius: float, fill: Color) -> None:
        """A filled circle."""
        (x, y), r = center, radius
        box = ((x - r) * _SCALE, (y - r) * _SCALE, (x + r) * _SCALE, (y + r) * _SCALE)
        self._draw.ellipse(box, fill=fill)

    def line(self, points: Sequence[Point], width: float, fill: Color) -> None:
        """A line through points, with round ends."""
        scaled = [(x * _SCALE, y * _SCALE) for x, y in points]
        self._draw.line(scaled, fill=fill, width=max(1, round(width * _SCALE)), joint="curve")
        for point in (points[0], points[-1]):
            self.disc(point, width / 2, fill)

    def arrow(self, start: Point, end: Point, width: float, fill: Color) -> None:
        """A line with a head at its end."""
        angle = math.atan2(start[1] - end[1], end[0] - start[0])
        self.line([start, end], width, fill)
        head = [(2.6 * width, 0.0), (-1.2 * width, -2.0 * width), (-1.2 * width, 2.0 * width)]
        self.polygon(rotated(head, angle, end), fill)

    def arc(
        self, center: Point, radius: float, start: float, sweep: float, width: float, fill: Color
    ) -> None:
        """An arc from an angle, counterclockwise by a sweep, in radians, with a head at its end."""
        steps = max(2, round(abs(sweep) * 12))
        angles = [start + sweep * k / steps for k in range(steps + 1)]
        points = [
            (center[0] + radius * math.cos(a), center[1] - radius * math.sin(a)) for a in angles
        ]
        self.line(points, width, fill)
        self.arrow(points[-2], points[-1], width, fill)

    def picture(self) -> NDArray[np.uint8]:
        """The picture (height, width, 3), codes 0..255."""
        small = self._image.resize((self.width, self.height), Image.Resampling.BOX)
        return np.asarray(small).copy()
