"""Recipes of agents that learn Q. The first of a system is its default; ``*`` suits any other."""

from phosphene.recipes.recipe import Recipe

__all__ = ["RECIPES"]

RECIPES: tuple[Recipe, ...] = (
    Recipe(
        name="default",
        system="pqn",
        env="CartPole-v1",
        budget="200000steps",
        model={},
        train={"lr": 1e-3, "clip": 10.0, "schedule": "linear"},
    ),
)  # fmt: skip
