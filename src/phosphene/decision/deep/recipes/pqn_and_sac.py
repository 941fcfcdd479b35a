"""Recipes of agents that learn Q. The first of a system is its default; ``*`` suits any other."""

from collections.abc import Mapping
from typing import Any

from phosphene.catalog.recipe import Recipe

__all__ = ["RECIPES"]

_PQN: Mapping[str, Any] = {"lr": 1e-3, "clip": 10.0, "schedule": "linear"}
_SCALED: Mapping[str, Any] = {
    "environments": 32, "steps": 64, "epsilon_steps": 150_000,
    "standardize": True, "scale_rewards": True,
}  # fmt: skip

RECIPES: tuple[Recipe, ...] = (
    Recipe(
        name="default",
        system="pqn",
        on="CartPole-v1",
        budget="200000steps",
        train={**_PQN, "lr": 2e-3},
        reaches={"return_mean": 495.0},
        cpu_seconds=15,
    ),
    Recipe(
        name="default",
        system="pqn",
        on="Catch",
        budget="40000steps",
        model={"epsilon_steps": 20_000},
        train=_PQN,
        reaches={"return_mean": 0.95},
        cpu_seconds=15,
    ),
    Recipe(
        name="default",
        system="pqn",
        on="Acrobot-v1",
        budget="500000steps",
        model=_SCALED,
        train=_PQN,
        reaches={"return_mean": -90.0},
        cpu_seconds=40,
    ),
    Recipe(
        name="default",
        system="pqn",
        on="*",
        budget="10m",
        model=_SCALED,
        train=_PQN,
    ),
    Recipe(
        name="default",
        system="sac",
        on="Pendulum-v1",
        budget="20000steps",
        model={"environments": 4, "turns": 2, "tau": 0.01, "hidden": (64, 64)},
        train={"lr": 1e-3, "schedule": "linear", "log_every": 100},
        reaches={"return_mean": -160.0},
        cpu_seconds=60,
    ),
    Recipe(
        name="default",
        system="sac",
        on="*",
        budget="10m",
        model={"environments": 4, "turns": 4, "warmup": 1000},
        train={"lr": 3e-4, "log_every": 100},
    ),
)
