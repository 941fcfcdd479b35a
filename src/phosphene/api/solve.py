"""Exact solutions by name: a process from a string, a solver from the catalogue."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from phosphene.core.errors import ConfigError, UnknownNameError, brief
from phosphene.decision.environments.table import make
from phosphene.decision.mdp.evaluation import evaluate_policy
from phosphene.decision.mdp.linear_programming import linear_programming
from phosphene.decision.mdp.mdp import MDP
from phosphene.decision.mdp.policy_iteration import policy_iteration
from phosphene.decision.mdp.solution import Solution
from phosphene.decision.mdp.value_iteration import value_iteration
from phosphene.decision.tabular.td import td_prediction

__all__ = ["process", "solve"]

_SOLVERS: dict[str, Callable[[MDP, float, float], Solution]] = {
    "value-iteration": lambda m, gamma, e: value_iteration(m, gamma=gamma, tolerance=e),
    "policy-iteration": lambda m, gamma, e: policy_iteration(m, gamma=gamma),
    "linear-programming": lambda m, gamma, e: linear_programming(m, gamma=gamma),
    "temporal-difference": lambda m, gamma, e: _by_td(m, gamma),
    "bellman-evaluation": lambda m, gamma, e: evaluate_policy(
        m, np.full((m.states, m.actions), 1 / m.actions), gamma=gamma, tolerance=e
    ),
}


_EPISODES = 20_000


def _by_td(mdp: MDP, gamma: float) -> Solution:
    """The values of random actions, learned from episodes; the residual tells how well."""
    begun = time.perf_counter()
    policy = np.full((mdp.states, mdp.actions), 1 / mdp.actions)
    found = td_prediction(
        mdp, policy, episodes=_EPISODES, gamma=gamma, alpha="harmonic:1:0.7visits",
        limit=mdp.limit or 1000,
    )  # fmt: skip
    values = found.values.numpy()
    beyond = np.add.reduceat(mdp.weight * values[mdp.next], mdp.indptr[:-1])
    q = mdp.rewards + gamma * beyond.reshape(mdp.states, mdp.actions)
    return Solution(
        values=values,
        policy=q.argmax(1),
        q=q,
        iterations=found.steps,
        residual=float(np.abs((policy * q).sum(1) - values).max()),
        contraction=np.zeros(0),
        seconds=time.perf_counter() - begun,
        method="temporal-difference",
        gamma=gamma,
    )


def process(name: str) -> MDP:
    """The process of that name, for solvers that need its table.

    Args:
        name: An environment with a table, a map (``grid:cliff``), or
            ``random:states=1000,actions=4,branching=5,seed=0``.

    Raises:
        ConfigError: The environment has no table.

    Example:
        >>> process("random:states=50,actions=3,seed=1")
        MDP('random', 50 states, 3 actions)
    """
    kind, _, rest = name.partition(":")
    if kind == "random":
        return MDP.random(**_random_options(rest))
    environment = make(name, 1)
    mdp = getattr(environment, "mdp", None)
    environment.close()
    if mdp is None:
        raise ConfigError(
            f"{name!r} has no table of transitions to solve; phosphene train learns in it instead"
        )
    found: MDP = mdp
    return found


def _random_options(text: str) -> dict[str, Any]:
    known: dict[str, Any] = {
        "states": 1000, "actions": 4, "branching": 5, "terminal": 0, "seed": 0,
    }  # fmt: skip
    for part in filter(None, text.split(",")):
        key, _, value = part.partition("=")
        if key not in known:
            raise UnknownNameError("setting of random:", key, known)
        if not (value.isascii() and value.isdecimal() and len(value) < 16):
            raise ConfigError(f"random:{key} must be a whole number, got {brief(value)}")
        known[key] = int(value)
    return known


def solve(solver: str, mdp: MDP, *, gamma: float, tolerance: float = 1e-8) -> Solution:
    """Solve a process by a solver of the catalogue's name.

    Raises:
        UnknownNameError: There is no such solver.
        ConfigError: gamma does not suit the process.
    """
    if solver not in _SOLVERS:
        raise UnknownNameError("solver", solver, _SOLVERS)
    return _SOLVERS[solver](mdp, gamma, tolerance)
