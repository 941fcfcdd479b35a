"""The rows of reinforcement learning: agents with tables and with neural networks."""

from phosphene.catalog.decision_exact import SYSTEMS as _EXACT
from phosphene.catalog.system import System

__all__ = ["SYSTEMS"]

_DEEP = "phosphene.decision.deep"

_AGENTS: tuple[System, ...] = (
    System(
        name="ppo",
        family="decision",
        title="Proximal policy optimization (PPO)",
        kind="agent",
        events=("states", "discrete", "continuous", "pixels"),
        rows=(99, 102),
        paper="Schulman, Wolski, Dhariwal, Radford and Klimov, 2017",
        target=f"{_DEEP}.ppo:PPO",
    ),
)

SYSTEMS: tuple[System, ...] = (*_EXACT, *_AGENTS)
