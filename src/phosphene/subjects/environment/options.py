"""Options of the verbs for environments."""

from dataclasses import dataclass
from typing import Annotated

from phosphene.core.ranges import COUNT, Within
from phosphene.subjects.flags import metavar

__all__ = ["CompareOptions", "EvaluateOptions", "TrainOptions"]

MOST_WORKERS = 1024
"""Processes that step environments."""


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Where an agent learns.

    Args:
        env: Where an agent acts: CartPole-v1, any name of gymnasium's, or a map, grid:FILE.
        workers: Processes that step an agent's environments, where those are slow.
    """

    env: Annotated[str | None, metavar("ENV")] = None
    workers: Annotated[int | None, metavar("N", default=False), Within(1, MOST_WORKERS)] = None


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """How an agent is scored.

    Args:
        episodes: Number of episodes of an agent, none of them from training; 100 by default.
        sampled: Let an agent draw its actions as it explores, instead of taking the best.
        env: Another environment to play in, of the same observations and actions.
    """

    episodes: Annotated[int | None, metavar("N", default=False), COUNT] = None
    sampled: bool = False
    env: Annotated[str | None, metavar("ENV", default=False)] = None


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """How agents are compared.

    Args:
        env: An environment: then the systems are agents, ranked by the returns of their episodes.
        episodes: Number of episodes for each score of an agent.
    """

    env: Annotated[str | None, metavar("ENV", default=False)] = None
    episodes: Annotated[int, metavar("N"), COUNT] = 100
