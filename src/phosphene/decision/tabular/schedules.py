"""Step sizes and exploration that change as learning goes on."""

import re
from dataclasses import dataclass

from phosphene.core.config import tagged
from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.kernels.tabular import ScheduleCode

__all__ = ["Schedule", "as_schedule", "exponential", "harmonic", "linear"]

_KINDS = {"constant": 1, "linear": 3, "exponential": 3, "harmonic": 2}
_UNITS = ("step", "episode", "visit")


@tagged
@dataclass(frozen=True)
class Schedule:
    """A number as a function of time, which counts steps, episodes, or visits of an entry from 0.

    Made by :func:`linear`, :func:`exponential` and :func:`harmonic`, or read from text:
    ``"linear:1:0.05:500episodes"``, ``"exponential:1:0.01:0.99episodes"``,
    ``"harmonic:1:0.8visits"``, with the numbers in the order of those functions.

    Args:
        kind: ``constant``, ``linear``, ``exponential`` or ``harmonic``.
        numbers: Those of the formula, in its order.
        per: What time counts: ``step``, ``episode`` or ``visit``.

    Raises:
        ConfigError: Numbers that make no schedule.

    Example:
        >>> epsilon = Schedule.parse("linear:1:0.1:10episodes")
        >>> epsilon.value(episode=0), epsilon.value(episode=5), epsilon.value(episode=99)
        (1.0, 0.55, 0.1)
    """

    kind: str
    numbers: tuple[float, ...]
    per: str = "step"

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise UnknownNameError("schedule", self.kind, _KINDS)
        if self.per not in _UNITS:
            raise UnknownNameError("unit of a schedule", self.per, _UNITS)
        numbers = tuple(float(v) for v in self.numbers)
        object.__setattr__(self, "numbers", numbers)
        if len(numbers) != _KINDS[self.kind]:
            raise ConfigError(
                f"a {self.kind} schedule has {_KINDS[self.kind]} numbers, got {len(numbers)}"
            )
        self._check()

    def _check(self) -> None:
        if not all(0 <= v < float("inf") for v in self.numbers):
            raise ConfigError(f"numbers of a schedule are 0 or more, got {self}")
        last = self.numbers[-1]
        if self.kind == "linear" and last <= 0:
            raise ConfigError(f"a linear schedule needs a length above 0, got {last:g}")
        if self.kind == "exponential" and not 0 < last <= 1:
            raise ConfigError(f"an exponential schedule needs a rate in (0, 1], got {last:g}")
        if self.kind == "harmonic" and self.numbers[0] <= 0:
            raise ConfigError(f"a harmonic schedule needs a scale above 0, got {self.numbers[0]:g}")

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the greatest value that it can take."""
        a, b = self.numbers[0], self.numbers[1] if len(self.numbers) > 1 else self.numbers[0]
        if self.kind == "harmonic":
            return (1.0, 1.0) if b == 0 else (5e-324, 1.0)
        return (b, max(a, b)) if self.kind == "exponential" else (min(a, b), max(a, b))

    def code(self) -> ScheduleCode:
        """As the kernel takes it."""
        kind = list(_KINDS).index(self.kind)
        return ScheduleCode(kind, _UNITS.index(self.per), *self.numbers)

    def value(self, *, step: int = 0, episode: int = 0, visit: int = 0) -> float:
        """The value before this step, episode or visit."""
        return self.code().at(step, episode, visit)

    @classmethod
    def parse(cls, text: str) -> "Schedule":
        """Read the text form."""
        found = re.fullmatch(r"([a-z]+)((?::[-+.\de]+?)+?)(step|episode|visit)s?", text.strip())
        if found is None:
            raise ConfigError(
                f"{text!r} is no schedule; write it as linear:1:0.05:500episodes, "
                "exponential:1:0.01:0.99episodes or harmonic:1:0.8visits"
            )
        try:
            numbers = tuple(float(v) for v in found[2][1:].split(":"))
        except ValueError:
            raise ConfigError(f"{found[2][1:]!r} in {text!r} are no numbers") from None
        return cls(found[1], numbers, found[3])

    def __str__(self) -> str:
        numbers = ":".join(f"{v:g}" for v in self.numbers)
        return numbers if self.kind == "constant" else f"{self.kind}:{numbers}{self.per}s"


def linear(start: float, end: float, length: float, *, per: str = "step") -> Schedule:
    """From ``start`` to ``end`` over ``length`` units, then ``end``."""
    return Schedule("linear", (start, end, length), per)


def exponential(start: float, floor: float, rate: float, *, per: str = "step") -> Schedule:
    """max(floor, start * rate^t)."""
    return Schedule("exponential", (start, floor, rate), per)


def harmonic(scale: float = 1.0, power: float = 1.0, *, per: str = "visit") -> Schedule:
    """(scale / (scale + t))^power: 1, then falling.

    Per visit with scale 1 it is 1 / n^power at the nth visit of an entry: with power 1 the table
    holds sample means; with a power in (1/2, 1] the sum of steps is infinite and that of their
    squares finite, under which Q-learning converges (Watkins and Dayan, 1992).

    Example:
        >>> [round(harmonic().value(visit=n), 3) for n in range(4)]
        [1.0, 0.5, 0.333, 0.25]
    """
    return Schedule("harmonic", (scale, power), per)


def as_schedule(
    name: str,
    value: "float | str | Schedule",
    *,
    low: float = 0.0,
    high: float = 1.0,
    open_low: bool = False,
    per_visit: bool = False,
) -> Schedule:
    """A number, text or a schedule as a schedule whose values all lie within bounds.

    Raises:
        ConfigError: Some value lies outside, or it counts visits where there is nothing visited.

    Example:
        >>> as_schedule("alpha", 0.5, open_low=True).numbers
        (0.5,)
    """
    if isinstance(value, str):
        value = Schedule.parse(value)
    if not isinstance(value, Schedule):
        number = float(value)
        if not (number > low or (number == low and not open_low)) or not number <= high:
            raise ConfigError(f"{name} must be in {_interval(low, high, open_low)}, got {value:g}")
        return Schedule("constant", (number,))
    least, most = value.bounds
    if not (least > low or (least == low and not open_low)) or not most <= high:
        raise ConfigError(
            f"{name} must stay in {_interval(low, high, open_low)}, but {value} goes from "
            f"{value.numbers[0]:g} to {least if value.numbers[0] > least else most:g}"
        )
    if value.per == "visit" and not per_visit:
        raise ConfigError(f"{name} cannot count visits of an entry; use steps or episodes")
    return value


def _interval(low: float, high: float, open_low: bool) -> str:
    end = f"{high:g}]" if high < float("inf") else "inf)"
    return f"{'(' if open_low else '['}{low:g}, {end}"
