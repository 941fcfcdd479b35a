"""What validation may cost: a share of the budget, counted as the budget is."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from phosphene.core.errors import RunError

__all__ = ["Allowance", "rows_of"]

_FORWARD = 3  # a training example costs about three times what a validation example does


@dataclass
class Allowance:
    """Environment steps of an agent whose budget is in steps, otherwise seconds.

    A part of it is earned as the budget is spent. A judgement is made when what is left of that
    holds one of the expected cost, and when one for the end of the training remains. A judgement
    that would cost more than was earned is broken off, and counts for nothing but its cost. Where
    steps are counted, all of this is a function of the training alone, and of no clock.

    Args:
        total: The share of the budget, in its unit.
        clocked: Whether the unit is seconds.
        last: How many judgements the end of the training asks for.
        cost: What a judgement is expected to take.
        spent: What all judgements took.
        met: What the last one took, or what one that was broken off is taken to need.

    Example:
        >>> allowance = Allowance(total=100.0, clocked=False, cost=30.0)
        >>> allowance.holds(0.2), allowance.holds(0.4)
        (False, True)
        >>> allowance.charge(80.0)
        >>> allowance.holds(1.0)
        False
    """

    total: float
    clocked: bool
    last: int = 1
    cost: float = 0.0
    spent: float = 0.0
    met: float = 0.0

    def holds(self, progress: float) -> bool:
        """Whether a judgement may be made after that part of the budget."""
        kept = self.spent + self.cost * (1 + self.last)
        return self.spent + self.cost <= self.total * progress and kept <= self.total

    def left(self, progress: float) -> float:
        """What a judgement may take after that part of the budget; of the last one, all."""
        return self.total * progress - self.spent

    def charge(self, cost: float, complete: bool = True) -> None:
        """Count a judgement; one that was broken off is taken to need twice what it took."""
        self.spent += cost
        self.met = self.cost = cost if complete else max(2 * cost, self.cost)

    def state_dict(self) -> dict[str, float]:
        """What it has come to."""
        return {"spent": self.spent, "cost": self.cost, "met": self.met}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        found = {name: float(state[name]) for name in ("spent", "cost", "met")}
        for name, value in found.items():
            if not 0 <= value < math.inf:
                raise RunError(f"validation's {name!r} cannot be {value:g}")
        self.spent, self.cost, self.met = found["spent"], found["cost"], found["met"]


def rows_of(
    share: float, steps: int, batch: int, rows: int, *, every: int | None, usual: int, last: int = 1
) -> tuple[int, int]:
    """Examples of a judgement, and steps between two, for a training of so many steps.

    A validation example costs a third of a training example: it has no gradient. Where the steps
    between two are given, the examples become fewer; else there are four judgements at least.

    Args:
        share: Of the training, that all judgements may cost.
        steps: Of the training.
        batch: Training examples in a step.
        rows: Examples that there are.
        every: Steps between judgements, where they were given.
        usual: Steps between judgements otherwise, where the share holds as many.
        last: How many judgements the end asks for.

    Example:
        >>> rows_of(0.25, steps=1000, batch=100, rows=2000, every=10, usual=200)
        (750, 10)
        >>> rows_of(0.25, steps=20, batch=100, rows=2000, every=None, usual=2)
        (375, 5)
    """
    affordable = _FORWARD * share * steps * batch
    if every is not None:
        return max(1, min(rows, int(affordable * every / steps))), every
    rows = max(1, min(rows, int(affordable / (3 + last))))
    return rows, max(usual, math.ceil(rows * steps / affordable))
