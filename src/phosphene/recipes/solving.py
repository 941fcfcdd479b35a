"""Exact solutions by name: a process from a string, a solver from the catalogue."""

from collections.abc import Callable
from typing import Any

import numpy as np

from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.decision.environments.table import make
from phosphene.decision.mdp.evaluation import evaluate_policy
from phosphene.decision.mdp.linear_programming import linear_programming
from phosphene.decision.mdp.mdp import MDP
from phosphene.decision.mdp.policy_iteration import policy_iteration
from phosphene.decision.mdp.solution import Solution
from phosphene.decision.mdp.value_iteration import value_iteration

__all__ = ["process", "solve"]

_SOLVERS: dict[str, Callable[[MDP, float, float], Solution]] = {
    "value-iteration": lambda m, gamma, e: value_iteration(m, gamma=gamma, tolerance=e),
    "policy-iteration": lambda m, gamma, e: policy_iteration(m, gamma=gamma),
    "linear-programming": lambda m, gamma, e: linear_programming(m, gamma=gamma),
    "bellman-evaluation": lambda m, gamma, e: evaluate_policy(
        m, np.full((m.states, m.actions), 1 / m.actions), gamma=gamma, tolerance=e
    ),
}


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
        if not value.isdigit():
            raise ConfigError(f"random:{key} must be a whole number, got {value!r}")
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
