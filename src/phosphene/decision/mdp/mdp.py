"""A Markov decision process with finitely many states and actions, as flat arrays."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phosphene.core.errors import ConfigError
from phosphene.decision.mdp.checks import (
    Outcomes,
    check_numbers,
    check_rows,
    check_start,
    finish_terminal,
    flags,
)
from phosphene.decision.mdp.garnet import garnet
from phosphene.decision.mdp.grid import Grid, grid_outcomes
from phosphene.decision.mdp.gym_table import Table, gym_outcomes, sorted_outcomes
from phosphene.decision.mdp.tensors import expected_rewards, read_rewards, read_transitions

__all__ = ["MDP"]


class MDP:
    """States, actions, where an action leads and what it earns (Bellman, 1957; Puterman, 1994).

    In state s an agent takes an action a; with probability p(s', r | s, a) it earns r and is in s'.
    Its aim is the discounted return G = r_0 + gamma r_1 + gamma^2 r_2 + ..., which stops where an
    outcome **ends** the episode: beyond it, and in a terminal state, nothing more is earned.

    The outcomes of (s, a) are ``next[i]``, ``probability[i]``, ``outcome_reward[i]`` and
    ``ends[i]`` for i from ``indptr[s * actions + a]`` up to ``indptr[s * actions + a + 1]``. All
    actions are allowed in all states. Arrays are shared, not copied, where their types allow it: do
    not write to them.

    Args:
        transitions: p(s' | s, a): dense (A, S, S); A matrices (S, S), dense or sparse (scipy); or
            one sparse matrix (S * A, S) whose row s * A + a is p(. | s, a).
        rewards: (S,), (S, A), or (A, S, S) for a reward that depends on s'.
        terminal: (S,), bool: states whose value is 0; what leads there ends the episode. Their own
            rows of ``transitions`` are not read.
        start: (S,), the probability that an episode begins in a state; uniform over the states
            that are not terminal by default.
        limit: Steps after which an episode is cut off; None for no limit. Solvers other than
            ``backward_induction`` leave it out of account.
        name: What it is called.

    Attributes:
        states: How many states, S.
        actions: How many actions, A.
        indptr: (S * A + 1,), int64.
        next: int32, one for each outcome; so are those below.
        probability: float64. Each row sums to 1 (to 1e-12; rows within 1e-6 are normalized).
        rewards: (S, A), the expected reward of an action; 0 in terminal states.
        terminal: (S,), bool.
        start: (S,), float64.
        grid: Where states are cells of a map, the map; else None.

    Raises:
        ConfigError: A row that is no distribution, a reward that is not a number, a shape that does
            not fit; the sentence names the state and the action.

    Example:
        >>> stay, go = [[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]
        >>> mdp = MDP([stay, go], [[0.0, 5.0], [0.0, 0.0]], terminal=[False, True])
        >>> mdp
        MDP('mdp', 2 states, 2 actions, 1 terminal)
        >>> mdp.outcomes(0, 1)
        [(1.0, 1, 5.0, True)]
    """

    def __init__(
        self,
        transitions: Any,
        rewards: Any,
        *,
        terminal: ArrayLike | None = None,
        start: ArrayLike | None = None,
        limit: int | None = None,
        name: str = "mdp",
    ) -> None:
        outcomes = read_transitions(transitions)
        read = read_rewards(rewards, outcomes)
        end = flags(terminal, outcomes.states, "terminal")
        self._fill(outcomes, *read, end, start, limit=limit, name=name)

    def _fill(
        self,
        outcomes: Outcomes,
        rewards: NDArray[np.float64] | None,
        reward: NDArray[np.float64] | None,
        terminal: NDArray[np.bool_],
        start: ArrayLike | None,
        *,
        limit: int | None,
        name: str,
        grid: Grid | None = None,
        checked: bool = False,
    ) -> None:
        """Check everything and keep it; ``reward`` is per outcome, or None where it is (S, A)."""
        if terminal.any():
            outcomes, reward = finish_terminal(outcomes, reward, terminal)
        if not checked:
            check_numbers(outcomes, rewards, reward)
            outcomes = check_rows(outcomes)
        if rewards is None:
            assert reward is not None
            rewards = expected_rewards(outcomes, reward)
        if terminal.any():
            rewards = np.where(terminal[:, None], 0.0, rewards)
        if limit is not None and limit < 1:
            raise ConfigError(f"limit must be 1 step or more, or None, got {limit}")
        self.name, self.limit, self.grid = name, limit, grid
        self.states, self.actions = outcomes.states, outcomes.actions
        self.indptr, self.next = outcomes.indptr, outcomes.next
        self.probability, self.rewards = outcomes.probability, rewards
        self.terminal = terminal
        self.start = check_start(start, terminal)
        self._reward, self._ends = reward, outcomes.ends

    @cached_property
    def outcome_reward(self) -> NDArray[np.float64]:
        """What each outcome earns; made when first asked for where rewards were given as (S, A)."""
        if self._reward is not None:
            return self._reward
        return np.repeat(self.rewards.ravel(), np.diff(self.indptr))

    @cached_property
    def ends(self) -> NDArray[np.bool_]:
        """Whether each outcome ends the episode."""
        return np.zeros(len(self.next), dtype=bool) if self._ends is None else self._ends

    @cached_property
    def weight(self) -> NDArray[np.float64]:
        """Each outcome's probability, 0 where nothing follows: what discounts the value of s'.

        With it q(s, a) = rewards(s, a) + gamma sum_i weight_i V(next_i), terminal states and ends
        included.
        """
        if self._ends is None:
            return self.probability
        return np.where(self._ends, 0.0, self.probability)

    @property
    def episodic(self) -> bool:
        """Whether some outcome ends an episode."""
        return self._ends is not None

    @classmethod
    def from_outcomes(
        cls,
        states: int,
        actions: int,
        state: ArrayLike,
        action: ArrayLike,
        next: ArrayLike,
        probability: ArrayLike,
        reward: ArrayLike,
        ends: ArrayLike | None = None,
        *,
        terminal: ArrayLike | None = None,
        start: ArrayLike | None = None,
        limit: int | None = None,
        name: str = "mdp",
        grid: Grid | None = None,
    ) -> "MDP":
        """From a list of outcomes, in any order; several may share (s, a) and even s'.

        So rewards may be random: two outcomes of one s' with different rewards. A state all of
        whose outcomes end and earn nothing is terminal, as are those that ``terminal`` names.

        Example:
            >>> coin = MDP.from_outcomes(2, 1, [0, 0], [0, 0], [1, 1], [0.5, 0.5], [1.0, -1.0],
            ...                          terminal=[False, True])
            >>> coin.rewards.tolist(), coin.outcomes(0, 0)
            ([[0.0], [0.0]], [(0.5, 1, 1.0, True), (0.5, 1, -1.0, True)])
        """
        table = Table(state, action, next, probability, reward, ends)
        outcomes, sorted_reward = sorted_outcomes(states, actions, table)
        named = flags(terminal, states, "terminal")
        named |= _earns_nothing(outcomes, sorted_reward)
        mdp = cls.__new__(cls)
        mdp._fill(
            outcomes, None, sorted_reward, named, start, limit=limit, name=name, grid=grid
        )  # fmt: skip
        return mdp

    @classmethod
    def from_gym(cls, environment: Any, **options: Any) -> "MDP":
        """The table of a gymnasium environment that has one (FrozenLake, CliffWalking, Taxi).

        Args:
            environment: Its id, or an environment.
            options: For ``gymnasium.make``: ``map_name="8x8"``, ``is_slippery=False``.

        Raises:
            ConfigError: gymnasium is not installed or knows no such id, or there is no table.
        """
        return cls.from_outcomes(**gym_outcomes(environment, options))

    @classmethod
    def from_grid(
        cls,
        text: str,
        *,
        slip: float | tuple[float, float, float] | None = None,
        step: float | None = None,
        goal: float | None = None,
        hole: float | None = None,
        cliff: float | None = None,
        order: str | None = None,
        limit: int | None = None,
        name: str | None = None,
    ) -> "MDP":
        """A map of cells: one state a cell, row by row, and four actions.

        ``.`` (or ``F``) is free, ``S`` a start, ``G`` a goal and ``H`` a hole, both of which end
        the episode, ``C`` a cliff, from which one is sent back to the start, and ``#`` a wall. Who
        walks into a wall or off the map stays. Wall cells are states that nothing leads to.

        Args:
            text: The map, a line for each row; or the name of one that is built in, with its
                settings as defaults: ``frozen-lake-4x4``, ``frozen-lake-8x8``, ``cliff``, which
                are gymnasium's, and ``gridworld`` (Sutton and Barto, 2018, example 4.1).
            slip: Probability of sliding to each side, at right angles to where one meant to go;
                or the three probabilities (before, meant, after) in the cyclic order of actions.
            step: Reward of a step to any other cell; 0.
            goal: Reward of the step into a goal; 1.
            hole: Reward of the step into a hole; 0.
            cliff: Reward of the step off the cliff; -100.
            order: What the actions 0 to 3 are: ``"left down right up"`` as in FrozenLake, the
                default, or ``"up right down left"`` as in CliffWalking.
            limit: Steps after which an episode is cut off.
            name: What it is called.

        Raises:
            ConfigError: The map cannot be read; the sentence names the line and the character.

        Example:
            >>> walk = MDP.from_grid("G..S..G", step=-1, goal=0)
            >>> walk.states, walk.terminal.nonzero()[0].tolist(), int(walk.start.argmax())
            (7, [0, 6], 3)
        """
        given = {
            "slip": slip, "step": step, "goal": goal, "hole": hole, "cliff": cliff, "order": order,
            "limit": limit, "name": name,
        }  # fmt: skip
        return cls.from_outcomes(**grid_outcomes(text, given))

    @classmethod
    def random(
        cls,
        states: int,
        actions: int,
        *,
        seed: int = 0,
        branching: int = 5,
        terminal: int = 0,
        name: str = "garnet",
    ) -> "MDP":
        """A random process (a garnet; Archibald, McKinnon and Thomas, 1995).

        Each (s, a) leads to ``branching`` different states, with probabilities that cut [0, 1] at
        uniform points, and earns a standard normal reward.

        Args:
            states: How many states.
            actions: How many actions.
            seed: Decides everything.
            branching: How many states follow each (s, a).
            terminal: How many of the states, the last ones, are terminal.
            name: What it is called.

        Example:
            >>> MDP.random(1000, 4, seed=0, terminal=3)
            MDP('garnet', 1000 states, 4 actions, 3 terminal)
        """
        outcomes, rewards = garnet(states, actions, branching, seed)
        if not 0 <= terminal < states:
            raise ConfigError(f"terminal must be 0 to {states - 1} of {states} states: {terminal}")
        mdp = cls.__new__(cls)
        end = np.arange(states) >= states - terminal
        mdp._fill(outcomes, rewards, None, end, None, limit=None, name=name, checked=True)
        return mdp

    def outcomes(self, state: int, action: int) -> list[tuple[float, int, float, bool]]:
        """What (s, a) may lead to, as gymnasium's ``P``: (probability, next, reward, ends) each."""
        row = state * self.actions + action
        i = slice(int(self.indptr[row]), int(self.indptr[row + 1]))
        columns: Sequence[NDArray[Any]] = (
            self.probability[i], self.next[i], self.outcome_reward[i], self.ends[i],
        )  # fmt: skip
        return list(zip(*(column.tolist() for column in columns), strict=True))

    def matrices(self) -> NDArray[np.float64]:
        """p(s' | s, a) as a dense array (A, S, S); terminal states lead to themselves.

        Raises:
            ConfigError: It would take more than 4 GiB.
        """
        size = self.actions * self.states**2
        if size > 2**29:
            raise ConfigError(f"{self.states} states are too many for a dense array of {size}")
        rows = np.repeat(np.arange(self.states * self.actions), np.diff(self.indptr))
        dense = np.zeros((self.actions, self.states, self.states))
        place = (rows % self.actions, rows // self.actions, self.next)
        np.add.at(dense, place, self.probability)
        ended = np.flatnonzero(self.terminal)
        dense[:, ended] = 0.0
        dense[:, ended, ended] = 1.0
        return dense

    def with_outcomes(
        self,
        outcomes: Outcomes,
        rewards: NDArray[np.float64],
        reward: NDArray[np.float64] | None,
    ) -> "MDP":
        """The same states, start and map with other actions, whose outcomes are known to be sound.

        Args:
            outcomes: Where actions lead.
            rewards: (S, A), expected.
            reward: Of each outcome; None where it is that of (s, a).
        """
        mdp = MDP.__new__(MDP)
        mdp._fill(
            outcomes, rewards, reward, self.terminal, self.start,
            limit=self.limit, name=self.name, grid=self.grid, checked=True,
        )  # fmt: skip
        return mdp

    def __repr__(self) -> str:
        ended = int(self.terminal.sum())
        return (
            f"MDP({self.name!r}, {self.states} states, {self.actions} actions"
            f"{f', {ended} terminal' if ended else ''})"
        )


def _earns_nothing(outcomes: Outcomes, reward: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(S,): states all of whose outcomes end the episode and earn nothing."""
    if outcomes.ends is None:
        return np.zeros(outcomes.states, dtype=bool)
    goes_on = ~outcomes.ends | (reward != 0)
    rows = np.repeat(np.arange(outcomes.states * outcomes.actions), np.diff(outcomes.indptr))
    lives = np.bincount(rows[goes_on] // outcomes.actions, minlength=outcomes.states) > 0
    known = np.diff(outcomes.indptr).reshape(outcomes.states, -1).min(1) > 0
    return np.asarray(known & ~lives)
