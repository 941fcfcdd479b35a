"""The Bellman operator is a contraction: two sets of values come closer by the factor gamma."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from phosphene.decision.mdp.mdp import MDP
from phosphene.decision.mdp.value_iteration import value_iteration
from phosphene.proofs.proof import Proof, Wrong, below, equal

__all__ = ["WRONG", "prove", "swept"]

_STATEMENT = (
    "(T V)(s) = max_a [r(s, a) + gamma sum p(s' | s, a) V(s')] obeys ||T V - T U|| <= gamma "
    "||V - U|| in the sup-norm, because |max f - max g| <= max |f - g| and averages do not "
    "spread. So T has one fixed point, and ||T^k V - V*|| <= gamma^k ||V - V*|| (Banach, 1922; "
    "Denardo, 1967)."
)
_STATES, _ACTIONS = 30, 4

Floats = NDArray[np.float64]
Operator = Callable[[MDP, Floats, float], Floats]


def swept(mdp: MDP, values: Floats, gamma: float) -> Floats:
    """T V: one plain sweep of the library's value iteration.

    Args:
        mdp: The process.
        values: V (S,).
        gamma: The discount.
    """
    return value_iteration(mdp, gamma, sweeps=1, initial_values=values).values


def prove(seed: int = 0, *, formula: Operator = swept) -> Proof:
    """Apply the operator to pairs of values, on random processes with and without an end.

    Args:
        seed: Of processes and values.
        formula: T V from a process, V and gamma.

    Example:
        >>> prove().holds
        True
    """
    random = np.random.default_rng(seed)
    used, shifted, errors, maxima = [], [], [], []
    for k in range(30):
        gamma = (0.5, 0.9, 0.99)[k % 3]
        mdp = MDP.random(_STATES, _ACTIONS, seed=seed + k, terminal=k % 2)
        v, u = random.normal(size=(2, _STATES))
        v[mdp.terminal] = u[mdp.terminal] = 0.0
        apart = abs(formula(mdp, v, gamma) - formula(mdp, u, gamma)).max()
        used.append(apart / abs(v - u).max() / gamma)
        if not k % 2:
            higher = formula(mdp, v + 2.0, gamma) - formula(mdp, v, gamma)
            shifted.append(abs(higher - 2 * gamma).max())
        best = value_iteration(mdp, gamma, tolerance=1e-10).values
        at, error = v, abs(v - best).max()
        for power in range(1, 11):
            at = formula(mdp, at, gamma)
            errors.append(abs(at - best).max() / (gamma**power * error))
        f, g = random.normal(size=(2, 1000, _ACTIONS))
        maxima.append((abs(f.max(1) - g.max(1)) - abs(f - g).max(1)).max())
    mdp = MDP.random(_STATES, _ACTIONS, seed=seed)
    ends = [_far(formula, mdp, start) for start in (-100.0, 100.0)]
    rows = [
        below("||T V - T U|| / (gamma ||V - U||), largest of 30 processes", max(used), 1.0, 1e-12),
        below("T (V + 2) - T V against 2 gamma: the factor is reached", max(shifted), 0.0, 1e-12),
        below(
            "||T^k V - V*|| / (gamma^k ||V - V*||), k = 1 to 10, largest", max(errors), 1.0, 1e-6
        ),
        below("|max f - max g| - max |f - g|, largest of 30,000 pairs", max(maxima), 0.0, 1e-15),
        equal(
            "200 sweeps at gamma 0.9 from -100 and from 100: worst gap",
            abs(ends[0] - ends[1]).max(),
            0,
            1e-6,
        ),
    ]
    figure = {
        "x": torch.arange(30).double(),
        "||T V - T U|| / (gamma ||V - U||)": torch.tensor(used),
    }
    return Proof("bellman-contraction", "The Bellman operator", _STATEMENT, rows, figure)


def _far(operator: Operator, mdp: MDP, start: float) -> Floats:
    values = np.full(_STATES, start)
    for _ in range(200):
        values = operator(mdp, values, 0.9)
    return values


def _undiscounted(mdp: MDP, values: Floats, gamma: float) -> Floats:
    return swept(mdp, values / gamma, gamma)


WRONG = Wrong(
    "(T V)(s) = max_a [r(s, a) + sum p(s' | s, a) V(s')]: gamma is lost",
    {"formula": _undiscounted},
)
