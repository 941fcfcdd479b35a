"""Recipes of PPO; ``*`` suits any environment that has no settings of its own."""

from collections.abc import Mapping
from typing import Any

from phosphene.catalog.recipe import Recipe

__all__ = ["RECIPES"]

_PPO: Mapping[str, Any] = {"lr": 3e-4, "eps": 1e-5, "clip": 0.5}

RECIPES: tuple[Recipe, ...] = (
    Recipe(
        name="default",
        system="ppo",
        on="CartPole-v1",
        budget="100000steps",
        model={
            "environments": 16, "steps": 64, "epochs": 8, "batch_size": 256,
            "gamma": 0.98, "lambda_": 0.9,
        },
        train={**_PPO, "lr": 1.5e-3, "schedule": "linear"},
        reaches={"return_mean": 495.0},
        cpu_seconds=60,
    ),
    Recipe(
        name="default",
        system="ppo",
        on="Acrobot-v1",
        budget="1500000steps",
        model={
            "environments": 32, "steps": 128, "epochs": 6, "batch_size": 512, "gamma": 0.995,
            "lambda_": 0.97, "entropy": 0.002, "standardize": True, "scale_rewards": True,
        },
        train={**_PPO, "lr": 5e-4, "schedule": "linear"},
        reaches={"return_mean": -80.0},
        cpu_seconds=120,
    ),
    Recipe(
        name="default",
        system="ppo",
        on="Pendulum-v1",
        budget="100000steps",
        model={
            "environments": 4, "steps": 1024, "epochs": 10, "batch_size": 128,
            "gamma": 0.9, "lambda_": 0.95,
        },
        train={**_PPO, "lr": 1e-3, "schedule": "linear", "final_lr": 0.1},
        reaches={"return_mean": -180.0},
        cpu_seconds=60,
    ),
    Recipe(
        name="default",
        system="ppo",
        on="LunarLander-v3",
        budget="600000steps",
        model={
            "environments": 16, "steps": 512, "epochs": 6, "batch_size": 512, "gamma": 0.999,
            "lambda_": 0.98, "entropy": 0.01, "standardize": True, "scale_rewards": True,
        },
        train={**_PPO, "lr": 1e-3, "schedule": "linear"},
        reaches={"return_mean": 240.0},
        cpu_seconds=400,
        notes="pip install 'phosphene[box2d]'.",
    ),
    Recipe(
        name="default",
        system="ppo",
        on="Catch",
        budget="100000steps",
        model={
            "environments": 32, "steps": 32, "epochs": 4, "batch_size": 256, "entropy": 0.01,
        },
        train={**_PPO, "lr": 1e-3, "schedule": "linear"},
    ),
    Recipe(
        name="default",
        system="ppo",
        on="*",
        budget="10m",
        model={"standardize": True, "scale_rewards": True},
        train=_PPO,
    ),
)  # fmt: skip
