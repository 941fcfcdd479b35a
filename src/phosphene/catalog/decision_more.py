"""Rows of reinforcement learning: a Q-network without memory, and soft actor-critic."""

from phosphene.catalog.system import System

__all__ = ["SYSTEMS"]

_DEEP = "phosphene.decision.deep"

SYSTEMS: tuple[System, ...] = (
    System(
        name="pqn",
        family="decision",
        title="Parallelized Q-network (PQN)",
        kind="agent",
        events=("states", "discrete", "pixels"),
        rows=(97, 98),
        paper="Gallici, Fellows, Ellis, Pou, Masmitja, Foerster and Martin, 2024",
        target=f"{_DEEP}.pqn:PQN",
    ),
    System(
        name="sac",
        family="decision",
        title="Soft actor-critic (SAC)",
        kind="agent",
        events=("continuous",),
        rows=(99, 102),
        paper="Haarnoja, Zhou, Hartikainen et al., 2018",
        target=f"{_DEEP}.sac:SAC",
    ),
)
