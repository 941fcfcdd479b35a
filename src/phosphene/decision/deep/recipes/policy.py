"""Recipes of policy gradients; ``*`` suits any environment that has no settings of its own."""

from collections.abc import Mapping
from typing import Any

from phosphene.catalog.recipe import Recipe

__all__ = ["RECIPES"]

_A2C: Mapping[str, Any] = {"optimizer": "rmsprop", "lr": 7e-4, "eps": 1e-5, "clip": 0.5}

RECIPES: tuple[Recipe, ...] = (
    Recipe(
        name="default",
        system="a2c",
        on="CartPole-v1",
        budget="500000steps",
        train={**_A2C, "log_every": 20},
        reaches={"return_mean": 475.0},
        cpu_seconds=120,
    ),
    Recipe(
        name="default",
        system="a2c",
        on="*",
        budget="10m",
        model={"standardize": True},
        train={**_A2C, "log_every": 20},
    ),
    Recipe(
        name="default",
        system="reinforce",
        on="CartPole-v1",
        budget="500000steps",
        train={"lr": 3e-3},
        reaches={"return_mean": 450.0},
        cpu_seconds=120,
    ),
    Recipe(
        name="default",
        system="reinforce",
        on="*",
        budget="10m",
        model={"standardize": True, "normalize": True},
        train={"lr": 1e-3},
    ),
)
