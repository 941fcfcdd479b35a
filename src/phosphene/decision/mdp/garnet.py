"""Random decision processes, made fast enough for a million states."""

import numpy as np
from numpy.typing import NDArray

from phosphene.core.errors import ConfigError
from phosphene.core.rng import mix
from phosphene.decision.mdp.checks import Outcomes, check_size

__all__ = ["garnet"]

_STREAM = 0x6761726E


def garnet(
    states: int, actions: int, branching: int, seed: int
) -> tuple[Outcomes, NDArray[np.float64]]:
    """Outcomes and rewards (S, A) of :meth:`MDP.random` (Archibald, McKinnon and Thomas, 1995)."""
    check_size(states, actions)
    if not 1 <= branching <= states:
        raise ConfigError(f"branching must be 1 to {states} of {states} states, got {branching}")
    rng = np.random.Generator(np.random.PCG64(mix(_STREAM, seed)))
    rows = states * actions
    after = _different(rng, rows, branching, states)
    # Exponentials divided by their sum are spaced as uniform cuts of [0, 1], and need no sort.
    p = rng.standard_exponential((rows, branching))
    p /= p.sum(1, keepdims=True)
    rewards = rng.standard_normal((states, actions))
    indptr = np.arange(rows + 1, dtype=np.int64) * branching
    return Outcomes(states, actions, indptr, after.ravel(), p.ravel()), rewards


def _different(
    rng: np.random.Generator, rows: int, branching: int, states: int
) -> NDArray[np.int32]:
    """(rows, branching): in each row as many different states, sorted."""
    if branching * branching > states:
        shuffled = rng.permuted(np.tile(np.arange(states, dtype=np.int32), (rows, 1)), axis=1)
        return np.sort(shuffled[:, :branching], axis=1)
    drawn = np.sort(rng.integers(states, size=(rows, branching), dtype=np.int32), axis=1)
    while True:
        again = np.flatnonzero((drawn[:, 1:] == drawn[:, :-1]).any(1))
        if len(again) == 0:
            return drawn
        new = rng.integers(states, size=(len(again), branching), dtype=np.int32)
        drawn[again] = np.sort(new, axis=1)
