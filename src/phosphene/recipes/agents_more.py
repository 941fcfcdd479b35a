"""Recipes of agents that learn Q. The first of a system is its default; ``*`` suits any other."""

from phosphene.recipes.recipe import Recipe

__all__ = ["RECIPES"]

RECIPES: tuple[Recipe, ...] = (
    Recipe(
        name="default",
        system="pqn",
        env="CartPole-v1",
        budget="200000steps",
        train={"lr": 2e-3, "clip": 10.0, "schedule": "linear"},
    ),
    Recipe(
        name="default",
        system="pqn",
        env="Catch",
        budget="40000steps",
        model={"epsilon_steps": 20_000},
        train={"lr": 1e-3, "clip": 10.0, "schedule": "linear"},
    ),
    Recipe(
        name="default",
        system="pqn",
        env="*",
        budget="10m",
        model={"standardize": True},
        train={"lr": 1e-3, "clip": 10.0, "schedule": "linear"},
    ),
    Recipe(
        name="default",
        system="sac",
        env="Pendulum-v1",
        budget="20000steps",
        model={"environments": 4, "turns": 2, "hidden": (64, 64)},
        train={"lr": 1e-3, "schedule": "linear", "log_every": 100},
    ),
    Recipe(
        name="default",
        system="sac",
        env="*",
        budget="10m",
        model={"environments": 4, "turns": 4, "warmup": 1000},
        train={"lr": 3e-4, "log_every": 100},
    ),
)
