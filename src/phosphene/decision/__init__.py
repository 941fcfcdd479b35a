"""Reinforcement learning: exact, tabular and deep.

The public names are imported on first use.

Example:
    >>> import phosphene as ph
    >>> mdp = ph.decision.MDP.random(states=20, actions=3, seed=0)
    >>> solution = ph.decision.value_iteration(mdp, gamma=0.9)
    >>> solution.values.shape
    (20,)
"""

import importlib
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "MDP": "phosphene.decision.mdp.mdp",
    "Solution": "phosphene.decision.mdp.solution",
    "evaluate_policy": "phosphene.decision.mdp.evaluation",
    "linear_programming": "phosphene.decision.mdp.linear_programming",
    "linear_solve": "phosphene.decision.mdp.evaluation",
    "make": "phosphene.decision.environments.table",
    "policy_iteration": "phosphene.decision.mdp.policy_iteration",
    "value_iteration": "phosphene.decision.mdp.value_iteration",
}

__all__ = [
    "MDP",
    "Solution",
    "evaluate_policy",
    "linear_programming",
    "linear_solve",
    "make",
    "policy_iteration",
    "value_iteration",
]

if TYPE_CHECKING:
    from phosphene.decision.environments.table import make
    from phosphene.decision.mdp.evaluation import evaluate_policy, linear_solve
    from phosphene.decision.mdp.linear_programming import linear_programming
    from phosphene.decision.mdp.mdp import MDP
    from phosphene.decision.mdp.policy_iteration import policy_iteration
    from phosphene.decision.mdp.solution import Solution
    from phosphene.decision.mdp.value_iteration import value_iteration


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'phosphene.decision' has no attribute {name!r}")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
