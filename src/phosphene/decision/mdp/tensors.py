"""Decision processes from dense tensors and sparse matrices, as pymdptoolbox and QuantEcon take."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phosphene.core.errors import ConfigError
from phosphene.decision.mdp.checks import Outcomes, as_array, check_size

__all__ = ["expected_rewards", "read_rewards", "read_transitions"]


def read_transitions(transitions: Any) -> Outcomes:
    """p(s' | s, a) in any of the forms that :class:`MDP` takes."""
    if _sparse(transitions):
        return _stacked(transitions)
    if isinstance(transitions, Sequence | np.ndarray) and len(transitions) == 0:
        raise ConfigError("transitions are empty: there is no action")
    if isinstance(transitions, Sequence) and any(_sparse(m) for m in transitions):
        return _matrices([_to_csr(m, i) for i, m in enumerate(transitions)])
    dense = as_array(transitions, "transitions")
    if dense.ndim != 3 or dense.shape[1] != dense.shape[2]:
        raise ConfigError(f"transitions must have shape (A, S, S), got {dense.shape}")
    actions, states, _ = dense.shape
    check_size(states, actions)
    dense = dense.transpose(1, 0, 2).reshape(states * actions, states)
    # Not-a-number is not zero, so it is kept, and refused by name later.
    row, column = np.nonzero(dense)
    indptr = np.searchsorted(row, np.arange(states * actions + 1)).astype(np.int64)
    return Outcomes(states, actions, indptr, column.astype(np.int32), dense[row, column])


def _sparse(value: Any) -> bool:
    return hasattr(value, "tocsr") and hasattr(value, "nnz")


def _to_csr(matrix: Any, action: int) -> Any:
    if _sparse(matrix):
        return matrix.tocsr()
    # There is a sparse matrix beside it, so that scipy is there.
    from scipy.sparse import csr_array  # type: ignore[import-untyped]

    return csr_array(as_array(matrix, f"the matrix of action {action}"))


def _stacked(matrix: Any) -> Outcomes:
    """One sparse matrix whose row s * A + a is p(. | s, a)."""
    csr = matrix.tocsr()
    rows, states = csr.shape
    if states < 1 or rows % states or rows == 0:
        raise ConfigError(f"a sparse matrix must have shape (S * A, S), got {csr.shape}")
    check_size(states, rows // states)
    return Outcomes(
        states,
        rows // states,
        np.asarray(csr.indptr, dtype=np.int64),
        np.asarray(csr.indices, dtype=np.int32),
        np.asarray(csr.data, dtype=np.float64),
    )


def _matrices(parts: list[Any]) -> Outcomes:
    """A sparse matrix (S, S) for each action: their rows, taken in turns."""
    states, actions = parts[0].shape[0], len(parts)
    check_size(states, actions)
    for action, part in enumerate(parts):
        if part.shape != (states, states):
            need = f"({states}, {states})"
            raise ConfigError(f"the matrix of action {action} must be {need}, got {part.shape}")
    counts = np.stack([np.diff(part.indptr) for part in parts], axis=1).astype(np.int64)
    indptr = np.concatenate([[0], np.cumsum(counts.ravel())]).astype(np.int64)
    after = np.empty(indptr[-1], dtype=np.int32)
    p = np.empty(indptr[-1])
    for action, part in enumerate(parts):
        first = indptr[:-1].reshape(states, actions)[:, action]
        place = np.repeat(first - part.indptr[:-1], counts[:, action]) + np.arange(part.nnz)
        after[place], p[place] = part.indices, part.data
    return Outcomes(states, actions, indptr, after, p)


def read_rewards(
    rewards: Any, outcomes: Outcomes
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """Rewards as (S, A), or of each outcome where they depend on s'; the other is None."""
    states, actions = outcomes.states, outcomes.actions
    if isinstance(rewards, Sequence) and any(_sparse(m) for m in rewards):
        rewards = np.stack([m.toarray() if _sparse(m) else m for m in rewards])
    array = as_array(rewards, "rewards")
    if array.shape == (states,):
        return np.repeat(array, actions).reshape(states, actions), None
    if array.shape == (states, actions):
        return array, None
    if array.shape == (actions, states, states):
        rows = np.repeat(np.arange(states * actions), np.diff(outcomes.indptr))
        return None, array[rows % actions, rows // actions, outcomes.next]
    raise ConfigError(
        f"rewards must have shape ({states},), ({states}, {actions}) or "
        f"({actions}, {states}, {states}), got {array.shape}"
    )


def expected_rewards(outcomes: Outcomes, reward: NDArray[np.float64]) -> NDArray[np.float64]:
    """(S, A): sum of probability times reward over the outcomes of (s, a)."""
    size = outcomes.states * outcomes.actions
    rows = np.repeat(np.arange(size), np.diff(outcomes.indptr))
    total = np.bincount(rows, outcomes.probability * reward, size).astype(np.float64)
    return total.reshape(outcomes.states, outcomes.actions)
