"""Recipes of agents. The first of a system is its default; ``*`` suits any other environment."""

from collections.abc import Mapping
from typing import Any

from phosphene.recipes import agents_more, agents_policy, agents_tabular, agents_value
from phosphene.recipes.recipe import Recipe

__all__ = ["RECIPES"]

_PPO: Mapping[str, Any] = {"lr": 3e-4, "eps": 1e-5, "clip": 0.5}

_PPO_RECIPES: tuple[Recipe, ...] = (
    Recipe(
        name="default",
        system="ppo",
        env="CartPole-v1",
        budget="100000steps",
        model={
            "environments": 8, "steps": 32, "epochs": 20, "batch_size": 256,
            "gamma": 0.98, "lambda_": 0.8,
        },
        train={**_PPO, "lr": 1e-3, "schedule": "linear"},
    ),
    Recipe(
        name="default",
        system="ppo",
        env="Pendulum-v1",
        budget="100000steps",
        model={
            "environments": 4, "steps": 1024, "epochs": 10, "batch_size": 64,
            "gamma": 0.9, "lambda_": 0.95,
        },
        train={**_PPO, "lr": 1e-3},
    ),
    Recipe(
        name="default",
        system="ppo",
        env="*",
        budget="10m",
        model={"standardize": True},
        train=_PPO,
    ),
)  # fmt: skip

RECIPES: tuple[Recipe, ...] = (
    *agents_tabular.RECIPES,
    *agents_value.RECIPES,
    *agents_policy.RECIPES,
    *_PPO_RECIPES,
    *agents_more.RECIPES,
)
