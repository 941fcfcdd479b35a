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
        system="sac",
        env="Pendulum-v1",
        budget="20000steps",
        model={"hidden": (64, 64)},
        train={"lr": 1e-3, "log_every": 100},
    ),
)  # fmt: skip
