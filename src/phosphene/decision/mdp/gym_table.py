"""Decision processes from lists of outcomes, and from the tables of gymnasium's environments."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phosphene.core.errors import ConfigError
from phosphene.decision.mdp.checks import Outcomes, as_array, check_size
from phosphene.decision.mdp.grid import BUILT_IN, Grid, grid_of

__all__ = ["Table", "entered_only_to_end", "gym_outcomes", "sorted_outcomes"]


@dataclass(frozen=True)
class Table:
    """A list of outcomes by columns, in any order."""

    state: ArrayLike
    action: ArrayLike
    next: ArrayLike
    probability: ArrayLike
    reward: ArrayLike
    ends: ArrayLike | None = None


def _whole(value: ArrayLike, count: int, below: int, what: str) -> NDArray[np.int64]:
    """A column of whole numbers from 0 to below - 1."""
    array = as_array(value, what)
    if array.shape != (count,):
        raise ConfigError(f"{what} must have shape ({count},), got {array.shape}")
    fits = (array >= 0) & (array < below) & (array == np.floor(array))
    if not fits.all():
        i = int(np.flatnonzero(~fits)[0])
        raise ConfigError(
            f"{what} must be whole numbers, 0 to {below - 1}, got {array[i]:g} at {i}"
        )
    return array.astype(np.int64)


def sorted_outcomes(
    states: int, actions: int, table: Table
) -> tuple[Outcomes, NDArray[np.float64]]:
    """The outcomes by row s * actions + a, in the order of the list within a row; rewards."""
    check_size(states, actions)
    p = as_array(table.probability, "probability")
    if p.ndim != 1:
        raise ConfigError(f"probability must be one number for each outcome, got shape {p.shape}")
    count = len(p)
    state = _whole(table.state, count, states, "state")
    action = _whole(table.action, count, actions, "action")
    after = _whole(table.next, count, states, "next").astype(np.int32)
    reward = as_array(table.reward, "reward")
    if reward.shape != (count,):
        raise ConfigError(f"reward must have shape ({count},), got {reward.shape}")
    ends = None
    if table.ends is not None:
        ends = _whole(table.ends, count, 2, "ends").astype(np.bool_)
        ends = ends if ends.any() else None
    row = state * actions + action
    indptr = np.zeros(states * actions + 1, dtype=np.int64)
    np.cumsum(np.bincount(row, minlength=states * actions), out=indptr[1:])
    if count and (row[1:] < row[:-1]).any():
        order = np.argsort(row, kind="stable")
        after, p, reward = after[order], p[order], reward[order]
        ends = None if ends is None else ends[order]
    return Outcomes(states, actions, indptr, after, p, ends), reward


def entered_only_to_end(outcomes: Outcomes, start: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(S,): states that an episode never goes on from, as all that leads there ends it.

    gymnasium's tables have rows for them, which no episode meets; their value is 0.
    """
    assert outcomes.ends is not None
    owner = np.repeat(np.arange(outcomes.states * outcomes.actions), np.diff(outcomes.indptr))
    elsewhere = (owner // outcomes.actions != outcomes.next) & (outcomes.probability > 0)
    ended = np.bincount(outcomes.next[elsewhere & outcomes.ends], minlength=outcomes.states)
    passed = np.bincount(outcomes.next[elsewhere & ~outcomes.ends], minlength=outcomes.states)
    return np.asarray((ended > 0) & (passed == 0) & (start == 0))


def gym_outcomes(environment: Any, options: dict[str, Any]) -> dict[str, Any]:
    """The arguments of ``MDP.from_outcomes`` for an environment of gymnasium that has a table."""
    env = _made(environment, options)
    inner = env.unwrapped
    spec = getattr(env, "spec", None)
    name = getattr(spec, "id", None) or type(inner).__name__
    table = getattr(inner, "P", None)
    if table is None:
        raise ConfigError(
            f"{name} has no table of outcomes (env.unwrapped.P), so that it cannot be solved "
            "exactly; FrozenLake-v1, CliffWalking-v1 and Taxi-v4 have one"
        )
    if getattr(inner, "fickle_passenger", False):
        raise ConfigError(f"{name} with fickle_passenger does not follow its own table of outcomes")
    states, actions = len(table), len(table[0])
    listed = [
        (s, a, int(after), float(p), float(reward), bool(ends))
        for s in range(states)
        for a in range(actions)
        for p, after, reward, ends in table[s][a]
    ]
    columns = [np.array(column) for column in zip(*listed, strict=True)]
    start = np.asarray(inner.initial_state_distrib, dtype=np.float64)
    outcomes, _ = sorted_outcomes(states, actions, Table(*columns))
    return {
        "states": states,
        "actions": actions,
        **dict(
            zip(("state", "action", "next", "probability", "reward", "ends"), columns, strict=True)
        ),
        "terminal": None if outcomes.ends is None else entered_only_to_end(outcomes, start),
        "start": start,
        "limit": getattr(spec, "max_episode_steps", None),
        "name": "?".join(
            [name, *["&".join(f"{k}={v}" for k, v in options.items())][: len(options)]]
        ),
        "grid": _grid(inner),
    }


def _made(environment: Any, options: dict[str, Any]) -> Any:
    if not isinstance(environment, str):
        if options:
            raise ConfigError(f"options {sorted(options)} belong to an id, not to an environment")
        if not hasattr(environment, "unwrapped"):
            raise ConfigError(f"{type(environment).__name__} is no environment of gymnasium")
        return environment
    try:
        import gymnasium
    except ImportError as error:
        raise ConfigError(
            "gymnasium is not installed: pip install 'phosphene[rl]' installs it"
        ) from error
    try:
        return gymnasium.make(environment, **options)
    except (gymnasium.error.Error, TypeError, KeyError, ValueError) as error:
        text = str(error).splitlines()[0]
        raise ConfigError(f"gymnasium cannot make {environment!r}: {text}") from error


def _grid(inner: Any) -> Grid | None:
    """The map of an environment whose states are cells."""
    if hasattr(inner, "desc") and type(inner).__name__ == "FrozenLakeEnv":
        lines = ["".join(cell.decode() for cell in row) for row in inner.desc]
        return grid_of(lines, "left down right up")
    if type(inner).__name__ == "CliffWalkingEnv":
        return grid_of(BUILT_IN["cliff"].text.splitlines(), "up right down left")
    return None
