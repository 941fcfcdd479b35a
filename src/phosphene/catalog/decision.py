"""The rows of reinforcement learning: exact, in tables, with neural networks."""

from phosphene.catalog.decision_exact import SYSTEMS as _EXACT
from phosphene.catalog.decision_more import SYSTEMS as _MORE
from phosphene.catalog.decision_policy import SYSTEMS as _POLICY
from phosphene.catalog.decision_tabular import SYSTEMS as _TABULAR
from phosphene.catalog.decision_value import SYSTEMS as _VALUE
from phosphene.catalog.system import System

__all__ = ["SYSTEMS"]

_PPO = System(
    name="ppo",
    family="decision",
    title="Proximal policy optimization (PPO)",
    kind="agent",
    events=("states", "discrete", "continuous", "pixels"),
    rows=(99, 102),
    paper="Schulman, Wolski, Dhariwal, Radford and Klimov, 2017",
    target="phosphene.decision.deep.ppo:PPO",
)

SYSTEMS: tuple[System, ...] = (*_EXACT, *_TABULAR, *_VALUE, *_POLICY, _PPO, *_MORE)
