"""Recipes of agents that learn the values of actions from replayed experience."""

from collections.abc import Mapping
from typing import Any

from phosphene.catalog.recipe import Recipe

__all__ = ["RECIPES"]

_MANY: Mapping[str, Any] = {
    "environments": 16, "act_steps": 4, "turns": 16, "batch_size": 128, "capacity": 100_000,
    "warmup": 8_000, "target_every": 64, "hidden": (128, 128), "activation": "tanh",
    "standardize": True, "n_step": 5,
}  # fmt: skip

_DQN: tuple[Recipe, ...] = (
    Recipe(
        name="default",
        system="dqn",
        on="CartPole-v1",
        budget="50000steps",
        model={
            "environments": 8,
            "act_steps": 8,
            "turns": 32,
            "batch_size": 128,
            "capacity": 50_000,
            "epsilon_end": 0.04,
            "epsilon_steps": 8_000,
            "target_every": 256,
            "hidden": (64, 64),
            "activation": "tanh",
            "n_step": 5,
        },
        train={"lr": 2e-3, "schedule": "linear", "log_every": 25},
        reaches={"return_mean": 475.0},
        cpu_seconds=40,
    ),
    Recipe(
        name="default",
        system="dqn",
        on="MountainCar-v0",
        budget="100000steps",
        model={**_MANY, "hold": 20, "epsilon_steps": 40_000},
        train={"lr": 2e-3, "schedule": "linear", "log_every": 50},
        reaches={"return_mean": -105.0},
        cpu_seconds=60,
        notes="The goal is never met by random actions; held for a while they swing the car up.",
    ),
    Recipe(
        name="default",
        system="dqn",
        on="Acrobot-v1",
        budget="100000steps",
        model={
            **_MANY,
            "n_step": 3,
            "hold": 5,
            "epsilon_end": 0.01,
            "epsilon_steps": 30_000,
            "prioritized": True,
            "beta_steps": 60_000,
        },
        train={"lr": 1e-3, "schedule": "linear", "log_every": 50},
        reaches={"return_mean": -90.0},
        cpu_seconds=60,
    ),
    Recipe(
        name="default",
        system="dqn",
        on="Catch",
        budget="20000steps",
        model={
            "environments": 16,
            "act_steps": 4,
            "turns": 4,
            "batch_size": 64,
            "capacity": 20_000,
            "epsilon_steps": 10_000,
            "target_every": 256,
            "hidden": (128,),
            "n_step": 3,
        },
        train={"lr": 1e-3, "log_every": 50},
        reaches={"return_mean": 0.95},
        cpu_seconds=30,
    ),
    Recipe(
        name="default",
        system="dqn",
        on="*",
        budget="10m",
        model={**_MANY, "epsilon_steps": 50_000, "prioritized": True},
        train={"lr": 1e-3, "log_every": 50},
    ),
)

_DEEP_Q_LEARNING: tuple[Recipe, ...] = (
    Recipe(
        name="default",
        system="deep-q-learning",
        on="CartPole-v1",
        budget="60000steps",
        model={
            "environments": 8,
            "act_steps": 8,
            "turns": 16,
            "batch_size": 64,
            "capacity": 50_000,
            "epsilon_end": 0.04,
            "epsilon_steps": 8_000,
            "hidden": (128, 128),
            "activation": "tanh",
        },
        train={"lr": 1e-3, "log_every": 50},
        reaches={"return_mean": 475.0},
        cpu_seconds=20,
    ),
    Recipe(
        name="default",
        system="deep-q-learning",
        on="*",
        budget="10m",
        model={"standardize": True, "epsilon_steps": 50_000},
        train={"lr": 5e-4, "log_every": 50},
    ),
)

RECIPES: tuple[Recipe, ...] = (*_DQN, *_DEEP_Q_LEARNING)
