"""Recipes of the autoencoder family."""

from phosphene.recipes.recipe import Recipe

__all__ = ["RECIPES"]

RECIPES: tuple[Recipe, ...] = (
    Recipe(name="default", system="vae", data="mnist-binary", budget="120s"),
)
