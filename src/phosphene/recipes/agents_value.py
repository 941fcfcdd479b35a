"""Recipes of agents that learn the values of actions from replayed experience."""

from collections.abc import Mapping
from typing import Any

from phosphene.recipes.recipe import Recipe

__all__ = ["RECIPES"]

_CARTPOLE: Mapping[str, Any] = {
    "environments": 8, "act_steps": 8, "turns": 32, "batch_size": 64, "capacity": 50_000,
    "epsilon_end": 0.04, "epsilon_steps": 8_000, "hidden": (128, 128),
}  # fmt: skip

RECIPES: tuple[Recipe, ...] = (
    Recipe(
        name="default",
        system="dqn",
        env="CartPole-v1",
        budget="50000steps",
        model={**_CARTPOLE, "target_every": 1},
        train={"lr": 2.3e-3, "log_every": 50},
    ),
    Recipe(
        name="default",
        system="dqn",
        env="*",
        budget="10m",
        train={"lr": 5e-4, "log_every": 50},
    ),
    Recipe(
        name="default",
        system="deep-q-learning",
        env="CartPole-v1",
        budget="50000steps",
        model=_CARTPOLE,
        train={"lr": 1e-3, "log_every": 50},
    ),
    Recipe(
        name="default",
        system="deep-q-learning",
        env="*",
        budget="10m",
        train={"lr": 5e-4, "log_every": 50},
    ),
)
