"""Undiscounted total rewards: when they exist, and which states must be merged.

With gamma = 1 the equation V = T V may have no solution, or many. Say that a set of states with
some of their actions is an **end component** if one can stay in it forever by these actions, and go
from each of its states to each other (de Alfaro, 1997). Then

- where one can stay and earn, V is infinite;
- where all rewards of the component are 0, V(s) = V(s') = c solves its equations for any c. The
  true value is that of the best way out, or 0, that of staying. Such components are taken as one
  state with the additional action of staying (Haddad and Monmege, 2018);
- where rewards are 0 or less, and not all 0, staying forever earns minus infinity, so that no best
  policy stays (Bertsekas and Tsitsiklis, 1991). Then there must be a way to the end.

After this T has one fixed point, and any V with T V <= V is above it, any with T V >= V below.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phosphene.core.errors import ConfigError
from phosphene.decision.mdp.mdp import MDP

__all__ = ["Undiscounted", "undiscounted"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Undiscounted:
    """Components without rewards, and a policy that ends.

    Args:
        component: (S,), the number of the component of each state; -1 where it is in none.
        inside: (S, A), bool: the actions that stay in the component.
        members: The states of each component.
        policy: (S,), one that reaches an end, or a component, with probability 1 from everywhere.
        after: Edges between states, for routes inside of components.
    """

    component: Integers
    inside: Flags
    members: tuple[Integers, ...]
    policy: Integers
    after: "_Edges"

    def lift(self, q: Floats) -> Floats:
        """(S,): max_a q, the members of a component sharing the best way out, or 0 for staying."""
        best: Floats = np.where(self.inside, 0.0, q).max(1)
        for states in self.members:
            best[states] = best[states].max()
        return best

    def improve(self, q: Floats, policy: Integers, slack: float) -> Integers:
        """A greedy policy; the old action stays where it is within ``slack`` of the best."""
        good = q >= q.max(1, keepdims=True) - slack
        kept = good[np.arange(len(q)), policy]
        chosen: Integers = np.where(kept, policy, good.argmax(1)).astype(np.int64)
        out = np.where(self.inside, -np.inf, q)
        for states in self.members:
            chosen[states] = self._route(states, out, policy, slack)
        return chosen

    def _route(self, states: Integers, out: Floats, policy: Integers, slack: float) -> Integers:
        """The actions of a component's states: to the best way out, or round and round."""
        best = float(out[states].max())
        stay: Integers = self.inside[states].argmax(1).astype(np.int64)
        leaves = ~self.inside[states, policy[states]]
        now = out[states, policy[states]][leaves].max() if leaves.any() else 0.0
        if now >= max(best, 0.0) - slack:
            return np.asarray(policy[states])
        if best <= 0.0:
            return stay
        place = int(out[states].max(1).argmax())
        goal = np.zeros(len(self.component), dtype=np.bool_)
        goal[states[place]] = True
        route = self.after.route(goal, self.inside)[states]
        route[place] = out[states[place]].argmax()
        return np.asarray(np.where(route < 0, stay, route))


def undiscounted(mdp: MDP) -> Undiscounted:
    """What must be known of a process before it is solved with gamma = 1.

    Raises:
        ConfigError: Its total rewards are infinite, or need not exist; the sentence names states.
    """
    edges = _Edges(mdp)
    goes_on = ~edges.rows_with(mdp.ends) & ~mdp.terminal[:, None]
    component, inside = edges.components(goes_on & (mdp.rewards == 0.0))
    _refuse_earning_forever(mdp, edges, goes_on, inside)
    count = int(component.max()) + 1
    members = tuple(np.flatnonzero(component == c) for c in range(count))
    ending = edges.rows_with(mdp.ends) & ~mdp.terminal[:, None]
    finished = mdp.terminal | ending.any(1) | (component >= 0)
    policy = edges.route(finished, ~mdp.terminal[:, None] & np.ones_like(ending))
    policy = np.where(component >= 0, inside.argmax(1), policy)
    policy = np.where(ending.any(1) & (component < 0), ending.argmax(1), policy)
    policy[mdp.terminal] = 0
    lost = np.flatnonzero(policy < 0)
    if len(lost):
        raise ConfigError(
            f"gamma = 1 needs episodes that end: from state {lost[0]} of {mdp.name} no sequence of "
            "actions ends one, and its rewards go on forever; choose gamma below 1"
        )
    return Undiscounted(component, inside, members, policy, edges)


