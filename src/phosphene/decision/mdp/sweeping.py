"""Sweeps until the values are known to a tolerance: with a discount, and without one."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from phosphene.core.errors import ConfigError, DivergedError
from phosphene.decision.mdp.checks import as_array
from phosphene.decision.mdp.mdp import MDP
from phosphene.decision.mdp.solution import rounding
from phosphene.decision.mdp.undiscounted import Undiscounted, undiscounted
from phosphene.kernels.dynamic_programming import Process, Swept, gauss_seidel, greedy, sweeps

__all__ = ["Bounds", "Trace", "bounds_of", "converge", "initial", "refuse_unresolved"]

Floats = NDArray[np.float64]

_WORK = 2_000_000_000
"""Outcomes that are read between two chances to interrupt."""
_MOST = 1_000_000
"""Sweeps without a discount, before one is told that they come to no end."""


@dataclass(frozen=True)
class Bounds:
    """What the change of one sweep says of the solution (MacQueen, 1966; Porteus, 1971).

    If V' = T V and low <= V' - V <= high, then V' + factor low <= V* <= V' + factor high, with
    factor = b / (1 - b), where b = gamma times the greatest probability with which an episode goes
    on. Where episodes end the mass that carries a bound on may be less than b, which is why low and
    high are then stretched to hold 0: a bound that moves outward by b is still one.

    Args:
        factor: See above; infinite where b is 1.
        ends: Whether some episode ends.
        living: (S,), 1 where a bound is added, 0 in terminal states.
    """

    factor: float
    ends: bool
    living: Floats

    def halfwidth(self, low: float, high: float) -> float:
        """How far the middle of the bounds can be from the solution."""
        low, high = self.stretched(low, high)
        return 0.5 * self.factor * (high - low)

    def stretched(self, low: float, high: float) -> tuple[float, float]:
        """The bounds of the change that may be carried on."""
        return (min(low, 0.0), max(high, 0.0)) if self.ends else (low, high)

    def middle(self, values: Floats, low: float, high: float) -> Floats:
        """The middle between the bounds."""
        low, high = self.stretched(low, high)
        return values + 0.5 * self.factor * (low + high) * self.living


@dataclass(frozen=True)
class Trace:
    """Values, and the sweeps that computed them."""

    values: Floats
    changes: Floats
    path: list[Floats] = field(default_factory=list)
    undiscounted: Undiscounted | None = None

    @property
    def recorded(self) -> Floats | None:
        """The values after each sweep (sweeps, S), if they were recorded."""
        return np.stack(self.path) if self.path else None


def initial(mdp: MDP, start: object) -> Floats:
    """Values to begin with: 0, or what is given, and 0 in terminal states."""
    if start is None:
        return np.zeros(mdp.states)
    values = as_array(start, "initial")  # type: ignore[arg-type]
    if values.shape != (mdp.states,) or not np.isfinite(values).all():
        raise ConfigError(f"initial must be {mdp.states} finite values, got {values.shape}")
    return np.where(mdp.terminal, 0.0, values)


def bounds_of(mdp: MDP, gamma: float) -> Bounds:
    """The bounds that a sweep of this process gives."""
    living = (~mdp.terminal).astype(np.float64)
    if not mdp.episodic:
        carried = gamma
    else:
        mass = np.add.reduceat(mdp.weight, mdp.indptr[:-1])
        carried = gamma * min(1.0, float(mass.max()))
        # Rows sum to 1 up to rounding only.
        carried = gamma if carried > gamma * (1.0 - 1e-12) else carried
    factor = carried / (1.0 - carried) if carried < 1.0 else np.inf
    return Bounds(factor, mdp.episodic, living)


def converge(
    mdp: MDP,
    p: Process,
    tolerance: float,
    start: Floats,
    *,
    seidel: bool = False,
    count: int | None = None,
    record: bool = False,
) -> Trace:
    """Values within ``tolerance`` of V* in every state; or those after ``count`` plain sweeps.

    ``p`` is the process as kernels take it: to look through its tables is a tenth of a solution,
    and is done once.
    """
    if count is not None:
        return _count(p, start, count, seidel=seidel, record=record)
    bounds = bounds_of(mdp, p.gamma)
    if np.isinf(bounds.factor):
        if seidel:
            raise ConfigError("sweep='gauss-seidel' needs gamma below 1; use sweep='jacobi'")
        return _settle(p, undiscounted(mdp), tolerance, start, bounds.living, record)
    return _contract(p, bounds, tolerance, start, seidel=seidel, record=record)


def _at_once(p: Process, record: bool) -> int:
    return 1 if record else int(np.clip(_WORK // len(p.next), 50, 1000))


def _count(p: Process, values: Floats, count: int, *, seidel: bool, record: bool) -> Trace:
    """As many sweeps as were asked for, and no correction."""
    if count < 1:
        raise ConfigError(f"sweeps must be 1 or more, got {count}")
    changes: list[Floats] = []
    path: list[Floats] = []
    done = 0
    while done < count:
        many = min(count - done, _at_once(p, record))
        if seidel:
            swept = gauss_seidel(p, values, first=done, count=many)
        else:
            swept = sweeps(p, values, count=many, factor=1.0, tolerance=-1.0)
        values = swept.values
        changes.append(swept.changes)
        done += many
        if record:
            path.append(values)
    return Trace(values, np.concatenate(changes), path)


def _contract(
    p: Process, bounds: Bounds, tolerance: float, values: Floats, *, seidel: bool, record: bool
) -> Trace:
    """Sweeps until the bounds are close: only a discount, or a chance to end, makes them so."""
    changes: list[Floats] = []
    path: list[Floats] = []
    done, many = 0, _at_once(p, record)
    # In place there is no common change to correct for: the error is at most factor times it.
    least = tolerance / bounds.factor if bounds.factor > 0 else np.inf
    while True:
        if seidel:
            swept = gauss_seidel(p, values, first=done, count=many, least=least)
            error = bounds.factor * float(swept.changes[-1])
        else:
            swept = sweeps(
                p, values, count=many, tolerance=tolerance, factor=bounds.factor,
                carried=bounds.factor / (1.0 + bounds.factor), ends=bounds.ends,
            )  # fmt: skip
            error = bounds.halfwidth(swept.low, swept.high)
        values = swept.values
        changes.append(swept.changes)
        done += len(swept.changes)
        if record:
            path.append(values)
        refuse_diverged(values, error)
        refuse_unresolved(tolerance, error, 4.0 * bounds.factor * rounding(values, p.rewards))
        if error <= tolerance:
            break
    if not seidel:
        values = bounds.middle(values, swept.low, swept.high)
    return Trace(values, np.concatenate(changes), path)


def refuse_diverged(values: Floats, error: float) -> None:
    """Values that overflow come to no end."""
    if not (np.isfinite(error) and np.isfinite(values).all()):
        raise DivergedError("values grow beyond what float64 holds: scale the rewards down")


def refuse_unresolved(tolerance: float, error: float, floor: float) -> None:
    """A tolerance that rounding does not let one reach is refused, instead of sweeping forever.

    Nor is it reached where values stand still, in a fixed point of rounded arithmetic.
    """
    if tolerance < error <= floor or 16.0 * tolerance < floor:
        raise ConfigError(
            f"tolerance {tolerance:.3g} is finer than float64 resolves for values of this size: "
            f"it must be {2.0 * floor:.1e} or more"
        )


def _settle(
    p: Process,
    known: Undiscounted,
    tolerance: float,
    values: Floats,
    living: Floats,
    record: bool,
) -> Trace:
    """No discount: sweep until a value above and one below prove each other (gamma = 1).

    Values that hardly change may still be far from V*. So U = V + tolerance and L = V - tolerance
    are swept themselves until T U <= U and T L >= L everywhere, which puts V* between them
    (Hartmanns and Kaminski, 2020).
    """

    def backup(v: Floats, goal: float = -1.0, many: int = 1) -> Swept:
        if not known.members:
            return sweeps(p, v, count=many, tolerance=0.5 * goal, factor=1.0, ends=True)
        q = greedy(p, v).q
        assert q is not None
        new = known.lift(q)
        low, high = float((new - v).min()), float((new - v).max())
        return Swept(new, np.array([max(-low, high)]), low, high)

    changes: list[Floats] = []
    path: list[Floats] = []
    goal, many = 0.01 * tolerance, _at_once(p, record)
    while True:
        swept = backup(values, goal, many)
        values = swept.values
        changes.append(swept.changes)
        if record:
            path.append(values)
        refuse_diverged(values, float(swept.changes[-1]))
        floor = rounding(values, p.rewards)
        if swept.changes[-1] > max(goal, floor):
            if sum(map(len, changes)) >= _MOST:
                raise ConfigError(
                    f"after {_MOST:,} sweeps without a discount values still change by "
                    f"{swept.changes[-1]:.2g}: episodes last too long for sweeps; solve the "
                    "equations instead (linear_solve, policy_iteration), or take gamma below 1"
                )
            continue
        patience = 10 + sum(map(len, changes))
        found = _enclosed(lambda v: backup(v).values, values, tolerance * living, floor, patience)
        if found is not None:
            return Trace(found, np.concatenate(changes), path, known)
        refuse_unresolved(tolerance, float(swept.changes[-1]), floor)
        goal *= 0.1


def _enclosed(
    backup: Callable[[Floats], Floats], values: Floats, width: Floats, slack: float, patience: int
) -> Floats | None:
    """The middle between values above and below the solution; None if they are not found."""
    above, below = values + width, values - width
    for _ in range(patience):
        lower, higher = backup(above), backup(below)
        if (lower <= above + slack).all() and (higher >= below - slack).all():
            middle: Floats = 0.5 * (lower + higher)
            return middle
        above, below = np.minimum(above, lower), np.maximum(below, higher)
    return None
