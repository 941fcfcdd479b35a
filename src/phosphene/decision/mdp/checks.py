"""Checks of the arrays of a decision process."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phosphene.core.errors import ConfigError
from phosphene.kernels.dynamic_programming import well_formed

__all__ = [
    "Outcomes",
    "as_array",
    "check_gamma",
    "check_numbers",
    "check_rows",
    "check_size",
    "check_start",
    "finish_terminal",
    "flags",
]

_ACCEPTED, _EXACT = 1e-6, 1e-12


@dataclass(frozen=True)
class Outcomes:
    """Where actions lead, sorted by row s * actions + a.

    Args:
        states: How many.
        actions: How many.
        indptr: (states * actions + 1,), int64.
        next: int32, one for each outcome.
        probability: float64, one for each outcome.
        ends: bool, one for each outcome; None where none ends.
    """

    states: int
    actions: int
    indptr: NDArray[np.int64]
    next: NDArray[np.int32]
    probability: NDArray[np.float64]
    ends: NDArray[np.bool_] | None = None

    def where(self, outcome: int) -> str:
        """The state and the action of an outcome, in words."""
        return self.named(int(np.searchsorted(self.indptr, outcome, side="right")) - 1)

    def named(self, row: int) -> str:
        """The state and the action of a row, in words."""
        return f"state {row // self.actions}, action {row % self.actions}"


def as_array(value: ArrayLike, what: str) -> NDArray[np.float64]:
    """Numbers as float64, whether from a tensor, an array or nested lists."""
    try:
        return np.ascontiguousarray(value, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"{what} must be an array of numbers: {error}") from error


def flags(value: ArrayLike | None, states: int, what: str) -> NDArray[np.bool_]:
    """One yes or no for each state, no by default."""
    if value is None:
        return np.zeros(states, dtype=bool)
    array = np.asarray(value)
    if array.shape != (states,):
        raise ConfigError(f"{what} must have shape ({states},), one of each state: {array.shape}")
    if array.dtype != np.bool_ and not np.isin(array, (0, 1)).all():
        raise ConfigError(f"{what} must be true or false for each state, not {array.dtype} numbers")
    return array.astype(np.bool_)


def check_size(states: int, actions: int) -> None:
    """There is something to decide, and numbers of states fit 32 bits."""
    if states < 1 or actions < 1:
        raise ConfigError(f"states and actions must be 1 or more, got {states} and {actions}")
    if states >= 2**31:
        raise ConfigError(f"states must be below 2^31, got {states}")


def check_gamma(gamma: float) -> float:
    """A discount from 0 to 1."""
    if not 0.0 <= gamma <= 1.0:
        raise ConfigError(f"gamma must be from 0 to 1, got {gamma}")
    return float(gamma)


def check_numbers(
    outcomes: Outcomes,
    rewards: NDArray[np.float64] | None,
    reward: NDArray[np.float64] | None,
) -> None:
    """Rewards are finite; where rows are not known to be sound, what is wrong with them."""
    if rewards is not None and not np.isfinite(rewards.sum()):
        for row in np.flatnonzero(~np.isfinite(rewards.ravel())).tolist():
            at = outcomes.named(row)
            raise ConfigError(f"rewards must be finite, got {rewards.flat[row]} at {at}")
    if reward is not None and not np.isfinite(reward.sum()):
        for i in np.flatnonzero(~np.isfinite(reward)).tolist():
            at = outcomes.where(i)
            raise ConfigError(f"rewards must be finite, got {reward[i]} at {at}")


def check_rows(outcomes: Outcomes) -> Outcomes:
    """Rows are distributions over states, named where they are not.

    A row that sums to 1 within 1e-6, as of float32, is normalized.
    """
    p, after = outcomes.probability, outcomes.next
    if well_formed(outcomes.states, outcomes.actions, outcomes.indptr, after, p):
        return outcomes
    # NaN fails every comparison: the two tests that a sound array passes find it too.
    if len(p) and not (p.min() >= 0.0 and p.max() <= 1.0 + _ACCEPTED):
        i = int(np.flatnonzero(~((p >= 0.0) & (p <= 1.0 + _ACCEPTED)))[0])
        place = f"{outcomes.where(i)}, next state {after[i]}"
        raise ConfigError(f"probabilities must be from 0 to 1, got {p[i]} at {place}")
    if len(after) and not (after.min() >= 0 and after.max() < outcomes.states):
        i = int(np.flatnonzero((after < 0) | (after >= outcomes.states))[0])
        at = f"{after[i]} at {outcomes.where(i)}"
        raise ConfigError(f"next states must be 0 to {outcomes.states - 1}, got {at}")
    return _normalized(outcomes)


def _normalized(outcomes: Outcomes) -> Outcomes:
    """Each row sums to 1, to rounding."""
    counts = np.diff(outcomes.indptr)
    filled = counts > 0
    sums = np.zeros(len(counts))
    sums[filled] = np.add.reduceat(outcomes.probability, outcomes.indptr[:-1][filled])
    off = np.abs(sums - 1.0)
    worst = float(off.max())
    if not worst <= _ACCEPTED:
        bad = int(np.flatnonzero(~(off <= _ACCEPTED))[0])
        what = f"probabilities sum to {sums[bad]:.9g}" if counts[bad] else "there is no outcome"
        raise ConfigError(f"{what} at {outcomes.named(bad)}, and must sum to 1")
    if worst <= _EXACT:
        return outcomes
    return replace(outcomes, probability=outcomes.probability / np.repeat(sums, counts))


def check_start(start: ArrayLike | None, terminal: NDArray[np.bool_]) -> NDArray[np.float64]:
    """A distribution over states; uniform over those that are not terminal by default."""
    if start is None:
        living = (~terminal if not terminal.all() else np.ones_like(terminal)).astype(np.float64)
        return np.asarray(living / living.sum())
    array = as_array(start, "start")
    if array.shape != terminal.shape:
        raise ConfigError(f"start must have shape {terminal.shape}, got {array.shape}")
    if not (array.min() >= 0 and abs(array.sum() - 1.0) <= _ACCEPTED):
        least, total = array.min(), array.sum()
        raise ConfigError(
            f"start must be probabilities that sum to 1: the least is {least:.6g}, "
            f"the sum {total:.9g}"
        )
    return array


def finish_terminal(
    outcomes: Outcomes, reward: NDArray[np.float64] | None, terminal: NDArray[np.bool_]
) -> tuple[Outcomes, NDArray[np.float64] | None]:
    """What leads to a terminal state ends; a row of one that is no distribution leads to itself."""
    rows = outcomes.states * outcomes.actions
    of_terminal = np.repeat(terminal, outcomes.actions)
    counts = np.diff(outcomes.indptr)
    owner = np.repeat(np.arange(rows), counts)
    sums = np.bincount(owner, outcomes.probability, rows)
    p, after, ends = outcomes.probability, outcomes.next, outcomes.ends
    replaced = of_terminal & ~(np.abs(sums - 1.0) <= _ACCEPTED)
    if replaced.any():
        keep, new = ~replaced[owner], np.flatnonzero(replaced)
        order = np.argsort(np.concatenate([owner[keep], new]), kind="stable")
        own = (new // outcomes.actions).astype(np.int32)
        p = np.concatenate([p[keep], np.ones(len(new))])[order]
        after = np.concatenate([after[keep], own])[order]
        if ends is not None:
            ends = np.concatenate([ends[keep], np.ones(len(new), dtype=bool)])[order]
        if reward is not None:
            reward = np.concatenate([reward[keep], np.zeros(len(new))])[order]
        counts = np.where(replaced, 1, counts)
        owner = np.repeat(np.arange(rows), counts)
    inside = (after >= 0) & (after < outcomes.states)
    final = of_terminal[owner] | (inside & terminal[np.where(inside, after, 0)])
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    ends = final if ends is None else ends | final
    return Outcomes(outcomes.states, outcomes.actions, indptr, after, p, ends), reward