def _refuse_earning_forever(mdp: MDP, edges: "_Edges", goes_on: Flags, free: Flags) -> None:
    """Where one can stay, nothing may be earned."""
    component, inside = edges.components(goes_on)
    gains = inside & (mdp.rewards > 0.0)
    if not gains.any():
        return
    state, action = (int(i) for i in np.argwhere(gains)[0])
    mine = (component == component[state])[:, None] & inside & ~free
    losses = bool((mdp.rewards[mine] < 0.0).any())
    what = "rewards of both signs, whose sum need not exist" if losses else "an infinite reward"
    raise ConfigError(
        f"gamma = 1 needs total rewards that are finite: in {mdp.name} one can return to state "
        f"{state} and its action {action} forever, for {what}; choose gamma below 1"
    )


class _Edges:
    """From which rows and states which states are reached with a probability above 0."""

    def __init__(self, mdp: MDP) -> None:
        self.states, self.actions = mdp.states, mdp.actions
        rows = np.repeat(np.arange(mdp.states * mdp.actions), np.diff(mdp.indptr))
        real = mdp.weight > 0
        self.row, self.next = rows[real], mdp.next[real].astype(np.int64)
        self._all_rows, self._real = rows, mdp.probability > 0

    def rows_with(self, marked: Flags) -> Flags:
        """(S, A): rows with a marked outcome."""
        found = np.zeros(self.states * self.actions, dtype=np.bool_)
        found[self._all_rows[marked & self._real]] = True
        return found.reshape(self.states, self.actions)

    def components(self, allowed: Flags) -> tuple[Integers, Flags]:
        """The maximal end components of these rows: each state's number or -1, and their rows."""
        allowed = allowed.ravel().copy()
        while True:
            used = allowed[self.row]
            number = _strong(self.row[used] // self.actions, self.next[used], self.states)
            leaves = used & (number[self.row // self.actions] != number[self.next])
            if not leaves.any():
                break
            allowed[self.row[leaves]] = False
        inside = allowed.reshape(self.states, self.actions)
        there = inside.any(1)
        component = np.full(self.states, -1, dtype=np.int64)
        component[there] = np.unique(number[there], return_inverse=True)[1]
        return component, inside

    def route(self, goal: Flags, allowed: Flags) -> Integers:
        """(S,): of each state an allowed action that may lead nearer to a goal; else -1."""
        used = allowed.ravel()[self.row]
        order = np.argsort(self.next[used], kind="stable")
        row, after = self.row[used][order], self.next[used][order]
        first = np.searchsorted(after, np.arange(self.states + 1))
        action = np.full(self.states, -1, dtype=np.int64)
        reached, front = goal.copy(), np.flatnonzero(goal)
        while len(front):
            counts = first[front + 1] - first[front]
            shift = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
            entering = row[np.repeat(first[front], counts) + shift]
            entering = entering[~reached[entering // self.actions]]
            front, where = np.unique(entering // self.actions, return_index=True)
            action[front] = entering[where] % self.actions
            reached[front] = True
        action[goal] = np.where(action[goal] < 0, 0, action[goal])
        return action


def _strong(source: Integers, target: Integers, states: int) -> Integers:
    """(S,): the number of each state's strongly connected component."""
    if len(source) == 0:
        return np.arange(states)
    try:
        from scipy.sparse import coo_array  # type: ignore[import-untyped]
        from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]
    except ImportError:
        return _tarjan(source, target, states)
    ones = np.ones(len(source), dtype=np.int8)
    graph = coo_array((ones, (source, target)), shape=(states, states)).tocsr()
    number = connected_components(graph, directed=True, connection="strong")[1]
    return np.asarray(number, dtype=np.int64)


def _tarjan(source: Integers, target: Integers, states: int) -> Integers:
    """The same without scipy (Tarjan, 1972), with a stack of our own instead of recursion."""
    order = np.argsort(source, kind="stable")
    after = target[order].tolist()
    first = np.searchsorted(source[order], np.arange(states + 1)).tolist()
    index, low, number = [-1] * states, [0] * states, [-1] * states
    stack: list[int] = []
    clock = found = 0
    for root in range(states):
        work = [(root, first[root])] if index[root] < 0 else []
        while work:
            s, at = work.pop()
            if index[s] < 0:
                index[s] = low[s] = clock
                clock += 1
                stack.append(s)
            while at < first[s + 1]:
                t = after[at]
                if index[t] < 0:
                    break
                if number[t] < 0:
                    low[s] = min(low[s], low[t])
                at += 1
            if at < first[s + 1]:
                work += [(s, at), (after[at], first[after[at]])]
                continue
            if low[s] == index[s]:
                while number[s] < 0:
                    number[stack.pop()] = found
                found += 1
    return np.array(number)
